"""`pixels`: the aligned face in each step, 112 x 112 grey levels, uint8 (T, 112, 112).

Eyes, nose and corners of the mouth are brought as near as a similarity transform can to the places where face recognition has
them in pictures of this size (the template of ArcFace, Deng et al. 2019, https://arxiv.org/abs/1801.07698): so the eyes are
level and the face has one size. Grey is the decoder's luma. There is no option of size: a network that wants smaller pictures
makes them smaller, and one recording serves all.
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
WORK = 2 * SIDE
REACH = 1.4
"""A square of so many times the face's size on either side of its middle holds all that is seen after the turn."""


def similarity(points_52: np.ndarray) -> np.ndarray:
    """The turn, scale and shift (2, 3) that bring five landmarks nearest to the template, in least squares."""
    x, y = (points_52 - points_52.mean(0)).T.astype(np.float64)
    u, v = (TEMPLATE_52 - TEMPLATE_52.mean(0)).T.astype(np.float64)
    size = max(float((x**2 + y**2).sum()), 1e-9)
    a, b = float((x * u + y * v).sum()) / size, float((x * v - y * u).sum()) / size
    turn_22 = np.array([[a, -b], [b, a]])
    return np.concatenate([turn_22, (TEMPLATE_52.mean(0) - turn_22 @ points_52.mean(0))[:, None]], axis=1)


def aligned(frame: Frame, landmarks_52: np.ndarray) -> np.ndarray:
    """The face of one picture, (112, 112) uint8; beyond the edge of the picture, the edge is repeated."""
    to_face_23 = similarity(landmarks_52)
    scale = float(np.hypot(*to_face_23[:, 0]))
    middle_2 = np.linalg.solve(to_face_23[:, :2], np.full(2, SIDE / 2) - to_face_23[:, 2])
    half = REACH / 2 * SIDE / max(scale, 1e-6)
    x0, y0 = middle_2 - half
    window = frame.luma((float(x0), float(y0), float(x0 + 2 * half), float(y0 + 2 * half)), side=WORK)
    unit = 2 * half / WORK
    of_window_23 = to_face_23.copy()
    of_window_23[:, 2] += to_face_23[:, :2] @ np.array([x0, y0])
    of_window_23[:, :2] *= unit
    return cv2.warpAffine(window, of_window_23, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def begin(trunk: Trunk | None) -> Callable[[Steps], np.ndarray]:
    return lambda steps: np.stack(
        [aligned(f, state[4:14].reshape(5, 2)) for f, state in zip(steps.frames, steps.states_B15, strict=True)]
    )


RECORDING = Recording(
    name="pixels",
    of=VIDEO,
    shape=lambda facts: (facts.n_steps, SIDE, SIDE),
    dtype="uint8",
    of_video=begin,
    frames=True,
)
