"""Decides whether a recording can be judged: the same rules and reasons for files, arrays, streams and served models.

A trained network gives a number for anything, for a dead electrode too. So what it is given is looked at first. T steps on the
clock, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataprep.records import RecordingError


class NoEstimate(RecordingError):  # noqa: N818 - it tells of an outcome
    """There is no estimate for this recording. The message is the reason, and names the channel and the time."""


def why_no_signals(signals_TC: np.ndarray, *, channels: Sequence[str], steps: tuple[int, int], clock_hz: float) -> str:
    """Why these signals cannot be judged in the window `steps` (first, one past the last); empty if they can."""
    first, end = steps
    for name, x_T in zip(channels, signals_TC.T, strict=True):
        window_T = x_T[first:end]
        bad = np.flatnonzero(~np.isfinite(window_T))
        if bad.size:
            at_s = (first + bad[0]) / clock_hz
            return (
                f"channel {name}: {bad.size} of {end - first} values are not finite, the first {at_s:.2f} s after the start"
            )
        if window_T.min() == window_T.max():
            seconds = f"{first / clock_hz:.2f} to {(end - 1) / clock_hz:.2f} s"
            return f"channel {name}: the same value ({window_T[0]:g}) from {seconds}, expected a signal that varies"
    return ""


def why_no_samples(values: np.ndarray, *, rate_hz: float, channel: str, steps: tuple[int, int], clock_hz: float) -> str:
    """The same for samples of one channel, (n,) from the first step on, before the low-pass, which hides a flat line."""
    first, last = (round(step / clock_hz * rate_hz) for step in (steps[0], steps[1] - 1))
    window = values[first : last + 1]
    if not np.isfinite(window).all():
        bad = np.flatnonzero(~np.isfinite(window))
        return f"channel {channel}: {bad.size} of {len(window)} samples of the window are not finite"
    if len(window) > 1 and window.min() == window.max():
        return f"channel {channel}: all {len(window)} samples of the window are {window[0]:g}, expected a signal that varies"
    return ""


def why_no_face(seen_T: np.ndarray, *, max_gap: int, clock_hz: float) -> str:
    """Why a video cannot be judged: its face is unseen for more than `max_gap` steps in a row; empty if it can."""
    gap = longest(~np.asarray(seen_T, dtype=bool))
    return (
        f"no face was seen for {gap / clock_hz:.2f} s, expected at most {max_gap / clock_hz:.2f} s" if gap > max_gap else ""
    )


def longest(flags_T: np.ndarray) -> int:
    """The length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags_T, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
