"""A trial's signals, cut out of its file: channel -> (values from the trial's start on, rate in Hz)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dataprep.manifest import text
from dataprep.manifest.formats import Samples, kind_of, read_file
from dataprep.manifest.layout import SETTINGS, TIME_UNITS, Layout
from dataprep.records import RecordingError, Trial
from dataprep.storage import place

WHOLE_RATE = 0.002  # a rate found from times that is so near to a whole number is that number


def read_signals(trial: Trial, *, layout: Layout, counted: bool, whole: bool = False) -> dict[str, tuple[np.ndarray, float]]:
    """The trial's window, or with `whole` everything from its start on.

    `counted`: `trial.start_s` is a time of the file; else the trial begins with the first sample. Raises RecordingError.
    """
    if trial.signals is None:
        raise RecordingError(f"{trial.trial_id}: found no signal file, expected one in the manifest's column 'signals'")
    samples = read_file(place(trial.signals), layout)
    out = {}
    for name, values in samples.values.items():
        first, rate_hz = _first(samples, name, trial, layout, counted)
        n = int(np.ceil(layout.n_steps / layout.clock_hz * rate_hz - 1e-6))
        if not whole:
            _check_times(samples.time, (first, n), rate_hz, trial, layout)
        out[name] = (values[first:] if whole else values[first : first + n], rate_hz)
    return out


def _first(samples: Samples, channel: str, trial: Trial, layout: Layout, counted: bool) -> tuple[int, float]:
    """The number of the trial's first sample, and the rate."""
    given = layout.channels[channel].rate_hz or samples.rates_hz.get(channel) or layout.files.rate_hz
    n = len(samples.values[channel])
    start_s = trial.start_s if counted else 0.0
    if samples.time is None:
        if given is None:
            raise RecordingError(
                f"{trial.signals}: channel {channel!r}: found neither a rate nor a time column, expected files.rate_hz or "
                f"files.time in {SETTINGS}"
            )
        first = round(start_s * given)
        if not 0 <= first < n:
            seen = f"found {n / given:.2f} s of {channel!r}, expected a trial at {start_s:g} s"
            raise RecordingError(f"{trial.signals}: {seen}{trial.where}")
        return first, given
    time_s = samples.time * TIME_UNITS[layout.files.time_unit]
    known = np.flatnonzero(np.isfinite(time_s))
    if len(known) < 2 or time_s[known[-1]] <= time_s[known[0]]:
        raise RecordingError(
            f"{trial.signals}: column {layout.files.time!r}: found no ascending times, expected one for each row"
        )
    rate_hz = given or rate_of(time_s[known])
    if not counted:
        return 0, rate_hz
    late = np.flatnonzero(time_s >= start_s - 0.5 / rate_hz)
    if start_s < time_s[known[0]] - 1 / rate_hz or not late.size:
        span = f"times from {time_s[known[0]]:.2f} s to {time_s[known[-1]]:.2f} s"
        seen = f"column {layout.files.time!r}: found {span}, expected a trial at {start_s:g} s"
        raise RecordingError(f"{trial.signals}: {seen}{trial.where}")
    return int(late[0]), rate_hz


def rate_of(time_s: np.ndarray) -> float:
    """Samples a second, by the middle of the steps between times that may be rounded; a gap does not change it."""
    ends = np.linspace(0, len(time_s) - 1, min(9, len(time_s))).astype(int)
    spans_s = np.diff(time_s[ends]) / np.diff(ends)  # of eighths of the recording
    step_s = float(np.median(spans_s))
    if step_s <= 0:
        step_s = float(time_s[-1] - time_s[0]) / (len(time_s) - 1)
    rate_hz = 1 / step_s
    near = round(rate_hz)
    return float(near) if near and abs(rate_hz / near - 1) < WHOLE_RATE else rate_hz


def _check_times(time: np.ndarray | None, window: tuple[int, int], rate_hz: float, trial: Trial, layout: Layout) -> None:
    """Raises RecordingError if the times of the window are not as the rate says, to one step of the clock."""
    if time is None:
        return
    first, n = window
    time_s = time[first : first + n] * TIME_UNITS[layout.files.time_unit]
    off_s = np.abs(time_s - time_s[0] - np.arange(len(time_s)) / rate_hz) if len(time_s) else np.zeros(0)
    wrong = np.flatnonzero(~(off_s <= max(1 / layout.clock_hz, 1 / rate_hz)))
    if wrong.size:
        k = int(wrong[0])
        row = first + k + (0 if kind_of(place(trial.signals or "")) else layout.files.skip_rows + layout.files.header) + 1
        seen = f"{time_s[k]:.3f} s where {time_s[0] + k / rate_hz:.3f} s was expected at {rate_hz:g} Hz"
        raise RecordingError(
            f"{trial.signals}: row {row}, column {layout.files.time!r}: found {seen}: a gap, or another rate"
        )


def explain(trial: Trial, channel: str, *, layout: Layout, counted: bool) -> str:
    """Where the first value of the trial that is no number stands in the file, and what is written there; empty if none is."""
    assert trial.signals is not None
    path = place(trial.signals)
    samples = read_file(path, layout)
    first, rate_hz = _first(samples, channel, trial, layout, counted)
    n = int(np.ceil(layout.n_steps / layout.clock_hz * rate_hz))
    bad = np.flatnonzero(~np.isfinite(samples.values[channel][first : first + n]))
    if not bad.size:
        return ""
    column = layout.channels[channel].column
    if kind_of(path):
        return f"sample {first + int(bad[0]) + 1} of {column or layout.channels[channel].key!r}"
    return text.field(
        path.read_bytes(), path, layout.files, row=first + int(bad[0]), column=column if column is not None else ""
    )


def rates(layout: Layout) -> Mapping[str, float]:
    """The rate of each channel, where dataset.toml says it."""
    found = {name: c.rate_hz or layout.files.rate_hz for name, c in layout.channels.items()}
    return {name: rate_hz for name, rate_hz in found.items() if rate_hz}
