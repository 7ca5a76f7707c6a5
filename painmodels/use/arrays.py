"""Recordings in memory as the readers of files would have given them: frames as a video, samples on the clock.

Shapes are checked in words: whoever calls this has arrays of their own making.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataprep.records import InputError, RecordingError
from dataprep.signals.derived import made
from dataprep.signals.resampling import MAX_RATIO, n_samples, to_clock
from dataprep.video.decode import Frame, Video
from painmodels.use.judgeable import NoEstimate, why_no_samples

LEAST_PX = 32


def check_rgb(rgb_YXC: Any) -> None:
    """Raises InputError if this is no picture."""
    shape, kind = getattr(rgb_YXC, "shape", None), getattr(rgb_YXC, "dtype", type(rgb_YXC).__name__)
    if kind != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < LEAST_PX:
        hint = ""
        if shape is not None and len(shape) == 3 and shape[0] == 3:
            hint = "; the colours come last"
        elif shape is not None and len(shape) == 2:
            hint = "; a grey picture is given three times, as red, green and blue"
        elif kind in (np.float32, np.float64):
            hint = "; brightness goes from 0 to 255"
        raise InputError(
            f"frame: found {kind} {shape if shape is not None else ''}, expected uint8 (height, width, 3) RGB, at least "
            f"{LEAST_PX} x {LEAST_PX} pixels{hint}"
        )


def video_of_arrays(frames: np.ndarray | Iterable[np.ndarray], *, rate_hz: float) -> Video:
    """RGB pictures, uint8 (n, height, width, 3) or one after the other, `rate_hz` a second, as an opened video."""
    if not 0 < rate_hz < float("inf"):  # NaN is in no range
        raise InputError(f"rates_hz['frames']: found {rate_hz}, expected frames a second")
    if isinstance(frames, np.ndarray) and frames.ndim != 4:
        raise InputError(f"frames: found shape {frames.shape}, expected (frames, height, width, 3)")
    declared = len(frames) if isinstance(frames, np.ndarray | list | tuple) else 0

    def read() -> Iterator[Frame]:
        size = None
        for n, rgb_YXC in enumerate(frames):
            check_rgb(rgb_YXC)
            size = size or rgb_YXC.shape
            if rgb_YXC.shape != size:
                raise InputError(f"frames: found {rgb_YXC.shape} in frame {n}, expected {size} as in the first")
            yield Frame(n / rate_hz, (np.ascontiguousarray(rgb_YXC),), None)

    return Video(path=Path("frames"), rate_hz=rate_hz, declared=declared, frames=read())


def samples_on_clock(
    values: np.ndarray, *, channel: str, of: str, rate_hz: float, window: tuple[float, int], steps: tuple[int, int]
) -> np.ndarray:
    """Samples of a channel, (n,) from the window's start on, as (n_steps,) float32 on the clock; `window`: clock_hz, n_steps.

    `of`: the recorded channel that they are of; `channel` is made of it, or the same. Raises InputError for a wrong shape or
    rate, NoEstimate for values that cannot be judged in the `steps` that are used.
    """
    clock_hz, n_steps = window
    check_rate(rate_hz, channel=of, clock_hz=clock_hz)
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"signals[{of!r}]: {error}, expected one row of numbers") from None
    if x.ndim != 1:
        raise InputError(f"signals[{of!r}]: found shape {x.shape}, expected one row of values, (samples,)")
    try:
        on_clock_T = to_clock(x, rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps)
        reason = why_no_samples(x, rate_hz=rate_hz, channel=of, steps=steps, clock_hz=clock_hz)
        if reason:
            raise NoEstimate(reason)
        if channel != of:
            made_T, made_hz = made(channel, of, x, rate_hz, clock_hz=clock_hz, n_steps=n_steps)
            on_clock_T = to_clock(made_T, rate_hz=made_hz, clock_hz=clock_hz, n_steps=n_steps)
    except NoEstimate:
        raise
    except RecordingError as error:
        raise NoEstimate(f"channel {channel}: {error}") from None
    return on_clock_T


def signals_on_clock(
    given: Mapping[str, tuple[np.ndarray, float]],
    recorded: Mapping[str, str],
    *,
    window: tuple[float, int],
    steps: tuple[int, int],
) -> np.ndarray:
    """The channels of a model, (n_steps, C), of samples and rates of what they are made of. Raises as `samples_on_clock`."""
    columns = []
    for channel, of in recorded.items():
        values, rate_hz = given[of]
        columns.append(samples_on_clock(values, channel=channel, of=of, rate_hz=rate_hz, window=window, steps=steps))
    return np.stack(columns, axis=1)


def check_rate(rate_hz: float, *, channel: str, clock_hz: float) -> None:
    """Raises InputError for a rate that cannot be one."""
    if not isinstance(rate_hz, int | float | np.number) or not 1 / MAX_RATIO <= rate_hz / clock_hz <= MAX_RATIO:
        low_hz, high_hz = clock_hz / MAX_RATIO, clock_hz * MAX_RATIO
        raise InputError(f"rates_hz: found {rate_hz} for {channel}, expected {low_hz:g} to {high_hz:g} samples a second")


def window_samples(end: int, *, rate_hz: float, window: tuple[float, int]) -> tuple[int, int]:
    """First and one-past-last sample, since the start, of the window that ends before step `end`; `window`: clock_hz, n_steps."""
    clock_hz, n_steps = window
    first = round((end - n_steps) / clock_hz * rate_hz)
    return first, first + n_samples(rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps)
