"""A part of a method on what a row sees: the nodes of the graph that the planner walks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dataprep.recordings import key_columns, recording, sources
from dataprep.recordings.kind import SIGNALS as SIGNALS_FILE
from dataprep.recordings.kind import VIDEO, Recording
from dataprep.records import DataSet
from dataprep.signals.derived import rate_of
from grid.experiment.cells import Row, channel_of, is_signal
from grid.experiment.config import Experiment
from grid.plan.specs import PartSpec
from painmodels.methods import PAPER, method
from painmodels.methods.graph import OUT_OF_FOLD, Estimator, Part, needs
from painmodels.registry import SubNetwork, said
from painmodels.training.augment import VERSION as AUGMENT_VERSION
from painmodels.training.augment import Augment

OWN_RATE = "signals_native"


@dataclass(frozen=True)
class Node:
    """A part, what it sees, what feeds it and how it is configured by the experiment.

    `refits`: on how many inner folds what feeds it is fitted once more, for out-of-fold outputs (0: it is trained on outputs of
    the fits that were trained on the same trials). `name`: of its stages; `words`: those of the row that it sees; `needs`: what
    of a trial has to be usable (dataprep.recordings.key_columns). Nodes of two rows that are the same are equal.
    """

    method: str
    name: str
    part: Part
    words: tuple[str, ...]
    needs: tuple[str, ...]
    feeding: tuple[Node, ...]
    trained: SubNetwork | Estimator = field(compare=False)
    settings: Any = field(compare=False)
    normalise: str = field(compare=False)
    augment: Augment | None = field(default=None, compare=False)
    refits: int = field(default=0, compare=False)

    @property
    def signals(self) -> tuple[str, ...]:
        """The words that are signals."""
        return tuple(word for word in self.words if is_signal(word))

    def why_not(self, dataset: DataSet, steps: tuple[int, int]) -> str:
        """Why it cannot take its recordings of this data set in this window; empty if it can."""
        for kind in map(recording, self.part.recordings):
            if kind.of and not kind.along and steps != (0, dataset.n_steps):
                return f"{kind.name} is of the whole trial, and the scenario uses a part of it"
            if kind.to_the_end and steps[1] != dataset.n_steps:
                return f"{kind.name} is of a trial to its end, and the scenario ends before (end_s)"
            named = [channel_of(s, dataset.channels) for s in self.signals]
            unknown = [channel for channel in named if not dataset.rates_hz.get(channel)]
            if kind.along == "samples" and unknown:
                return (
                    f"{kind.name} needs the rate of {unknown[0]}, which the data set {dataset.name} does not say (rates_hz)"
                )
            if too_short := self._too_short(kind, [dataset.rates_hz.get(channel, 0.0) for channel in named], dataset, steps):
                return too_short
        return ""

    def _too_short(self, kind: Recording, rates_hz: list[float], dataset: DataSet, steps: tuple[int, int]) -> str:
        """Why the window has too few steps or samples of a kind of recording for the network; empty if it has enough."""
        if not isinstance(self.trained, SubNetwork) or not kind.along or self.trained.per_frame:
            return ""
        first, end = steps
        rates_hz = rates_hz if kind.along == "samples" else [dataset.clock_hz]
        has = min(round(end / dataset.clock_hz * hz) - round(first / dataset.clock_hz * hz) for hz in rates_hz)
        least = self.trained.least_steps(self.settings)
        window = f"{(end - first) / dataset.clock_hz:g} s of {dataset.name}"
        return "" if has >= least else f"{self.name} needs at least {least} {kind.along} of {kind.name}, {window} have {has}"

    @property
    def label(self) -> str:
        """The name and what it sees, as in `physiological-eda+ecg`. Of the paper's method: the signals alone."""
        seen = self.signals if self.method == PAPER else self.words
        return self.name + (f"-{'+'.join(seen)}" if seen else "")

    def spec(self, dataset: DataSet, steps: tuple[int, int]) -> PartSpec:
        """What a worker is told of it."""
        takes_signals = "signals" in self.part.recordings
        return PartSpec(
            method=self.method,
            role=self.part.role,
            network=self.trained.name if isinstance(self.trained, SubNetwork) else self.method,
            own=self.part.trained,
            inputs=self.part.inputs,
            words=self.words,
            channels=tuple(dataset.channels.index(channel_of(s, dataset.channels)) for s in self.signals)
            if takes_signals
            else (),
            steps=steps,
            clock_hz=dataset.clock_hz,
            rates_hz={s: dataset.rates_hz.get(channel_of(s, dataset.channels), 0.0) for s in self.signals},
            keeps=self.part.keeps,
            augment=self.augment,
        )

    def params(self, dataset: DataSet, steps: tuple[int, int], settings: Any, normalise: str, seed: int) -> dict[str, Any]:
        """What a fit of it depends on beside its data: its identity."""
        if isinstance(self.trained, Estimator):
            return {
                "baseline": self.method,
                "baseline_version": self.trained.version,
                "settings": said(settings),
                "sees": list(self.words),
                "steps": list(steps) if self.words else [],
                "clock_hz": dataset.clock_hz,
                "seed": seed,
            }
        identity: dict[str, Any] = {
            "role": self.part.role,
            "network": self.trained.name,
            "network_version": self.trained.version,
            "settings": said(settings),
            "signals": list(self.signals),
            "steps": list(steps),
            "normalise": normalise,
            "seed": seed,
        }
        if self.refits:
            identity |= {"features": "out-of-fold", "inner_folds": self.refits}
        if self.method != PAPER:
            identity |= {"method": self.method, "inputs": [asdict(i) for i in self.part.inputs]}
        if self.augment:
            identity |= {"augment": asdict(self.augment), "augment_version": AUGMENT_VERSION}
        return identity


