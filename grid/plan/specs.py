"""What a plan is made of: training and test sets, fits, predictions, searches. Frozen facts that travel to workers.

A fit is built from the training side of a fold alone; test trials enter in `Predict`, without labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from dataprep.recordings import sources
from dataprep.recordings.kind import SIGNALS, VIDEO
from dataprep.records import SampleIndex
from grid.experiment.cells import Cell, place
from grid.experiment.config_tables import Search as SearchOptions
from grid.experiment.config_tables import Space
from grid.store.identity import Stage
from painmodels import registry
from painmodels.methods.graph import Estimator, Input
from painmodels.tasks import Task
from painmodels.training.augment import Augment
from painmodels.training.packed_loop import PACKABLE, layout

FIT_VERSION = 1
"""Raised when fits of the same identity come to give other weights."""


@dataclass(frozen=True)
class TrainSet:
    """Training trials of a stage: ids, subjects, labels. `key` also covers the recordings they were prepared from."""

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[Any, ...]
    key: str


@dataclass(frozen=True)
class TestSet:
    """Held-out trials of a stage: ids and subjects, no labels."""

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    key: str


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """A part of a method on the recordings of a row (painmodels/methods/graph.py): what a fit and a search have in common.

    `network`: the name of what is trained; `own`: itself, where it is not one of painmodels/networks. `words` are what the part
    sees of the row, `channels` the columns of the prepared signals, `steps` the part of each trial that is used, `clock_hz` their
    rate; `rates_hz`: word -> the rate of its channel's own samples, where the data set says it. `augment`: how windows are made
    beside those of the training side; None: not at all. `controls`: trial -> what a control sees of it.
    """

    method: str
    role: str
    network: str
    own: registry.SubNetwork | Estimator | None = None
    inputs: tuple[Input, ...]
    words: tuple[str, ...]
    channels: tuple[int, ...]
    steps: tuple[int, int]
    clock_hz: float
    rates_hz: Mapping[str, float] = field(default_factory=dict, hash=False)
    keeps: str = ""
    augment: Augment | None = None
    controls: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def trained(self) -> registry.SubNetwork | Estimator:
        """What is trained."""
        return self.own or registry.network(self.role, self.network)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A part to fit on recordings and on the frozen outputs of `upstream`.

    `scenario`, `fold` and `repeat` are a label (folds of two partitions that train on the same trials share a fit), and so are
    `seed`, whose place is in the stage, and `search`: the key of the search that chose the settings, empty where they are the
    experiment's own. `refits`: where it is trained on out-of-fold outputs, which fits give them. `pretrained`: it starts from
    the trunk's own FC-7 (Blocks.head), whose identity is with the features.
    """

    stage: Stage
    part: PartSpec
    settings: Any
    upstream: tuple[Fit, ...]
    normalise: str
    train: TrainSet
    scenario: str
    fold: int
    refits: tuple[Refit, ...] = ()
    pretrained: bool = False
    search: str = ""
    repeat: int = 0
    seed: int = 0

    @property
    def role(self) -> str:
        """The role of the part."""
        return self.part.role

    @property
    def steps(self) -> tuple[int, int]:
        """First and one-past-last step of each trial that is used."""
        return self.part.steps

    @property
    def fed_by(self) -> tuple[Fit, ...]:
        """The fits that have to be done before it."""
        return (*self.upstream, *(fit for refit in self.refits for fit in refit.upstream))

    @property
    def epochs(self) -> int:
        """Passes over the training trials, 1 for what is not trained in epochs."""
        return getattr(self.settings, "epochs", 1)

    @property
    def parts(self) -> tuple[str, ...]:
        """The recordings that it needs of a trial, itself or by what feeds it: 'video', 'signals' or both."""
        return _sources(self.part, self.upstream)

    @property
    def layout(self) -> tuple[Any, ...]:
        """Equal for fits that can be trained side by side as one computation; empty for one that cannot."""
        first, last = self.steps
        on_clock = self.part.trained == PACKABLE and bool(self.part.channels)
        return layout(self.settings, last - first, len(self.part.channels)) if on_clock else ()

    @property
    def label(self) -> str:
        """A short name for people: role, signals, scenario, fold."""
        return f"{self.stage.name.removeprefix('fit-')}/{self.scenario}/{place(self.fold, self.repeat, self.seed)}"


def _sources(part: PartSpec, upstream: Iterable[Fit]) -> tuple[str, ...]:
    found = {source for fit in upstream for source in fit.parts}
    found |= set(sources(i.recording for i in part.inputs if i.recording))
    return tuple(source for source in (VIDEO, SIGNALS) if source in found)


@dataclass(frozen=True)
class Refit:
    """A part of a training side, and the fits, one for each input, that were trained on the rest of it."""

    held_out: TrainSet
    upstream: tuple[Fit, ...]


def all_fits_of(fit: Fit) -> list[Fit]:
    """A fit and all that have to be done before it, dependencies first."""
    found = {f.stage.key: f for u in fit.fed_by for f in all_fits_of(u)}
    return [*found.values(), fit]


