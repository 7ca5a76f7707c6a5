"""Applies the rotation, mirroring and pixel shape that a file states for its stored pictures.

A display matrix (ISO/IEC 14496-12, 6.2.2) sends a stored point (x, y) to (a x + c y, b x + d y), y down. Cameras write the
eight that keep a picture upright or turned by quarters, mirrored or not; any other is refused, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

SLANT = 0.02  # a matrix this near to one of the eight is that one: about a degree
PIXEL_ASPECTS = (Fraction(1, 4), Fraction(4))  # shapes of pixels that cameras and broadcasts have, and more
SAME_SHAPE = 0.02  # shapes of a picture this near to each other are one: sizes are whole pixels


@dataclass(frozen=True)
class Orientation:
    """`turns` quarter turns against the clock, then, if `mirror`, left and right exchanged."""

    turns: int = 0
    mirror: bool = False

    def of(self, plane: np.ndarray) -> np.ndarray:
        """The plane as it is shown, (h, w) or (h, w, 3)."""
        if self == UPRIGHT:
            return plane
        turned = np.rot90(plane, self.turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirror else turned)

    def after(self, turns: int) -> Orientation:
        """The remaining orientation of a picture that was already rotated by `turns` quarter turns."""
        return Orientation((self.turns - turns) % 4, self.mirror)


UPRIGHT = Orientation()
_EIGHT = {
    (1, 0, 0, 1): UPRIGHT,
    (0, -1, 1, 0): Orientation(1),
    (-1, 0, 0, -1): Orientation(2),
    (0, 1, -1, 0): Orientation(3),
    (-1, 0, 0, 1): Orientation(0, mirror=True),
    (0, -1, -1, 0): Orientation(1, mirror=True),
    (1, 0, 0, -1): Orientation(2, mirror=True),
    (0, 1, 1, 0): Orientation(3, mirror=True),
}


def of_matrix(matrix_9: np.ndarray) -> Orientation:
    """The orientation of a display matrix, 9 numbers by rows. Raises ValueError that says what it is, if none of the eight."""
    a, b, _, c, d = (float(v) for v in matrix_9[:5])
    size = np.hypot([a, b], [c, d])  # of the shown x and y
    if not size.any():
        return UPRIGHT  # all zeros: a header that was never filled in
    if size.all():
        unit = np.array([a, b, c, d]) / np.tile(size, 2)
        whole = tuple(int(v) for v in np.round(unit))
        if whole in _EIGHT and np.abs(unit - whole).max() <= SLANT:
            return _EIGHT[whole]
    turn = np.degrees(np.arctan2(b, a))
    raise ValueError(f"a display matrix that turns the picture by {turn:.0f}° ({a:g} {b:g} {c:g} {d:g})")


def shown_size(stored: tuple[int, int], aspect: Fraction | None, orientation: Orientation) -> tuple[int, int]:
    """Width and height in square pixels of a picture stored as (width, height) in pixels of shape `aspect` (None: square).

    One direction is stretched, none is shrunk. Raises ValueError for a shape that no camera has.
    """
    width, height = stored
    aspect = aspect or Fraction(1)
    if not PIXEL_ASPECTS[0] <= aspect <= PIXEL_ASPECTS[1]:
        raise ValueError(f"pixels of the shape {aspect.numerator}:{aspect.denominator}")
    width, height = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    return (height, width) if orientation.turns % 2 else (width, height)


def same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are those of one picture, larger or smaller."""
    return abs(size[0] * other[1] / (size[1] * other[0]) - 1) <= SAME_SHAPE
