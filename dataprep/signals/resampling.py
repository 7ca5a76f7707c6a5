"""Brings a signal to the clock of the frames.

Step k of a trial is the moment k / clock_hz after its start, exactly, for signals and video frames alike (BioVid: 25 Hz,
138 steps). A signal sampled faster than the clock passes a zero-phase low-pass first, so that nothing above the clock's
Nyquist frequency folds back and no wave moves in time; then its value at each moment is read off by linear interpolation.
"""

from __future__ import annotations

import numpy as np

from dataprep.records import RecordingError

PASS_BAND = 0.8  # corner of the low-pass, as a share of the clock's Nyquist frequency
FILTER_ORDER = 6  # run forwards and backwards, so the corner is at -6 dB and the phase is zero
MAX_RATIO = 10_000.0  # between the two rates: beyond it is a mistake, and no filter is accurate
FLOAT32_MAX = float(np.finfo(np.float32).max)


def to_clock(values: np.ndarray, *, rate_hz: float, clock_hz: float, n_steps: int) -> np.ndarray:
    """A signal sampled at `rate_hz` from the trial's start on, read at the moments k / clock_hz.

    Returns (n_steps,) float32, made of the samples up to the last moment alone: what follows changes nothing. The low-pass
    reaches about 7 steps to both sides (0.3 s at 25 Hz; beyond, under 0.3 % of its peak). A signal that ends at most one clock
    step early holds its last value; one shorter than that, or with values that are not finite, raises RecordingError.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise RecordingError(f"found a signal of shape {x.shape}, expected one row of values")
    if not (n_steps > 0 and clock_hz > 0 and 1 / MAX_RATIO <= rate_hz / clock_hz <= MAX_RATIO):
        seen = f"{n_steps} steps at {clock_hz:g} Hz from a signal of {rate_hz:g} Hz"
        raise RecordingError(f"found {seen}, expected positive numbers and rates within a factor of {MAX_RATIO:g}")
    n_expected = n_samples(rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps)
    n_least = max(1, int(np.ceil((n_steps - 2) / clock_hz * rate_hz - 1e-6)) + 1)
    if len(x) < n_least:
        raise RecordingError(f"found {len(x)} rows, expected at least {n_expected} ({n_steps} steps of {1 / clock_hz:g} s)")
    x = x[:n_expected]
    bad = np.flatnonzero(~(np.abs(x) <= FLOAT32_MAX))
    if bad.size:
        raise RecordingError(f"found {bad.size} values that are not finite (the first is {x[bad[0]]} in row {bad[0]})")
    if rate_hz == clock_hz:
        return np.pad(x[:n_steps], (0, max(0, n_steps - len(x))), mode="edge").astype(np.float32)
    if rate_hz > clock_hz:
        x = _low_pass(x, corner_hz=PASS_BAND * clock_hz / 2, rate_hz=rate_hz)
    wanted_s = np.arange(n_steps) / clock_hz
    return np.interp(wanted_s, np.arange(len(x)) / rate_hz, x).clip(-FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)


def n_samples(*, rate_hz: float, clock_hz: float, n_steps: int) -> int:
    """How many samples from the first moment on a window of `n_steps` is made of."""
    return int(np.ceil((n_steps - 1) / clock_hz * rate_hz - 1e-6)) + 1


def clock_matrix(*, rate_hz: float, clock_hz: float, n_steps: int) -> np.ndarray:
    """`to_clock` as the linear function that it is: (n_steps, n_samples) float64, to be multiplied with samples."""
    x = np.eye(n_samples(rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps))
    if rate_hz > clock_hz:
        x = _low_pass(x, corner_hz=PASS_BAND * clock_hz / 2, rate_hz=rate_hz)
    wanted = (np.arange(n_steps) / clock_hz * rate_hz).clip(max=len(x) - 1)
    before = np.minimum(wanted.astype(int), max(0, len(x) - 2))
    part_T = wanted - before
    after = np.minimum(before + 1, len(x) - 1)
    return (x[:, before] * (1 - part_T) + x[:, after] * part_T).T


def _low_pass(x: np.ndarray, *, corner_hz: float, rate_hz: float) -> np.ndarray:
    """Zero-phase Butterworth along the last axis. The ends are continued for two periods of the corner.

    They are reflected in the point where a parabola through the nearest period ends. Reflected in the last sample itself, the
    filtered signal would end in that sample as it was recorded, with all that is above the corner.
    """
    from scipy.signal import butter, sosfiltfilt  # here, as in derived.py

    sos = butter(FILTER_ORDER, corner_hz, fs=rate_hz, output="sos")
    n_pad = min(x.shape[-1] - 1, int(2 * rate_hz / corner_hz) + 1)
    if not n_pad:
        return x
    n_fit = min(x.shape[-1], round(rate_hz / corner_hz))
    end_of_fit = np.linalg.pinv(np.vander(np.arange(n_fit) / n_fit, 3, increasing=True))[0]
    first, last = x[..., :n_fit] @ end_of_fit, x[..., : -n_fit - 1 : -1] @ end_of_fit
    before = 2 * first[..., None] - x[..., n_pad:0:-1]
    after = 2 * last[..., None] - x[..., -2 : -n_pad - 2 : -1]
    return sosfiltfilt(sos, np.concatenate([before, x, after], axis=-1), padtype=None)[..., n_pad:-n_pad]