def _at_own_rate(part: Part) -> Part:
    """The part on the signals of a row that names their rate (`ecg@128`), instead of on the clock."""
    return replace(
        part, inputs=tuple(replace(i, recording=OWN_RATE) if i.recording == "signals" else i for i in part.inputs)
    )


def graph(experiment: Experiment, row: Row) -> tuple[Node, ...]:
    """The nodes of a row, inputs first; the last one gives the predictions."""
    augment = experiment.augmentation
    asked = method(row.method).parts(row.words, lambda role: experiment.network(role)[0])
    parts = tuple(_at_own_rate(part) for part in asked) if any(map(rate_of, row.signals)) else asked
    found: dict[str, Node] = {}
    for plain, part in zip(asked, parts, strict=True):
        recordings = needs(parts, part.role)
        trained, settings = experiment.trained(row.method, part)
        refits = experiment.refits(part)
        if refits:  # hidden states of two refits have no common basis, probabilities have
            part = replace(part, inputs=tuple(replace(i, output=OUT_OF_FOLD) if i.part else i for i in part.inputs))
        seen = sources(recordings)
        words = [w for w in row.words if (SIGNALS_FILE if is_signal(w) else VIDEO) in seen]
        scaled = "signals" in plain.recordings and not isinstance(trained, Estimator)
        own = row.method if len(parts) == 1 else f"{row.method}-{part.role}"
        found[part.role] = Node(
            method=row.method,
            name=part.role if row.method == PAPER else own,
            part=part,
            words=tuple(words) if row.method != PAPER else tuple(filter(is_signal, words)),
            needs=(*key_columns(recordings, filter(is_signal, words)), *row.columns),
            feeding=tuple(found[role] for role in part.feeding),
            trained=trained,
            settings=settings,
            normalise=experiment.signals.normalise if scaled else "",
            augment=augment if scaled and len(part.inputs) == 1 and augment.kinds else None,
            refits=refits,
        )
    return tuple(found.values())
