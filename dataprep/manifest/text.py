"""Text files of numbers, whoever wrote them: any delimiter, a decimal comma, no header, fields without a value.

Nothing is evaluated. A field that is no number becomes NaN, so that a garbled row costs the trials that it lies in and no others;
`field` says afterwards what stands there.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dataprep import file_names
from dataprep.manifest.layout import Column, Files
from dataprep.records import RecordingError
from dataprep.storage import Place


@dataclass(frozen=True)
class Lines:
    """The lines of a text file. `names` of its columns, none without a header; `first_row`: where the numbers begin."""

    names: tuple[str, ...]
    body: str
    first_row: int


def decoded(content: bytes, path: Place, encoding: str) -> str:
    """The text, with line feeds alone. Raises RecordingError."""
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeError as error:
        where = (
            f"the byte 0x{content[error.start]:02x} at {error.start}"
            if isinstance(error, UnicodeDecodeError)
            else str(error)
        )
        raise RecordingError(f"{path}: found {where}, expected {encoding} text (files.encoding)") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(content: bytes, path: Place, files: Files) -> Lines:
    """The text cut into names and body. Raises RecordingError."""
    text = decoded(content, path, files.encoding)
    for n in range(files.skip_rows):
        _, mark, text = text.partition("\n")
        if not mark:
            raise RecordingError(f"{path}: found {n + 1} lines, expected more than the {files.skip_rows} of files.skip_rows")
    row = files.skip_rows + 1
    if not files.header:
        return Lines((), text, row)
    header, _, body = text.partition("\n")
    return Lines(tuple(name.strip().strip('"').strip() for name in split(header, files)), body, row + 1)


def split(line: str, files: Files) -> list[str]:
    """The fields of a line."""
    if files.delimiter == "space":
        return line.split()
    return line.split(files.delimiter) if files.delimiter else [line]


def column_places(lines: Lines, wanted: Sequence[Column], path: Place) -> dict[Column, int]:
    """Column -> position. Names are matched exactly, else without regard to case. Raises RecordingError with what nearly fits."""
    places: dict[Column, int] = {}
    for column in wanted:
        if isinstance(column, int):
            if column < 1 or (lines.names and column > len(lines.names)):
                raise RecordingError(f"{path}: found {len(lines.names)} columns, expected column number {column}")
            places[column] = column - 1
            continue
        name = column if lines.names.count(column) == 1 else file_names.match(column, lines.names)
        if name is None or lines.names.count(name) != 1:
            seen = ", ".join(repr(n[:40]) for n in lines.names[:12]) or "no header (files.header = false)"
            twice = " once" if lines.names.count(column) > 1 else ""
            meant = file_names.hint(file_names.near(column, lines.names))
            raise RecordingError(f"{path}: found the columns {seen}, expected {column!r}{twice} among them{meant}")
        places[column] = lines.names.index(name)
    return places


def table(content: bytes, path: Place, files: Files, columns: Sequence[Column]) -> dict[Column, np.ndarray]:
    """Columns of numbers, (rows,) float64 each; NaN where a field is no number. Raises RecordingError where none is."""
    lines = lines_of(content, path, files)
    places = column_places(lines, columns, path)
    if not lines.body.strip():
        raise RecordingError(f"{path}: found no rows of numbers, expected a row a sample")
    body = lines.body.replace(",", ".") if files.decimal == "," else lines.body
    delimiter = None if files.delimiter in ("space", "") else files.delimiter
    at = list(dict.fromkeys(places.values()))
    try:
        x_RC = np.loadtxt(io.StringIO(body), delimiter=delimiter, comments=None, usecols=at, ndmin=2)
        if "\n\n" in lines.body.strip("\n") or (files.decimal == "," and "." in lines.body):
            raise ValueError("blank lines, which are not counted, or two decimal signs")
    except ValueError:
        x_RC = _with_gaps(lines.body.rstrip("\n"), files, at)
    found = {column: np.ascontiguousarray(x_RC[:, at.index(place)]) for column, place in places.items()}
    for column, values in found.items():
        if np.isnan(values).all():
            text = split(lines.body.partition("\n")[0], files)
            seen = repr(text[places[column]].strip()[:40]) if places[column] < len(text) else f"{len(text)} fields"
            raise RecordingError(
                f"{path}: row {lines.first_row}, column {column!r}: found {seen} and no number below it, expected numbers "
                f"with the decimal sign {files.decimal!r} and the delimiter {files.delimiter!r}"
            )
    return found


def _with_gaps(body: str, files: Files, at: Sequence[int]) -> np.ndarray:
    """The columns at these positions, NaN for every field that is no number."""
    rows = body.split("\n")
    x_RC = np.full((len(rows), len(at)), np.nan)
    for n, line in enumerate(rows):
        fields = split(line, files)
        for k, place in enumerate(at):
            if place < len(fields):
                x_RC[n, k] = number(fields[place], files.decimal)
    return x_RC


def number(text: str, decimal: str = ".") -> float:
    """The number that a field holds, NaN if it holds none."""
    text = text.strip().strip('"').strip()
    if decimal == ",":
        if "." in text:
            return np.nan
        text = text.replace(",", ".")
    try:
        return np.nan if "_" in text else float(text)
    except ValueError:
        return np.nan


def field(content: bytes, path: Place, files: Files, *, row: int, column: Column) -> str:
    """Where the sample number `row` (from 0) of a column stands and what is written there."""
    lines = lines_of(content, path, files)
    place = column_places(lines, [column], path)[column]
    line = _rows(lines.body)[row] if row < len(_rows(lines.body)) else ""
    fields = split(line, files)
    seen = repr(fields[place].strip()[:40]) if place < len(fields) else f"{len(fields)} fields"
    return f"row {lines.first_row + row}, column {column!r}: found {seen}"


@lru_cache(maxsize=1)
def _rows(body: str) -> tuple[str, ...]:
    return tuple(body.split("\n"))
