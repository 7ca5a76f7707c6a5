"""`mesh`: 468 points of the face in each step (dataprep/video/face_mesh.py), float32 (T, 468, 3): x, y and depth in pixels of the
whole picture; depth is relative to the face's middle, negative towards the camera. Every step is computed, none interpolated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dataprep.faces import Steps
from dataprep.recordings.kind import VIDEO, Recording, Trunk
from dataprep.video.face_mesh import POINTS, VERSION, mesh


def begin(trunk: Trunk | None) -> Callable[[Steps], np.ndarray]:
    points = mesh()
    return lambda steps: np.stack([points(f, s) for f, s in zip(steps.frames, steps.states_B15, strict=True)])


RECORDING = Recording(
    name="mesh", of=VIDEO, shape=lambda facts: (facts.n_steps, POINTS, 3), of_video=begin, frames=True, version=VERSION
)
