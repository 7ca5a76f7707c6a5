"""Prepared trials as fits read them, wherever they are held: signals in memory, features with an executor, the rest stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from dataprep.faces import FaceTrack, track_of
from grid.store.artefacts import Store
from grid.store.identity import Stage
from painmodels.registry import Pretrained

Stages = Mapping[str, Mapping[str, Stage]]
"""Kind of recording -> trial id -> the artefact that holds it (grid.plan.preparation.of_trials)."""


Starts = Mapping[str, Mapping[str, np.ndarray]]
FC7 = "fc7"
"""The name of the trunk's own FC-7 (painmodels.trunks.trunk.head_start), empty if it has none."""


class Blocks(Protocol):
    """Prepared trials, wherever they are held."""

    def of_video(self, kind: str, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """A recording that is made of the video, (n_frames, …) each; a clip that ended early has fewer rows than steps."""

    def of_channels(self, kind: str, trial_ids: Iterable[str]) -> list[Mapping[str, np.ndarray]]:
        """A recording that is made of each channel: channel -> array."""

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""

    def tracks(self, trial_ids: Iterable[str]) -> list[FaceTrack]:
        """Where the face of each trial is."""

    def start(self, name: str) -> Mapping[str, np.ndarray]:
        """Weights that a network starts from, as the driver read them: FC7, or those of a file by its mark. Raises KeyError."""


class StoreBlocks:
    """Recordings read from the store on demand, signals (small) held in memory."""

    def __init__(
        self, store: Store, stages: Stages, signals: Mapping[str, np.ndarray], starts: Starts | None = None
    ) -> None:
        self.store, self.stages, self.signal_arrays, self.starts = store, stages, signals, {FC7: {}, **(starts or {})}

    def of_video(self, kind: str, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """A recording that is made of the video, (n_frames, …) each."""
        return [self.store.arrays(self.stages[kind][t])[kind] for t in trial_ids]

    def of_channels(self, kind: str, trial_ids: Iterable[str]) -> list[Mapping[str, np.ndarray]]:
        """A recording that is made of each channel: channel -> array; the trials of a subject are in one artefact."""
        ids = list(trial_ids)
        blocks = {stage.key: stage for stage in (self.stages[kind][t] for t in ids)}
        found: dict[str, Mapping[str, np.ndarray]] = {}
        for stage in blocks.values():
            arrays = self.store.arrays(stage)
            for n, t in enumerate(self.store.facts(stage)["trial_ids"]):
                found[t] = {channel: x_N[n] for channel, x_N in arrays.items()}
        return [found[t] for t in ids]

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""
        return [self.signal_arrays[t] for t in trial_ids]

    def tracks(self, trial_ids: Iterable[str]) -> list[FaceTrack]:
        """Where the face of each trial is."""
        return [track_of(self.store.arrays(self.stages["faces"][t])) for t in trial_ids]

    def start(self, name: str) -> Mapping[str, np.ndarray]:
        """Weights that a network starts from, by their name."""
        return self.starts[name]


def weights_of_file(blocks: Blocks, settings: Any) -> dict[str, np.ndarray] | None:
    """The weights of the file that a network's settings name, as far as it takes them; None where it names none."""
    if not isinstance(settings, Pretrained) or not settings.from_file:
        return None
    return {f"start.{name}": x for name, x in blocks.start(settings.weights).items() if name.startswith(settings.begins)}
