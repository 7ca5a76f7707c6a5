"""Puts frames onto a clock by their times, for live input and for long recordings of unknown length.

Step k shows the frame that is on screen at k / clock_hz, as `video.steps` has it. A frame is known to be the one only when the
next one has come, so steps are a frame late; `rest` gives those that the last frame is on screen for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dataprep.records import InputError
from dataprep.video.decode import LEAST_RATE, Frame, Video, longest_hold_s

QUARTER = 0.25  # of a step: clocks of containers are rounded to a millisecond or coarser, which is no delay


class FrameClock:
    """Calls take a frame and its time in s since the start, and give a list with a frame, or None, for every step that is due.

    None: no frame came for longer than one may be held, `hold_s` (default: two steps of the lowest rate that is accepted).
    """

    def __init__(self, clock_hz: float, *, hold_s: float | None = None) -> None:
        self.clock_hz = clock_hz
        self.hold_s = 2 / (LEAST_RATE * clock_hz) if hold_s is None else hold_s
        self.shown: Frame | None = None
        self.time_s = -1.0
        self.n = 0  # steps given

    def __call__(self, frame: Frame, time_s: float) -> list[Frame | None]:
        if not time_s >= self.time_s:
            raise InputError(f"frame: found the time {time_s} s after {self.time_s:.3f} s, expected times that go on")
        due = self._until(time_s)
        self.shown, self.time_s = frame, time_s
        return due

    def rest(self) -> list[Frame | None]:
        """The steps for which the last frame is on screen, at the end of a recording."""
        return [] if self.shown is None else self._until(self.time_s + (2 * QUARTER + 1e-3) / self.clock_hz)

    def _until(self, time_s: float) -> list[Frame | None]:
        due: list[Frame | None] = []
        while time_s > (self.n + QUARTER) / self.clock_hz:
            held_s = self.n / self.clock_hz - self.time_s
            due.append(None if self.shown is None or held_s > self.hold_s else self.shown)
            self.n += 1
        return due


def on_clock(video: Video, *, clock_hz: float) -> Iterator[Frame | None]:
    """All steps of a video of any length: `time_s` of their frames is that of the step; None where no frame came.

    Raises RecordingError as reading frames does, and if the video's rate is too low for the clock.
    """
    clock = FrameClock(clock_hz, hold_s=longest_hold_s(video, clock_hz=clock_hz))
    k = 0
    for frame in video.frames:
        for due in clock(frame, frame.time_s):
            yield None if due is None else replace(due, time_s=k / clock_hz)
            k += 1
    for due in clock.rest():
        yield None if due is None else replace(due, time_s=k / clock_hz)
        k += 1
