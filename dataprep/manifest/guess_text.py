"""Guesses how a text file of numbers is written: encoding, signs, header, where the numbers begin, times, rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dataprep.manifest.layout import TIME_UNITS, Files
from dataprep.manifest.text import number, split
from dataprep.records import RecordingError
from dataprep.storage import Place

LOOKED_AT = 400_000  # bytes of a file
SIGNS = (("", "."), ("", ","), (";", ","), (";", "."), ("\t", ","), ("\t", "."), (",", "."), ("space", ","), ("space", "."))
TIME_NAME = re.compile(
    r"^\W*(time|times|timestamps?|zeit|t|secs?|seconds|sekunden|ms|msec|millis\w*|elapsed)([\W_].*)?$", re.IGNORECASE
)
UNIT_OF = (
    ("ms", r"(\bms\b|_ms$|millis|msec)"),
    ("us", r"(\bus\b|µs|_us$|micros)"),
    ("min", r"\bmin(utes)?\b"),
    ("s", r"(\bs\b|_s$|sec|sek)"),
)
RATE = re.compile(r"(?:rate|frequency|freq|\bfs\b|sampl\w*)\D{0,40}?(\d+(?:[.,]\d+)?)|(\d+(?:[.,]\d+)?)\s*hz", re.I)


@dataclass(frozen=True)
class Guess:
    """What a file seems to be. `names` and `units` of its columns, empty where nothing is said; `x_RC`: its first rows.

    `n_rows`: how many rows of numbers the whole file has. `why`: key of [files] -> what it was guessed from.
    """

    files: Files
    names: tuple[str, ...]
    units: tuple[str, ...]
    x_RC: np.ndarray
    n_rows: int
    why: dict[str, str] = field(default_factory=dict)


def guess_text(path: Place) -> Guess:
    """The guess for one file. Raises RecordingError where no rows of numbers are found."""
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    part = content[: LOOKED_AT // 2 * 2]
    try:
        text = part.decode(
            encoding if encoding != "utf-8" else "utf-8-sig", errors="strict" if len(part) == len(content) else "ignore"
        )
    except UnicodeDecodeError:
        encoding, text = "latin-1", part.decode("latin-1")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = lines[:-1] if len(part) < len(content) else lines
    best = max((_numbers(lines, *signs) for signs in SIGNS), key=lambda found: found[0])
    (share, columns, _), first, (delimiter, decimal) = best
    if share < 0.3 or not columns:
        raise RecordingError(f"{path}: found no rows of numbers, expected a sample a row")
    files = Files(delimiter=delimiter, decimal=decimal, header=False, skip_rows=first, encoding=encoding)
    fields = [[f.strip().strip('"').strip() for f in split(line, files)] for line in lines[:first]]
    head = [f for f in fields if len(f) == columns and any(f) and not all(_is_number(v, decimal) for v in f)]
    head = [f for f in head if columns > 1 or not f[0].startswith("#")]
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    why = {"delimiter": f"{columns} column{'s' * (columns > 1)} in every row", "decimal": "as the numbers are written"}
    if first and head and fields[-1] is head[-1]:
        names = tuple(head[-1])
        if len(head) > 1 and fields[-2] is head[-2] and len(set(names)) < len(names) + 1 and _are_units(names):
            names, units = tuple(head[-2]), names
            why["header"] = f"the names are followed by a line of units: {', '.join(names)}"
        else:
            files = files.model_copy(update={"header": True, "skip_rows": first - 1})
    body = lines[first:]
    x_RC = np.array([_row(line, files, columns) for line in body if line.strip()][:20_000])
    rate = RATE.search("\n".join(lines[: files.skip_rows])) or RATE.search(path.name)
    if rate:
        said = float(next(g for g in rate.groups() if g).replace(",", "."))
        if 0 < said <= 100_000:
            files, why["rate_hz"] = files.model_copy(update={"rate_hz": said}), f"it says {rate.group(0).strip()!r}"
    if columns == 1 and not names and len(x_RC) > 3 and x_RC[0, 0] > 1e8 and 0 < x_RC[1, 0] <= 10_000:
        files = files.model_copy(update={"skip_rows": files.skip_rows + 2, "rate_hz": float(x_RC[1, 0])})
        why["rate_hz"], x_RC, first = "the second line; the first is the start as unix time", x_RC[2:], first + 2
    n_rows = max(len(x_RC), n_lines(content) - first)
    return Guess(files=files, names=names, units=units, x_RC=x_RC, n_rows=n_rows, why=why)


def n_lines(content: bytes) -> int:
    """How many lines a text has, empty ones at its end not counted."""
    whole = content.rstrip(b"\0 \t\r\n")
    return whole.count(b"\n" if b"\n" in whole else b"\r") + bool(whole)


def with_time(guess: Guess) -> Guess:
    """The same with its time column, where it has one: by its name, or by values that ascend in equal steps."""
    for n in range(guess.x_RC.shape[1]):
        name = guess.names[n] if guess.names else ""
        steps = np.diff(guess.x_RC[:, n])
        if len(steps) < 2 or not np.isfinite(steps).all() or steps.min() < 0 or not steps.max() > 0:
            continue
        regular = steps.max() <= 2.5 * np.median(steps)
        if not (TIME_NAME.match(name) or (not name and regular)):
            continue
        if not name and (guess.x_RC[-1, n] - guess.x_RC[0, n]) / len(steps) == 1:
            continue  # a counter of samples
        unit, _, told = unit_of_steps(f"{name} {guess.units[n] if guess.units else ''}", guess.x_RC[:, n])
        column = name if guess.files.header and guess.names.count(name) == 1 else n + 1
        files = guess.files.model_copy(update={"time": column, "time_unit": unit, "rate_hz": None})
        why = {**guess.why, "time": "by its name" if name else "its values ascend in equal steps", "time_unit": told}
        return replace(guess, files=files, why=why)
    return guess


def unit_of_steps(name: str, x_R: np.ndarray) -> tuple[str, float, str]:
    """The unit of times, by what is said of them or by their steps, the rate in Hz, and what the unit was guessed from."""
    step = float((x_R[-1] - x_R[0]) / (len(x_R) - 1))
    said = next((u for u, pattern in UNIT_OF if re.search(pattern, name, re.I)), "")
    unit = said or next((u for u in ("s", "ms", "us") if 3 <= 1 / (step * TIME_UNITS[u]) <= 20_000), "s")
    rate_hz = 1 / (step * TIME_UNITS[unit])
    return unit, rate_hz, f"{'by its name' if said else f'steps of {step:g}'}: {rate_hz:.4g} samples a second"


def time_unit(name: str, said: str, x_R: np.ndarray) -> tuple[str, float, str] | None:
    """The same of a column that is one of times by its name and its values; None of any other."""
    if len(x_R) < 3 or not TIME_NAME.match(name):
        return None
    steps = np.diff(x_R.astype(np.float64))
    if not np.isfinite(steps).all() or steps.min() < 0 or not steps.max() > 0:
        return None
    return unit_of_steps(f"{name} {said}", x_R.astype(np.float64))


def _numbers(lines: Sequence[str], delimiter: str, decimal: str) -> tuple[tuple[float, int, int], int, tuple[str, str]]:
    """How well the lines are rows of numbers under these signs: (share of numbers, columns, rank), first such line, the signs."""
    files = Files.model_construct(delimiter=delimiter, decimal=decimal)  # type: ignore[arg-type]
    rows = [split(line, files) for line in lines[:400] if line.strip()]
    if not rows:
        return (0.0, 0, 0), 0, (delimiter, decimal)
    counts = [len(row) for row in rows[len(rows) // 3 :]]
    columns = max(set(counts), key=counts.count)
    numeric = [len(row) == columns and sum(_is_number(v, decimal) for v in row) >= max(1, columns / 2) for row in rows]
    first = next((n for n in range(len(numeric)) if all(numeric[n : n + 3])), len(numeric))
    body = rows[first:]
    if not body:
        return (0.0, 0, 0), 0, (delimiter, decimal)
    share = sum(_is_number(v, decimal) for row in body for v in row if len(row) == columns) / sum(map(len, body))
    if (delimiter, decimal) == (",", ".") and columns == 2 and _is_one_number(rows[:first], body):
        share = 0.0
    blank = sum(not line.strip() for line in lines[:first])
    rank = sum(decimal in v for row in body[:50] for v in row)
    return (round(share, 2), columns, rank), first + blank, (delimiter, decimal)


def _is_one_number(head: Sequence[Sequence[str]], body: Sequence[Sequence[str]]) -> bool:
    """Whether two columns with a comma between them are rather one of numbers with a decimal comma."""
    if any(len(row) == 2 for row in head):
        return False
    second = [row[1] for row in body if len(row) == 2]
    return any(len(v) > 1 and v[0] == "0" and v.isdigit() for v in second) or (
        all(v.isdigit() for v in second) and bool(head)
    )


def _is_number(text: str, decimal: str) -> bool:
    return not np.isnan(number(text, decimal))


def _are_units(fields: Sequence[str]) -> bool:
    return all(len(re.sub(r"[\[\]()]", "", f)) <= 6 for f in fields)


def _row(line: str, files: Files, columns: int) -> list[float]:
    values = [number(v, files.decimal) for v in split(line, files)[:columns]]
    return values + [np.nan] * (columns - len(values))
