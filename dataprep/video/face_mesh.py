"""The mesh of a face: 468 points of MediaPipe's face mesh, of one frame in which the place of the face is known.

The network looks at a square around the face, 1.5 times the box, turned so that the eyes are level. The points come back in
pixels of the whole picture. `weights/face_mesh.onnx` (Apache-2.0; `weights/PROVENANCE.md`) is MediaPipe's network, written as
ONNX. Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", arXiv:1907.06724.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from dataprep.records import InputError
from dataprep.video.frames import Frame
from dataprep.video.retinaface import onnx_session

VERSION = 1  # raise when the same frame and face may give other points

POINTS = 468
SIDE = 192  # pixels of the picture that the network takes
AROUND = 1.5  # side of the square, in longer sides of the box
_WEIGHTS = Path(__file__).parent.parent / "weights" / "face_mesh.onnx"

Mesh = Callable[[Frame, np.ndarray], np.ndarray]
"""A frame and the face's state in it (15,): box, landmarks, score; gives (468, 3) float32 x, y, z."""


@cache
def mesh(threads: int = 1) -> Mesh:
    """The network, loaded once per process. Raises InputError if its weights are absent."""
    if not _WEIGHTS.is_file():
        raise InputError(f"{_WEIGHTS}: no such file; expected the weights of the face mesh, part of this package")
    network: ort.InferenceSession = onnx_session(_WEIGHTS, threads)

    def points(frame: Frame, state_15: np.ndarray) -> np.ndarray:
        picture, to_frame_23 = level_square(frame, state_15)
        x_1CYX = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
        found_P3 = network.run(["points"], {"input": x_1CYX})[0].reshape(POINTS, 3)
        placed_P2 = found_P3[:, :2] @ to_frame_23[:, :2].T + to_frame_23[:, 2]
        scale = np.hypot(*to_frame_23[:, 0])  # depth is in pixels of the square, too
        return np.concatenate([placed_P2, found_P3[:, 2:] * scale], axis=1).astype(np.float32)

    return points


def level_square(frame: Frame, state_15: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The turned square around a face as (192, 192, 3) uint8 RGB, and the map (2, 3) from its pixels to the frame's."""
    x0, y0, x1, y1 = (float(v) for v in state_15[:4])
    (right_x, right_y), (left_x, left_y) = state_15[4:8].reshape(2, 2).astype(float)
    angle = np.arctan2(left_y - right_y, left_x - right_x)
    centre, side = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), AROUND * max(x1 - x0, y1 - y0)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    unit = side / SIDE
    # the upright square that holds the turned one, at the same size of pixels: only that is resized and converted
    half_px = int(np.ceil(SIDE / 2 * np.abs(turned[0]).sum()))
    half = half_px * unit
    box = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    upright = frame.window(box, width=2 * half_px, height=2 * half_px)
    # pixel centres lie at whole numbers for OpenCV and at halves for boxes
    to_upright = np.column_stack([turned, half_px - 0.5 - turned @ np.full(2, SIDE / 2 - 0.5)])
    picture = cv2.warpAffine(
        upright, to_upright, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    to_frame = np.column_stack([turned * unit, centre - turned @ np.full(2, SIDE / 2) * unit])
    return picture, to_frame
