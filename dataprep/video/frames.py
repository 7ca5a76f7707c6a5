"""A decoded picture, upright, kept as the decoder's planes, and windows cut out of it.

Only the window that is looked at is resized and converted to RGB, which is what makes preparing nearly as fast as decoding.
Coordinates are continuous, in square pixels of the picture as it is shown: (0, 0) is the outer corner of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[float, float, float, float]
UNEVEN = 2**1.5  # one direction this much finer than the other is halved once more by itself


@dataclass(frozen=True)
class Frame:
    """One decoded picture, `time_s` after the first. `planes`: (Y, U, V), each (h, w) uint8, with `to_rgb` (3, 4);
    or a single (h, w, 3) RGB picture with `to_rgb` None. They are upright: turns and mirrors are undone.

    `shown` is the size (width, height) in square pixels, None where that of the first plane is. `interlaced`: the rows are
    those of two moments in turn.
    """

    time_s: float
    planes: tuple[np.ndarray, ...]
    to_rgb: np.ndarray | None
    shown: tuple[int, int] | None = None
    interlaced: bool = False

    @property
    def height(self) -> int:
        return self.shown[1] if self.shown else int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        return self.shown[0] if self.shown else int(self.planes[0].shape[1])

    def window(self, box: Box, *, width: int, height: int) -> np.ndarray:
        """The box (x0, y0, x1, y1) of the picture as (height, width, 3) uint8 RGB; beyond the edge, the edge is repeated."""
        parts = [_resample(p, box, (self.width, self.height), (width, height)) for p in self.planes]
        return parts[0] if self.to_rgb is None else cv2.transform(cv2.merge(parts), self.to_rgb)

    def luma(self, box: Box, *, side: int) -> np.ndarray:
        """The same window of the luma alone (of green, if the planes are RGB), (side, side) uint8: for comparing."""
        plane = self.planes[0] if self.to_rgb is not None else self.planes[0][..., 1]
        return _resample(plane, box, (self.width, self.height), (side, side))


def _resample(plane: np.ndarray, box: Box, of: tuple[int, int], to: tuple[int, int]) -> np.ndarray:
    """The box (in pixels of a picture of size `of`) of a plane of any resolution, resized to `to` = (width, height).

    Halved by averaging while it is more than twice too large, then cut at sub-pixel position, then resized linearly:
    the smoothness of an area filter at a fifth of its time, and a slowly moving box makes no jumps.
    """
    sx, sy = plane.shape[1] / of[0], plane.shape[0] / of[1]
    x0, y0, x1, y1 = box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy
    finer_x, finer_y = (x1 - x0) / to[0], (y1 - y0) / to[1]
    halvings = max(0, int(np.log2(max(1.0, min(finer_x, finer_y)))))
    more_x, more_y = (max(0, int(np.log2(max(1.0, 2 * f / UNEVEN / 2**halvings)))) for f in (finer_x, finer_y))
    unit_x, unit_y = 2 ** (halvings + more_x), 2 ** (halvings + more_y)
    left = max(0, min(int(x0) - 2 * unit_x, plane.shape[1] - unit_x))
    top = max(0, min(int(y0) - 2 * unit_y, plane.shape[0] - unit_y))
    right, bottom = max(int(np.ceil(x1)) + 2 * unit_x, left + unit_x), max(int(np.ceil(y1)) + 2 * unit_y, top + unit_y)
    part = plane[top:bottom, left:right]
    for n in range(halvings + max(more_x, more_y)):
        half_x, half_y = (2 if n < halvings + more else 1 for more in (more_x, more_y))
        h, w = part.shape[0] // half_y * half_y, part.shape[1] // half_x * half_x
        part = cv2.resize(part[:h, :w], (w // half_x, h // half_y), interpolation=cv2.INTER_AREA)
    size = (max(1, round((x1 - x0) / unit_x)), max(1, round((y1 - y0) / unit_y)))
    centre = (((x0 + x1) / 2 - left) / unit_x - 0.5, ((y0 + y1) / 2 - top) / unit_y - 0.5)
    return cv2.resize(cv2.getRectSubPix(part, size, centre), to, interpolation=cv2.INTER_LINEAR)
