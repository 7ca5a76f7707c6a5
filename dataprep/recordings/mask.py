"""`mask`: 1 where a step has a frame of its own, (T,); a clip may end a step early."""

from __future__ import annotations

import numpy as np

from dataprep.faces import FaceTrack
from dataprep.recordings.kind import VIDEO, Recording


def seen(track: FaceTrack) -> np.ndarray:
    return np.arange(len(track)) < track.n_frames


RECORDING = Recording(name="mask", of=VIDEO, shape=lambda facts: (facts.n_steps,), dtype="bool", of_track=seen)
