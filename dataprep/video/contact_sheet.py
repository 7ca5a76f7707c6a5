"""A contact sheet: a picture with a row of face crops per clip, for visual inspection."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

CELL_PX = 112
LABEL_PX = 18
COLUMNS = 10


class ContactSheet:
    """Rows of crops, kept small as they come in. `every`: show every Nth crop; None: `COLUMNS` spread over the clip."""

    def __init__(self, *, every: int | None = None) -> None:
        self.every = every
        self.rows: list[SheetRow] = []

    def row(self, label: str) -> SheetRow:
        """A row that appears on the sheet once it is appended to `rows`."""
        return SheetRow(label, self.every)

    def write(self, path: Path) -> None:
        """Write a PNG. Raises OSError if that is impossible, ValueError if there is no row."""
        if not self.rows:
            raise ValueError("contact sheet: found no row, expected at least one")
        shown = [row.shown() for row in self.rows]
        width = max(len(cells) for cells in shown) * CELL_PX
        picture = np.full((len(shown) * (CELL_PX + LABEL_PX), width, 3), 255, np.uint8)
        for n, (row, cells) in enumerate(zip(self.rows, shown, strict=True)):
            top = n * (CELL_PX + LABEL_PX)
            cv2.putText(
                picture, row.label, (3, top + LABEL_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
            )
            strip = np.concatenate(cells, axis=1)
            picture[top + LABEL_PX : top + LABEL_PX + CELL_PX, : strip.shape[1]] = strip
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