def fits_of(fit: Fit) -> list[Fit]:
    """A fit and all it is fed by when it predicts, dependencies first."""
    found = {f.stage.key: f for u in fit.upstream for f in fits_of(u)}
    return [*found.values(), fit]


@dataclass(frozen=True)
class Predict:
    """What a fitted part, `adapt`ed to the held-out trials, says of them: the array `stored` (painmodels/tasks/task.py)."""

    stage: Stage
    fit: Fit
    test: TestSet
    cell: Cell
    stored: str
    adapt: str = ""


@dataclass(frozen=True)
class InnerFold:
    """A split of a training side: both halves carry labels, neither holds a subject of the other or of the test side."""

    train: TrainSet
    validation: TrainSet
    upstream: tuple[Fit, ...]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A hyperparameter search for one part of a method inside a training side (grid/execute/search.py runs it).

    `settings` and `normalise` are the experiment's own configuration, `space` is what may change of it.
    """

    stage: Stage
    part: PartSpec
    settings: Any
    normalise: str
    space: Space
    inner: tuple[InnerFold, ...]
    options: SearchOptions
    learns: Task
    scenario: str
    fold: int
    repeat: int = 0

    @property
    def role(self) -> str:
        """The role of the part."""
        return self.part.role

    @property
    def parts(self) -> tuple[str, ...]:
        """The recordings that it needs of a trial: 'video', 'signals' or both."""
        return _sources(self.part, [fit for inner in self.inner for fit in inner.upstream])

    @property
    def own(self) -> dict[str, Any]:
        """The experiment's own configuration: every setting of the network, and how signals are normalised."""
        return {**asdict(self.settings), "normalise": self.normalise}

    @property
    def trials(self) -> int:
        """How many configurations are tried."""
        return self.options.trials

    @property
    def label(self) -> str:
        """A short name for people: role, signals, scenario, fold (none if it serves all folds)."""
        return f"{self.stage.name}/{self.scenario}" + ("" if self.fold < 0 else f"/{place(self.fold, self.repeat)}")


class Unresolved(Exception):  # noqa: N818 - not an error: a fit's configuration is still being searched for
    """Raised inside the planner where a search has to end first. `key` is the search's."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass
class Plan:
    """All stages of the wanted cells. `fits` are in dependency order; `impossible` says why a cell cannot be computed.

    With hyperparameter search the plan grows: a cell in `waiting` is completed when the search of that key has ended.
    `searches` are those to be done, `decided` all that have ended, in this run or before it.
    """

    cells: list[Cell] = field(default_factory=list)
    fits: dict[str, Fit] = field(default_factory=dict)
    predicts: dict[Cell, Predict] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)
    decided: dict[str, Search] = field(default_factory=dict)
    waiting: dict[Cell, str] = field(default_factory=dict)
    impossible: dict[Cell, str] = field(default_factory=dict)
    unprepared: dict[tuple[str, str], str] = field(default_factory=dict)
    """(part, trial id) -> why its preparation failed. What needs it fails with it: a failure never makes a side smaller."""
    _by_fit: dict[str, list[Predict]] = field(default_factory=dict, repr=False)
    _noted: int = 0

    def only(self, cells: Collection[Cell]) -> Plan:
        """The same plan with these cells alone, and what they need. It is not to be worked on: searches of others stay in it."""
        predicts = {cell: p for cell, p in self.predicts.items() if cell in cells}
        return Plan(
            cells=[c for c in self.cells if c in cells],
            fits={f.stage.key: f for p in predicts.values() for f in all_fits_of(p.fit)},
            predicts=predicts,
            searches=self.searches,
            decided=self.decided,
            waiting={c: key for c, key in self.waiting.items() if c in cells},
            impossible={c: reason for c, reason in self.impossible.items() if c in cells},
            unprepared=self.unprepared,
        )

    def lacks(self, parts: Iterable[str], trial_ids: Iterable[str]) -> str:
        """Why work on these trials cannot be done: the first whose preparation failed; empty if there is none."""
        if not self.unprepared:
            return ""
        reasons = ((t, self.unprepared.get((part, t))) for part in parts for t in trial_ids)
        found = next(((t, reason) for t, reason in reasons if reason), None)
        return f"needs {found[0]}, whose preparation failed: {found[1]}" if found else ""

    def lacks_test(self, predict: Predict) -> str:
        """The same of a prediction's held-out trials."""
        return self.lacks(predict.fit.parts, predict.test.trial_ids)

    def predicts_of(self, fit_key: str) -> list[Predict]:
        """The predictions made with a fit. Predictions join a plan and never leave it."""
        for predict in islice(self.predicts.values(), self._noted, None):
            self._by_fit.setdefault(predict.fit.stage.key, []).append(predict)
        self._noted = len(self.predicts)
        return [p for p in self._by_fit.get(fit_key, []) if not self.lacks_test(p)]


@dataclass(frozen=True)
class Inputs:
    """What is known of the prepared trials: the keys of each trial's usable recordings, by column (recordings.key_columns)."""

    index: SampleIndex
    keys: Mapping[str, Mapping[str, str]]
