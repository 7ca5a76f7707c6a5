"""A part of a method on what a row sees: the nodes of the graph that the planner walks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from dataprep.records import DataSet
from grid.experiment.cells import Row, channel_of, is_signal
from grid.experiment.config import Experiment
from grid.plan.specs import PartSpec
from painmodels.methods import PAPER, method
from painmodels.methods.graph import Estimator, Part, kinds, needs
from painmodels.registry import SubNetwork, said
from painmodels.training.augment import VERSION as AUGMENT_VERSION
from painmodels.training.augment import Augment


@dataclass(frozen=True)
class Node:
    """A part, what it sees, what feeds it and how it is configured by the experiment.

    `name`: of its stages; `words`: those of the row that it sees; `needs`: what of a trial has to be usable, 'video' and signals
    by their words. Nodes of two rows that are the same are equal.
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

    @property
    def signals(self) -> tuple[str, ...]:
        """The words that are signals."""
        return tuple(word for word in self.words if is_signal(word))

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
        if self.method != PAPER:
            identity |= {"method": self.method, "inputs": [asdict(i) for i in self.part.inputs]}
        if self.augment:
            identity |= {"augment": asdict(self.augment), "augment_version": AUGMENT_VERSION}
        return identity


def graph(experiment: Experiment, row: Row) -> tuple[Node, ...]:
    """The nodes of a row, inputs first; the last one gives the predictions."""
    augment = experiment.augmentation
    parts = method(row.method).parts(row.words, lambda role: experiment.network(role)[0])
    found: dict[str, Node] = {}
    for part in parts:
        recordings = needs(parts, part.role)
        trained, settings = experiment.trained(row.method, part)
        sees_video = "video" in kinds(recordings)
        words = [w for w in row.words if ("signals" in recordings if is_signal(w) else sees_video)]
        scaled = "signals" in part.recordings and not isinstance(trained, Estimator)
        own = row.method if len(parts) == 1 else f"{row.method}-{part.role}"
        found[part.role] = Node(
            method=row.method,
            name=part.role if row.method == PAPER else own,
            part=part,
            words=tuple(words) if row.method != PAPER else tuple(filter(is_signal, words)),
            needs=(*(["video"] if sees_video else []), *filter(is_signal, words), *row.columns),
            feeding=tuple(found[role] for role in part.feeding),
            trained=trained,
            settings=settings,
            normalise=experiment.signals.normalise if scaled else "",
            augment=augment if scaled and len(part.inputs) == 1 and augment.kinds else None,
        )
    return tuple(found.values())
