"""Columns of numbers of long recordings: one text file a person, from which many trials are cut.

A file is parsed once and kept while trials are cut from it and from the other files of the person.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dataprep.records import RecordingError
from dataprep.signals.files import NO_VALUE, read_text
from dataprep.storage import Place

KEPT_BYTES = 512 * 2**20
_KEPT: dict[str, tuple[object, Mapping[str, np.ndarray]]] = {}  # the files read last, oldest first


@dataclass(frozen=True, kw_only=True)
class Format:
    """How numbers stand in a text file. `header`: the names of its columns, where the file itself has no line of names."""

    delimiter: str = "\t"
    decimal: str = "."
    comment: str = ""
    header: tuple[str, ...] = ()


def read_columns(path: Place, names: Sequence[str], form: Format) -> Mapping[str, np.ndarray]:
    """Column -> (rows,) float64; NaN where a field is empty or says that it holds no value. Arrays are read-only.

    Raises RecordingError that names the file, the column and the line for what is no number, and OSError where the file cannot be
    reached.
    """
    stat = path.stat()
    stamp = (stat.st_size, getattr(stat, "st_mtime_ns", 0), tuple(names), form)
    kept = _KEPT.get(str(path))
    if kept is None or kept[0] != stamp:
        _KEPT.pop(str(path), None)
        kept = _KEPT[str(path)] = (stamp, _parse(path, names, form))
        while len(_KEPT) > 1 and sum(x.nbytes for _, columns in _KEPT.values() for x in columns.values()) > KEPT_BYTES:
            del _KEPT[next(iter(_KEPT))]
    return kept[1]


def _parse(path: Place, names: Sequence[str], form: Format) -> Mapping[str, np.ndarray]:
    lines = read_text(path).split("\n")
    skipped = next((n for n, line in enumerate(lines) if not (form.comment and line.startswith(form.comment))), len(lines))
    if form.header:
        present, first = list(form.header), skipped
    else:
        present, first = (
            [name.strip() for name in lines[skipped].split(form.delimiter)] if skipped < len(lines) else [],
            skipped + 1,
        )
    wrong = [name for name in names if present.count(name) != 1]
    if wrong:
        seen = ", ".join(repr(name[:40]) for name in present[:14])
        raise RecordingError(
            f"{path}: found the columns {seen or 'of an empty file'}, expected one each of {', '.join(names)}"
        )
    body = "\n".join(lines[first:])
    if not body.strip():
        raise RecordingError(f"{path}: found no rows after the names of the columns, expected rows of numbers")
    try:
        frame = pd.read_csv(
            io.StringIO(body),
            sep=form.delimiter,
            decimal=form.decimal,
            header=None,
            names=range(len(present)),
            usecols=[present.index(name) for name in names],
            na_values=sorted(NO_VALUE),
            skipinitialspace=True,
            index_col=False,
            quoting=3,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise RecordingError(f"{path}: {str(error)[:200]}, expected rows of {len(present)} numbers") from error
    out = {}
    for name in names:
        column = frame[present.index(name)]
        if column.dtype == object or str(column.dtype) == "str":
            text = column.astype("string").str.strip().str.replace(form.decimal, ".", regex=False)
            numbers = pd.to_numeric(text, errors="coerce")
            bad = np.flatnonzero(numbers.isna() & column.notna() & ~text.str.casefold().isin(NO_VALUE).fillna(True))
            if bad.size:
                where = f"line {first + 1 + int(bad[0])}, column {name!r}"
                raise RecordingError(f"{path}: {where}: found {str(column.iloc[bad[0]])[:40]!r}, expected a number")
            column = numbers
        out[name] = np.asarray(column, dtype=np.float64)
        out[name].flags.writeable = False
    return out


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
