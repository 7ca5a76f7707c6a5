"""Which points of the face mesh the published methods on landmarks look at, and what is made of them over time.

The numbers are those of MediaPipe's face mesh; right and left are the person's. P points, T steps.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

RIGHT_BROW, LEFT_BROW = (70, 63, 105, 66, 107), (336, 296, 334, 293, 300)
NOSE, NOSTRILS = (168, 6, 195, 4), (98, 97, 2, 326, 327)
RIGHT_EYE, LEFT_EYE = (33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380)
OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
INNER_LIPS = (78, 81, 13, 311, 308, 402, 14, 178)
POINTS = (*RIGHT_BROW, *LEFT_BROW, *NOSE, *NOSTRILS, *RIGHT_EYE, *LEFT_EYE, *OUTER_LIPS, *INNER_LIPS)
"""The 51 points of the usual scheme without the jaw: brows, nose, eyes, lips."""
EYE_CORNERS = (33, 263)
LINES = (RIGHT_BROW, LEFT_BROW, NOSE, NOSTRILS)
RINGS = (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)
BRIDGES = (
    *((70, 33), (105, 158), (107, 133), (336, 362), (334, 385), (300, 263), (107, 168), (336, 168), (107, 336), (133, 168)),
    *((362, 168), (133, 98), (362, 327), (4, 2), (98, 61), (327, 291), (2, 0), (97, 37), (326, 267), (61, 78), (291, 308)),
    *((39, 81), (0, 13), (269, 311), (405, 402), (17, 14), (181, 178), (33, 61), (263, 291)),
)
"""Edges between the parts of the face."""


def edges() -> list[tuple[int, int]]:
    """The edges of the graph, each once, as places in `POINTS`."""
    drawn = [pair for line in LINES for pair in pairwise(line)]
    drawn += [pair for ring in RINGS for pair in pairwise((*ring, ring[0]))]
    at = {point: n for n, point in enumerate(POINTS)}
    return sorted({(min(at[a], at[b]), max(at[a], at[b])) for a, b in (*drawn, *BRIDGES)})


def adjacency() -> np.ndarray:
    """Neighbours and the point itself, (P, P) float32, divided by the roots of both points' numbers of neighbours."""
    near = np.eye(len(POINTS), dtype=np.float32)
    for a, b in edges():
        near[a, b] = near[b, a] = 1.0
    root = np.sqrt(near.sum(1))
    return (near / root[:, None] / root).astype(np.float32)


DISTANCES = {
    "inner_brow_right": (107, 133),
    "inner_brow_left": (336, 362),
    "brow_right": (105, 159),
    "brow_left": (334, 386),
    "between_brows": (107, 336),
    "eye_right": (159, 145),
    "eye_left": (386, 374),
    "mouth_width": (61, 291),
    "mouth_opening": (13, 14),
    "upper_lip": (0, 2),
    "jaw": (152, 2),
    "corner_to_eye_right": (61, 33),
    "corner_to_eye_left": (291, 263),
    "nostril_to_eye_right": (98, 133),
    "nostril_to_eye_left": (327, 362),
    "cheek_to_eye_right": (50, 145),
    "cheek_to_eye_left": (280, 374),
}
CUT_HZ = 1.0
DESCRIPTORS = ("mean", "median", "range", "sd", "mad", "iqr", "idr")


def courses(points_TP3: np.ndarray) -> dict[str, np.ndarray]:
    """Distances in the space of the mesh, in distances of the outer corners of the eyes; and where the head is and looks to."""
    points = np.asarray(points_TP3, dtype=np.float64)

    def between(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(points[:, a] - points[:, b], axis=-1)

    unit = max(float(np.median(between(*EYE_CORNERS))), 1e-6)
    found = {name: between(*pair) / unit for name, pair in DISTANCES.items()}
    across, along = points[:, 454] - points[:, 234], points[:, 152] - points[:, 10]  # side to side, forehead to chin
    middle = points.mean(1) / unit
    return found | {
        "head_x": middle[:, 0],
        "head_y": middle[:, 1],
        "head_size": np.linalg.norm(along, axis=-1) / unit,
        "roll": np.arctan2(across[:, 1], across[:, 0]),
        "yaw": np.arctan2(across[:, 2], np.hypot(across[:, 0], across[:, 1])),
        "pitch": np.arctan2(along[:, 2], np.hypot(along[:, 0], along[:, 1])),
    }


def described(x_T: np.ndarray) -> list[float]:
    """What `DESCRIPTORS` names."""
    middle = np.median(x_T)
    tenth, quarter, three_quarters, nine_tenths = np.quantile(x_T, (0.1, 0.25, 0.75, 0.9))
    spread = np.median(np.abs(x_T - middle))
    return [x_T.mean(), middle, np.ptp(x_T), x_T.std(), spread, three_quarters - quarter, nine_tenths - tenth]


def mesh_features(points_TP3: np.ndarray, *, rate_hz: float) -> dict[str, float]:
    """Seven descriptors of each smoothed course, of its velocity and of its acceleration. The place of the head alone is none of
    a face: of it the mean and median are left out."""
    from scipy.signal import butter, filtfilt  # here: it takes a second to load, and one row needs it

    given = courses(points_TP3)
    table = np.stack(list(given.values()))
    if table.shape[1] < 3:
        return {
            f"{n}_{m}_{d}": float("nan") for n in given for m in ("course", "velocity", "acceleration") for d in DESCRIPTORS
        }
    b, a = butter(1, min(CUT_HZ / (rate_hz / 2), 0.99))
    smooth = filtfilt(b, a, table, axis=1, padlen=min(6, table.shape[1] - 1))
    velocity = np.gradient(smooth, 1 / rate_hz, axis=1)
    acceleration = np.gradient(velocity, 1 / rate_hz, axis=1)
    out: dict[str, float] = {}
    for made, rows in (("course", smooth), ("velocity", velocity), ("acceleration", acceleration)):
        for name, x_T in zip(given, rows, strict=True):
            found = dict(zip(DESCRIPTORS, described(x_T), strict=True))
            placed = made == "course" and name in ("head_x", "head_y")
            out |= {
                f"{name}_{made}_{key}": float(v) for key, v in found.items() if not (placed and key in ("mean", "median"))
            }
    return out
