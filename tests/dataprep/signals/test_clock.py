"""Frames onto a clock as they come: the steps of a recording of known length, gaps as gaps, and no end needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataprep.records import RecordingError
from dataprep.signals.clock import FrameClock, on_clock
from dataprep.video.decode import Frame, Video, longest_hold_s, steps

PLANE = np.zeros((4, 4, 3), np.uint8)


def recording(times_s: np.ndarray, rate_hz: float) -> Video:
    """A video whose frames tell their number by their first pixel."""
    frames = []
    for n, time_s in enumerate(times_s):
        plane = PLANE.copy()
        plane[0, 0, 0] = n
        frames.append(Frame(float(time_s), (plane,), None))
    return Video(Path("x.mp4"), rate_hz, len(frames), iter(frames))


def numbers(frames: list) -> list[int | None]:
    return [None if f is None else int(f.planes[0][0, 0, 0]) for f in frames]


@pytest.mark.parametrize("rate_hz", [10.0, 11.94, 15.0, 23.67, 24.0, 25.0, 25.4, 26.4, 29.97, 30.0, 50.0, 59.94])
def test_the_steps_are_those_of_a_recording_of_known_length(rate_hz: float) -> None:
    jitter = np.random.default_rng(0).uniform(-0.002, 0.002, 200)
    times_s = np.arange(200) / rate_hz + jitter - jitter[0]
    found = list(on_clock(recording(times_s, rate_hz), clock_hz=25.0))
    assert len(found) == pytest.approx(200 / rate_hz * 25, abs=2)
    known = list(steps(recording(times_s, rate_hz), clock_hz=25.0, n_steps=len(found)))
    assert numbers(found) == numbers(known)
    np.testing.assert_allclose([f.time_s for f in found if f], np.arange(len(found)) / 25)


def test_where_no_frame_came_there_is_none() -> None:
    times_s = np.concatenate([np.arange(50) / 30, 3 + np.arange(50) / 30])
    found = numbers(list(on_clock(recording(times_s, 30.0), clock_hz=25.0)))
    assert found[42:75].count(None) == 32  # of 33 steps from 1.68 s to 2.96 s, one is within 2 frames of the last
    assert None not in found[:42]
    assert None not in found[76:]
    late = FrameClock(25.0)
    assert numbers(late(Frame(1.0, (PLANE,), None), 1.0)) == [None] * 25
    with pytest.raises(ValueError, match="expected times that go on"):
        late(Frame(0.5, (PLANE,), None), 0.5)
    with pytest.raises(ValueError, match="expected times that go on"):
        late(Frame(2.0, (PLANE,), None), float("nan"))


def test_a_rate_too_low_for_the_clock_is_a_reason() -> None:
    slow = recording(np.arange(20) / 8, 8.0)
    with pytest.raises(RecordingError, match=r"x.mp4: found 8.00 frames/s, which is too few: expected at least 10 "):
        list(on_clock(slow, clock_hz=25.0))
    assert longest_hold_s(slow, clock_hz=12.5) == 0.25
