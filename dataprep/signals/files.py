"""Body signals on the clock of the frames: one subject's trials in, one float32 table out.

Min-max scaling is fitted, so it is not done here. Readers parse text with `read_text` and `read_table`, which turn any
bytes into values or a RecordingError and never evaluate anything.

Shapes: N trials, T steps, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dataprep.records import DataSet, Defect, RecordingError, Trial
from dataprep.signals import derived
from dataprep.signals.resampling import to_clock
from dataprep.storage import Place

Samples = tuple[np.ndarray, float]
"""Values of a channel, (samples,), and their rate in Hz."""
NO_VALUE = frozenset(
    ["", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "--", ".", "?", "missing"]
)  # in any case of letters


def prepare_signals(
    trials: Sequence[Trial],
    dataset: DataSet,
    *,
    on_read: Callable[[Trial, Mapping[str, Samples]], None] = lambda trial, read: None,
) -> tuple[np.ndarray, tuple[str, ...], tuple[Defect, ...]]:
    """One subject's signals on the clock: (x_NTC float32, the N trial ids in the given order, defects).

    A trial whose file cannot be used becomes a Defect; a trial without a signal file is left out without one, because
    the reader has reported it already (or the data set has no signals at all). Where some channels can be used, the trial is in
    the table, with zeros for the others, which its Defect names. `on_read` sees the usable channels that were read of each trial,
    and may raise RecordingError, too.
    """
    rows, ids, defects = [], [], []
    for trial in trials:
        if trial.signals is None:
            continue
        try:
            x_TC, used, wrong = _usable(dataset.read_signals(trial), trial, dataset)
            on_read(trial, used)
        except RecordingError as e:
            defects.append(
                Defect(trial_id=trial.trial_id, subject=trial.subject, part="signals", file=trial.signals, reason=str(e))
            )
            continue
        rows.append(x_TC)
        ids.append(trial.trial_id)
        if wrong:
            what = (trial.trial_id, trial.subject, "signals", trial.signals, "; ".join(wrong.values()))
            defects.append(Defect(*what, channels=tuple(wrong)))
    x_NTC = np.stack(rows) if rows else np.empty((0, dataset.n_steps, len(dataset.channels)), np.float32)
    return x_NTC, tuple(ids), tuple(defects)


def on_clock(read: Mapping[str, Samples], trial: Trial, dataset: DataSet) -> np.ndarray:
    """What `dataset.read_signals(trial)` gave as (T, C) float32 on the clock, in the order of the data set's channels.

    Raises RecordingError that names the file and the channel where a channel is missing, unfit for `to_clock`, or flat: a body
    never gives the same number for seconds, an electrode that came off does.
    """
    return np.stack([_channel(read, channel, trial, dataset)[0] for channel in dataset.channels], axis=1)


def _usable(
    read: Mapping[str, Samples], trial: Trial, dataset: DataSet
) -> tuple[np.ndarray, dict[str, Samples], dict[str, str]]:
    """The same with zeros for channels that cannot be used, the samples of those that can, and why the others cannot.

    RecordingError if none can.
    """
    columns, used, wrong = [], {}, {}
    for channel in dataset.channels:
        try:
            column_T, used[channel] = _channel(read, channel, trial, dataset)
            columns.append(column_T)
        except RecordingError as e:
            wrong[channel] = str(e)
            columns.append(np.zeros(dataset.n_steps, np.float32))
    if len(wrong) == len(dataset.channels):
        raise RecordingError(next(iter(wrong.values())))
    return np.stack(columns, axis=1), used, wrong


def _channel(read: Mapping[str, Samples], channel: str, trial: Trial, dataset: DataSet) -> tuple[np.ndarray, Samples]:
    """A channel on the clock, (T,), and its samples: as they were read, or made of those of another channel."""
    of = dataset.derived.get(channel, channel)
    if of not in read:
        raise RecordingError(f"{trial.signals}: found channels {sorted(read)}, expected {of!r} among them")
    values, rate_hz = read[of]
    named = repr(channel) if of == channel else f"{channel!r}, made of {of!r}"
    if len(values) > 1 and np.isfinite(values).all() and np.min(values) == np.max(values):
        seen = f"found {values[0]:g} in all {len(values)} rows: it is flat"
        raise RecordingError(f"{trial.signals}: channel {named}: {seen}, expected a signal")
    clock: dict[str, Any] = {"clock_hz": dataset.clock_hz, "n_steps": dataset.n_steps}
    try:
        if of != channel:
            values, rate_hz = derived.made(channel, of, values, rate_hz, **clock)
        return to_clock(values, rate_hz=rate_hz, **clock), (values, rate_hz)
    except RecordingError as e:
        where = "" if np.isfinite(values).all() else dataset.explain(trial, of)
        raise RecordingError(f"{trial.signals}: channel {named}: {e}{where and f'; {where}'}") from e


class NoValueError(RecordingError):
    """A signal file with fields that hold no number because nothing was measured there: empty, NA and the like."""


def read_text(path: Place, *, lenient: bool = False) -> str:
    """The whole file as text (UTF-8, a byte-order mark is dropped, line ends become a line feed).

    Raises RecordingError for what is in the file, OSError where the file cannot be reached: that is not the recording's fault.

    `lenient`: bytes that are not UTF-8 become U+FFFD, for a reader that can leave out the lines they spoil.
    """
    try:
        if path.exists() and not path.is_file():  # reading a pipe may never end
            raise RecordingError(f"{path}: cannot be read (a folder or a device), expected a text file")
        content = path.read_bytes()
        return (
            content.decode("utf-8-sig", errors="replace" if lenient else "strict").replace("\r\n", "\n").replace("\r", "\n")
        )
    except UnicodeDecodeError as e:
        raise RecordingError(f"{path}: found the byte 0x{e.object[e.start]:02x} at {e.start}, expected UTF-8 text") from e


def column_numbers(header: str, *, expected: Sequence[str], path: Place) -> dict[str, int]:
    """Name -> position of the expected columns in a TAB-separated header; blanks around names do not count. RecordingError."""
    found = [name.strip() for name in header.split("\t")]
    wrong = [name for name in expected if found.count(name) != 1]
    if wrong:
        seen = ", ".join(repr(name[:40]) for name in found[:12])
        raise RecordingError(f"{path}: found the columns {seen}, expected one each of {', '.join(expected)}, TAB-separated")
    return {name: found.index(name) for name in expected}


def read_table(path: Place, *, columns: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Columns of numbers of a TAB-separated file with a header: name -> (rows,) float64, finite or not. Raises RecordingError,

    NoValueError among them.
    """
    header, _, body = read_text(path).partition("\n")
    numbers = column_numbers(header, expected=columns, path=path)
    if not body.strip():
        raise RecordingError(f"{path}: found a header and no rows, expected rows of numbers")
    try:
        # Quotes and comments mean nothing here: whatever is not a number in a wanted column is an error.
        x = np.loadtxt(io.StringIO(body), delimiter="\t", comments=None, usecols=list(numbers.values()), ndmin=2)
    except ValueError as e:
        _check_fields(path, body, numbers)
        raise RecordingError(f"{path}: {str(e)[:200]}, expected rows of numbers") from e
    return dict(zip(numbers, x.T, strict=True))


def _check_fields(path: Place, body: str, numbers: Mapping[str, int]) -> None:
    """Raises NoValueError if wanted fields are empty or say that there is no value."""
    n, first = 0, ""
    for row, line in enumerate(body.split("\n"), start=1):
        fields = line.split("\t")
        for column, at in numbers.items() if line.strip() else ():
            if at < len(fields) and fields[at].strip().strip('"').casefold() in NO_VALUE:
                n += 1
                first = first or f"the first is {fields[at].strip()!r} in row {row}, column {column!r}"
    if n:
        raise NoValueError(f"{path}: found {n} fields without a value ({first}), expected numbers")
