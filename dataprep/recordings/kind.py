"""What a kind of recording is: what it is made of, its shape, and the one function that makes it.

T steps of a trial on the data set's clock, B steps handed over at once. A kind is made of the video, in the one pass over it
that follows the face (`of_video`), of the face's track alone (`of_track`, which stores nothing of its own), or of one channel
of the signals at its own rate (`of_channel`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dataprep.faces import FaceSettings, FaceTrack, Steps

Source = Literal["video", "signals", ""]
VIDEO: Source = "video"
SIGNALS: Source = "signals"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the shape of a trial's recording may depend on. `rate_hz` is a channel's own, 0 where the data set does not say it.

    `trunk_width`: features of a frame by the experiment's trunk, 0 where no row uses it. `faces`: how faces are followed.
    """

    clock_hz: float
    n_steps: int
    rate_hz: float = 0.0
    trunk_width: int = 0
    faces: FaceSettings = field(default_factory=FaceSettings)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One channel of one trial as it was read: (samples,) in the data set's units from the trial's start on, finite, not flat."""

    values: np.ndarray
    rate_hz: float
    channel: str
    clock_hz: float
    n_steps: int


Trunk = Callable[[np.ndarray], np.ndarray]
"""Crops (B, 227, 227, 3) uint8 to the frozen CNN's features, float16 (B, F)."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One entry.

    `name`        what an input of a part calls it; of its artefacts, too
    `of`          what of a trial it is made of: `video`, `signals`, or nothing (empty)
    `along`       what its first axis counts: `steps` of the clock, `samples` of a channel, or nothing (empty: it is of the whole
                  trial, and rows that take it are refused in a scenario that uses a part of each trial)
    `shape`       facts -> its shape for one trial, and one channel of `of_channel`; with `dtype`, its size on disk
    `of_video`    trunk -> a function of `Steps`, begun for each video, that gives a row for each step: (B, …)
    `of_track`    face track -> array
    `of_channel`  samples -> array; raises RecordingError for a channel that it cannot use
    `trunk`       it needs the frozen CNN (else `of_video` is given None)
    `to_the_end`  what it has of a step is of the trial from there to its end: a window that ends before cannot use it
    `frames`      it needs the whole pictures (else `Steps.frames` is empty)
    `settings`    fields of FaceSettings that decide it alone, in its key where they are not at their default
    `version`     raised when the same files come to give other values

    One without a function is made in a way of its own: the signals on the clock, by dataprep.signals.files.
    """

    name: str
    of: Source
    shape: Callable[[Facts], tuple[int, ...]]
    along: Literal["steps", "samples", ""] = "steps"
    dtype: str = "float32"
    of_video: Callable[[Trunk | None], Callable[[Steps], np.ndarray]] | None = None
    of_track: Callable[[FaceTrack], np.ndarray] | None = None
    of_channel: Callable[[Samples], np.ndarray] | None = None
    to_the_end: bool = False
    trunk: bool = False
    frames: bool = False
    settings: tuple[str, ...] = ()
    version: int | str = 1

    def size(self, facts: Facts) -> int:
        """Bytes of one trial's recording (of one channel)."""
        return int(np.prod(self.shape(facts))) * np.dtype(self.dtype).itemsize

    def checked(self, made: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """What a function of this kind gave, in its dtype. Raises ValueError if it has not the shape that the kind says."""
        if made.shape != shape:
            raise ValueError(f"recording {self.name}: found shape {made.shape}, expected {shape}, as its `shape` says")
        return made.astype(self.dtype, copy=False)
