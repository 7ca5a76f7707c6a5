"""`pixels`: the aligned face in each step, grey levels, uint8 (T, 112, 112), or as large as `[faces] pixels` says.

Eyes, nose and corners of the mouth are brought as near as a similarity transform can to the places where face recognition has
them in pictures of this size (the template of ArcFace, Deng et al. 2019, https://arxiv.org/abs/1801.07698): so the eyes are
level and the face has one size. Grey is the decoder's luma. A network that wants smaller pictures makes them smaller, so
one recording serves all; a smaller recording takes less of the disk.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from dataprep.faces import Steps
from dataprep.recordings.kind import VIDEO, Recording, Trunk
from dataprep.video.decode import Frame

SIDE = 112
TEMPLATE_52 = np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]], np.float32)
"""Right eye, left eye, nose, right and left corner of the mouth as a picture shows them, in pixels of a side of 112."""
REACH = 1.4
"""A square of so many times the face's size on either side of its middle holds all that is seen after the turn."""


def similarity(points_52: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The turn, scale and shift (2, 3) that bring five landmarks nearest to the template, in least squares."""
    template_52 = TEMPLATE_52 * (side / SIDE)
    x, y = (points_52 - points_52.mean(0)).T.astype(np.float64)
    u, v = (template_52 - template_52.mean(0)).T.astype(np.float64)
    size = max(float((x**2 + y**2).sum()), 1e-9)
    a, b = float((x * u + y * v).sum()) / size, float((x * v - y * u).sum()) / size
    turn_22 = np.array([[a, -b], [b, a]])
    return np.concatenate([turn_22, (template_52.mean(0) - turn_22 @ points_52.mean(0))[:, None]], axis=1)


def aligned(frame: Frame, landmarks_52: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The face of one picture, (side, side) uint8; beyond the edge of the picture, the edge is repeated."""
    to_face_23 = similarity(landmarks_52, side)
    scale = float(np.hypot(*to_face_23[:, 0]))
    middle_2 = np.linalg.solve(to_face_23[:, :2], np.full(2, side / 2) - to_face_23[:, 2])
    half = REACH / 2 * side / max(scale, 1e-6)
    x0, y0 = middle_2 - half
    window = frame.luma((float(x0), float(y0), float(x0 + 2 * half), float(y0 + 2 * half)), side=2 * side)
    unit = half / side
    of_window_23 = to_face_23.copy()
    of_window_23[:, 2] += to_face_23[:, :2] @ np.array([x0, y0])
    of_window_23[:, :2] *= unit
    return cv2.warpAffine(window, of_window_23, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def begin(trunk: Trunk | None) -> Callable[[Steps], np.ndarray]:
    def faces(steps: Steps) -> np.ndarray:
        side = steps.settings.pixels
        shown = zip(steps.frames, steps.states_B15, strict=True)
        return np.stack([aligned(frame, state[4:14].reshape(5, 2), side) for frame, state in shown])

    return faces


RECORDING = Recording(
    name="pixels",
    of=VIDEO,
    shape=lambda facts: (facts.n_steps, facts.faces.pixels, facts.faces.pixels),
    dtype="uint8",
    of_video=begin,
    frames=True,
    settings=("pixels",),
)
