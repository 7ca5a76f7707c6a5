"""Columns of numbers of long recordings: one text file a person, from which many trials are cut.

A file is parsed once and kept while trials are cut from it and from the other files of the person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dataprep.manifest import text
from dataprep.manifest.layout import Column, Files
from dataprep.records import RecordingError
from dataprep.storage import Place

KEPT_BYTES = 512 * 2**20
_KEPT: dict[str, tuple[object, Mapping[Column, np.ndarray]]] = {}  # the files read last, oldest first


def read_columns(path: Place, columns: Sequence[Column], files: Files) -> Mapping[Column, np.ndarray]:
    """Column (a name, or a number from 1) -> (rows,) float64, read-only; NaN where a field holds no number.

    Raises RecordingError for what is in the file, OSError where it cannot be reached.
    """
    if path.exists() and not path.is_file():
        raise RecordingError(f"{path}: cannot be read (a folder or a device), expected a text file")
    stat = path.stat()
    stamp = (stat.st_size, stat.st_mtime, tuple(columns), files.model_dump_json())
    kept = _KEPT.get(str(path))
    if kept is None or kept[0] != stamp:
        _KEPT.pop(str(path), None)
        content = path.read_bytes()
        if not content:
            raise RecordingError(f"{path}: the file is empty (0 bytes); expected a table")
        read = text.table(content, path, files, columns)
        for values in read.values():
            values.flags.writeable = False
        kept = _KEPT[str(path)] = (stamp, read)
        while len(_KEPT) > 1 and sum(x.nbytes for _, arrays in _KEPT.values() for x in arrays.values()) > KEPT_BYTES:
            del _KEPT[next(iter(_KEPT))]
    return kept[1]


def complete(path: Place, column: str, values: np.ndarray, files: Files) -> np.ndarray:
    """The values, each of them a number. Raises RecordingError that says where the first other one stands, and what it is."""
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        where = text.field(path.read_bytes(), path, files, row=int(bad[0]), column=column)
        raise RecordingError(f"{path}: {where}, the first of {bad.size} that are no number; expected one in each row")
    return values


def head(path: Place, n_bytes: int = 65536) -> str:
    """The beginning of a text file, without its byte-order mark; bytes that are not UTF-8 become U+FFFD. Raises OSError."""
    with path.open("rb") if isinstance(path, Path) else path.open() as opened:
        return opened.read(n_bytes).decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def cut(values: np.ndarray, *, rate_hz: float, start_s: float, length_s: float) -> np.ndarray:
    """The samples of a window, from the first at or after `start_s` to the first at or after its end.

    `to_clock` needs that last one where the signal is slower than the clock, and ignores what is after the last step.
    """
    first = int(np.ceil(start_s * rate_hz - 1e-6))
    return values[first : first + int(np.ceil(length_s * rate_hz - 1e-6)) + 1]
