"""A contact sheet: a picture with a row of face crops per clip, for visual inspection."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

CELL_PX = 112
LABEL_PX = 18
COLUMNS = 10
GAP_PX = 12
SCREEN_PX = (1920, 1080)
LARGEST_PX = 2 * SCREEN_PX[0]
"""The width of a sheet of many rows: twice a screen's, so that names can be read when it is opened at its size."""


def _columns(rows: int, width_px: int, height_px: int) -> int:
    """How many columns of rows make a sheet about as wide as a screen is; one where all rows fit below each other."""
    if rows * height_px <= SCREEN_PX[1]:
        return 1
    aspect = SCREEN_PX[0] / SCREEN_PX[1]
    return next(n for n in range(1, rows + 1) if n == rows or n * width_px >= aspect * -(-rows // n) * height_px)


def _write(picture: np.ndarray, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)


class ContactSheet:
    """Rows of crops, kept small as they come in. `every`: show every Nth crop; None: `COLUMNS` spread over the clip.

    Many rows stand in columns, so that the sheet fits a screen; such a sheet has `key`, how to read it, at its top.
    """

    def __init__(self, *, every: int | None = None, key: str = "A row a clip, down, then right") -> None:
        self.every, self.key = every, key
        self.rows: list[SheetRow] = []

    def row(self, label: str) -> SheetRow:
        """A row that appears on the sheet once it is appended to `rows`."""
        return SheetRow(label, self.every)

    def write(self, path: Path) -> None:
        """Write a PNG. Raises OSError if that is impossible, ValueError if there is no row."""
        if not self.rows:
            raise ValueError("contact sheet: found no row, expected at least one")
        shown = [row.shown() for row in self.rows]
        width, height = max(len(cells) for cells in shown) * CELL_PX, CELL_PX + LABEL_PX
        side_by_side = _columns(len(shown), width + GAP_PX, height)
        down = -(-len(shown) // side_by_side)
        key = self.key if side_by_side > 1 else ""
        top_px = 2 * LABEL_PX if key else 0
        picture: np.ndarray = np.full((top_px + down * height, side_by_side * (width + GAP_PX) - GAP_PX, 3), 255, np.uint8)
        _write(picture, key, (3, LABEL_PX))
        for n, (row, cells) in enumerate(zip(self.rows, shown, strict=True)):
            left, top = n // down * (width + GAP_PX), top_px + n % down * height
            _write(picture, row.label, (left + 3, top + LABEL_PX - 5))
            strip = np.concatenate(cells, axis=1)
            picture[top + LABEL_PX : top + height, left : left + strip.shape[1]] = strip
        if picture.shape[1] > LARGEST_PX:
            height = round(picture.shape[0] * LARGEST_PX / picture.shape[1])
            picture = cv2.resize(picture, (LARGEST_PX, height), interpolation=cv2.INTER_AREA)
        encoded, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if not encoded:
            raise OSError(f"{path}: a sheet of {picture.shape[1]}x{picture.shape[0]} pixels cannot be written as PNG")
        path.write_bytes(data.tobytes())


class SheetRow:
    """The crops of one clip, thinned out while they come in so that a long clip needs no more memory than a short one."""

    def __init__(self, label: str, every: int | None) -> None:
        self.label, self._every = label, every
        self._step = every or 1
        self._count = 0
        self._cells: list[np.ndarray] = []

    def add(self, crops_BHWC: np.ndarray) -> None:
        for crop_HWC in crops_BHWC:
            if self._count % self._step == 0:
                self._cells.append(cv2.resize(crop_HWC, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA))
            self._count += 1
            if self._every is None and len(self._cells) >= 8 * COLUMNS:
                self._cells, self._step = self._cells[::2], self._step * 2

    def shown(self) -> list[np.ndarray]:
        if self._every is not None or len(self._cells) <= COLUMNS:
            return self._cells
        return [self._cells[i] for i in np.linspace(0, len(self._cells) - 1, COLUMNS).astype(int)]
