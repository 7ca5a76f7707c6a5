"""From cells to stages: what has to be fitted and predicted, each once.

Sub-networks that several rows need are one stage with one key, so they are shared by construction: the CNN, LSTM and
attention of a fold serve `frame`, `video` and every row with `+video`; nine fits serve the eight rows of a fold.

Training stages are built from the training side of a fold alone. Test trials enter in `Predict`, without labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dataprep.types import DataSet, SampleIndex
from grid.cells import SIGNALS, Cell, Row, Scenario, row
from grid.config import Experiment
from grid.keys import Stage, digest
from grid.protocols import FoldSplit, protocols
from painmodels import registry

FIT_VERSION = 1
PREDICT_VERSION = 1


@dataclass(frozen=True)
class TrainSet:
    """Training trials of a stage: ids, subjects, labels. `key` also covers the recordings they were prepared from."""

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[int, ...]
    key: str


@dataclass(frozen=True)
class TestSet:
    """Held-out trials of a stage: ids and subjects, no labels."""

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class TrunkStart:
    """Where the spatial head's pre-trained FC-7 comes from. Identity is with the features, made by the same weights."""

    name: str
    weights: str

    @property
    def path(self) -> Path | None:
        """The weight file named by the experiment, None for the shipped or imported one."""
        return Path(self.weights) if self.weights else None


@dataclass(frozen=True)
class Fit:
    """One sub-network to fit on the frozen outputs of `upstream` (empty: on the prepared video or signals themselves).

    `channels` are columns of the prepared signals, `steps` the part of each trial that is used, `scenario` and `fold` a label.
    A baseline is a fit like any other; `sees` are the words of its row, `clock_hz` the rate of steps.
    """

    stage: Stage
    role: str
    network: str
    settings: Any
    upstream: tuple[Fit, ...]
    channels: tuple[int, ...]
    steps: tuple[int, int]
    normalise: str
    train: TrainSet
    scenario: str
    fold: int
    start: TrunkStart | None = None
    sees: tuple[str, ...] = ()
    clock_hz: float = 0.0

    @property
    def epochs(self) -> int:
        """Passes over the training trials, 1 for what is not trained in epochs."""
        return getattr(self.settings, "epochs", 1)

    @property
    def label(self) -> str:
        """A short name for people: role, signals, scenario, fold."""
        return f"{self.stage.name.removeprefix('fit-')}/{self.scenario}/fold{self.fold}"


@dataclass(frozen=True)
class Predict:
    """Probabilities of pain of the held-out trials by a fitted sub-network."""

    stage: Stage
    fit: Fit
    test: TestSet
    cell: Cell


@dataclass
class Plan:
    """All stages of the wanted cells. `fits` are in dependency order; `impossible` says why a cell cannot be computed."""

    cells: list[Cell] = field(default_factory=list)
    fits: dict[str, Fit] = field(default_factory=dict)
    predicts: dict[Cell, Predict] = field(default_factory=dict)
    impossible: dict[Cell, str] = field(default_factory=dict)

    def predicts_of(self, fit_key: str) -> list[Predict]:
        """The predictions made with a fit."""
        return [p for p in self.predicts.values() if p.fit.stage.key == fit_key]


@dataclass(frozen=True)
class Inputs:
    """What is known of the prepared trials: the keys of each trial's usable recordings, by part ('video', 'signals')."""

    index: SampleIndex
    keys: Mapping[str, Mapping[str, str]]

    def usable(self, trial_ids: Iterable[str], parts: tuple[str, ...]) -> tuple[str, ...]:
        """The trials whose recordings of all `parts` are usable, order kept."""
        return tuple(t for t in trial_ids if all(t in self.keys[part] for part in parts))


def scenario_index(dataset: DataSet, index: SampleIndex, scenario: Scenario) -> SampleIndex:
    """The trials of a scenario's subjects. Raises ValueError if the data set has no such subset, or nobody in it is here."""
    if scenario.subset not in dataset.subsets:
        raise ValueError(
            f"the data set {dataset.name} names no subset {scenario.subset!r}; it has: {', '.join(dataset.subsets)}"
        )
    members = dataset.subsets[scenario.subset]
    chosen = index if members is None else index.of_subjects(members)
    if not len(chosen):
        raise ValueError(f"no subject of the subset {scenario.subset!r} is in the data")
    return chosen


def window(dataset: DataSet, scenario: Scenario) -> tuple[int, int]:
    """First and one-past-last step of a trial that the scenario uses."""
    start = round(scenario.skip_s * dataset.clock_hz)
    if start >= dataset.n_steps:
        raise ValueError(
            f"scenario {scenario.name} drops {scenario.skip_s} s of trials that last {dataset.n_steps / dataset.clock_hz} s"
        )
    return start, dataset.n_steps


def splits_of(experiment: Experiment, dataset: DataSet, index: SampleIndex) -> tuple[FoldSplit, ...]:
    """The folds of a scenario's trials. Raises ValueError if they cannot be made."""
    return protocols()[experiment.protocol.name](
        index, folds=experiment.protocol.folds, seed=experiment.seed, holdout=dataset.holdout
    )


class Planner:
    """Builds the plan of one experiment on one prepared data set."""

    def __init__(self, experiment: Experiment, dataset: DataSet, inputs: Inputs) -> None:
        self.experiment, self.dataset, self.inputs = experiment, dataset, inputs
        self.plan = Plan()
        self.networks = {role: experiment.network(role) for role in registry.ROLES}
        self._train_sets: dict[tuple[str, tuple[str, ...]], TrainSet] = {}

    def build(self, rows: Iterable[str], scenarios: Iterable[str], folds: Iterable[int] | None = None) -> Plan:
        """The plan of rows x scenarios x folds (None: every fold of the protocol)."""
        wanted = None if folds is None else set(folds)
        asked = [row(name) for name in rows]
        for name in scenarios:
            scenario = self.experiment.scenario(name)
            try:
                index = scenario_index(self.dataset, self.inputs.index, scenario)
                steps = window(self.dataset, scenario)
                splits = splits_of(self.experiment, self.dataset, index)
            except ValueError as error:
                for fold in sorted(wanted) if wanted is not None else range(self.experiment.protocol.folds):
                    for r in asked:
                        self._refuse(Cell(r.name, name, self.experiment.protocol.name, fold), str(error))
                continue
            for split in splits:
                if wanted is None or split.fold in wanted:
                    for r in asked:
                        self._cell(Cell(r.name, name, split.protocol, split.fold), r, index, split, steps)
        return self.plan

    def _refuse(self, cell: Cell, reason: str) -> None:
        self.plan.cells.append(cell)
        self.plan.impossible[cell] = reason

    def _cell(self, cell: Cell, row: Row, index: SampleIndex, split: FoldSplit, steps: tuple[int, int]) -> None:
        for signal in row.signals:
            if SIGNALS[signal] not in self.dataset.channels:
                return self._refuse(cell, f"the data set {self.dataset.name} has no {signal} signal")
        train = self._train_set(index, split, row.parts, cell.scenario)
        test_ids = self.inputs.usable(split.test, row.parts)
        if isinstance(train, str):
            return self._refuse(cell, train)
        if not test_ids:
            return self._refuse(cell, f"no held-out trial has usable {' and '.join(row.parts)}")
        self.plan.cells.append(cell)
        fit = self._row_fit(cell, row, index, split, steps)
        test = TestSet(test_ids, tuple(split.subject_of[t] for t in test_ids), digest(self._sources(test_ids, row.parts)))
        stage = Stage("predict", PREDICT_VERSION, {"modality": row.name}, (fit.stage.key, test.key))
        self.plan.predicts[cell] = Predict(stage, fit, test, cell)
        return None

    def _row_fit(self, cell: Cell, row: Row, index: SampleIndex, split: FoldSplit, steps: tuple[int, int]) -> Fit:
        """The last sub-network of a row, after those it is fed by."""

        def fit(role: str, parts: tuple[str, ...], *upstream: Fit, signals: tuple[str, ...] = ()) -> Fit:
            train = self._train_set(index, split, parts, cell.scenario)
            assert isinstance(train, TrainSet), train
            return self._fit(role, train, upstream, signals, steps, cell)

        visual = physiological = None
        if row.baseline:
            from grid.baseline_fits import baseline_fit  # here: it needs the names of this module

            train = self._train_set(index, split, row.parts, cell.scenario)
            assert isinstance(train, TrainSet), train
            made = baseline_fit(self.experiment, self.dataset, cell, row, train=train, steps=steps)
            return self.plan.fits.setdefault(made.stage.key, made)
        if row.frame:
            return fit("spatial", ("video",))
        if row.clip:
            spatial = fit("spatial", ("video",))
            visual = fit("attention", ("video",), fit("temporal", ("video",), spatial))
        if row.signals:
            physiological = fit("physiological", ("signals",), signals=row.signals)
        if visual and physiological:
            return fit("fusion", row.parts, visual, physiological, signals=row.signals)
        last = visual or physiological
        assert last is not None
        return last

    def _fit(
        self,
        role: str,
        train: TrainSet,
        upstream: tuple[Fit, ...],
        signals: tuple[str, ...],
        steps: tuple[int, int],
        cell: Cell,
    ) -> Fit:
        network, settings = self.networks[role]
        normalise = self.experiment.signals.normalise if role == "physiological" else ""
        params: dict[str, Any] = {
            "role": role,
            "network": network.name,
            "network_version": network.version,
            "settings": asdict(settings),
            "signals": list(signals),
            "steps": list(steps),
            "normalise": normalise,
            "seed": self.experiment.seed,
        }
        name = f"fit-{role}" + (f"-{'+'.join(signals)}" if signals else "")
        stage = Stage(name, FIT_VERSION, params, (train.key, *(f.stage.key for f in upstream)))
        if stage.key not in self.plan.fits:
            trunk = self.experiment.trunk
            start = TrunkStart(trunk.name, trunk.weights) if role == "spatial" and not trunk.random else None
            channels = tuple(self.dataset.channels.index(SIGNALS[s]) for s in signals) if role == "physiological" else ()
            self.plan.fits[stage.key] = Fit(
                stage,
                role,
                network.name,
                settings,
                upstream,
                channels,
                steps,
                normalise,
                train,
                cell.scenario,
                cell.fold,
                start,
            )
        return self.plan.fits[stage.key]

    def _train_set(self, index: SampleIndex, split: FoldSplit, parts: tuple[str, ...], scenario: str) -> TrainSet | str:
        """The usable training trials, or the reason why there cannot be a fit. Made once per fold and parts."""
        ident = (f"{scenario}/{split.fold}", parts)
        if ident not in self._train_sets:
            ids = self.inputs.usable(split.train, parts)
            side = index.only(ids)
            if len(set(side.labels)) < 2:
                missing = [part for part in parts if not self.inputs.keys[part]]
                if missing:
                    return f"the data has no usable {' and no usable '.join(missing)}"
                return f"the {len(ids)} usable training trials are not of both classes"
            key = digest([self._sources(side.trial_ids, parts), list(side.labels), list(side.subjects)])
            self._train_sets[ident] = TrainSet(side.trial_ids, side.subjects, side.labels, key)
        return self._train_sets[ident]

    def _sources(self, trial_ids: Iterable[str], parts: tuple[str, ...]) -> list[list[str]]:
        return [[t, *(self.inputs.keys[part][t] for part in parts)] for t in trial_ids]
