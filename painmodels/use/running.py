"""Runs a trained row on live input: it takes frames and samples as they arrive and gives a prediction every second.

    stream = Stream(load(folder), rates_hz={"eda": 512.0})
    for estimate in stream.frame(rgb_YXC, at_s=…): …          # frames with their times, at any rate
    for estimate in stream.samples({"eda": values}): …

An estimate is about `n_steps` of the clock (5.5 s), so the first one comes after that time. Signals are scaled over that window.
It is the value that `over_time` gives for the same window of a recording. Where a row uses video it comes 0.84 s after
the window's end at most, and 0.5 s more while the face is lost: a face is followed between two detections (`live_face`). `rest`
gives what is left at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dataprep.faces import together
from dataprep.records import InputError
from dataprep.signals.clock import FrameClock
from dataprep.video.decode import Frame
from painmodels.training.loop import one_thread
from painmodels.use.arrays import check_rgb
from painmodels.use.judgeable import NoEstimate
from painmodels.use.live_face import LiveFace, Seen
from painmodels.use.predictions import Estimate
from painmodels.use.predictor import EachStep, Predictor
from painmodels.use.recent_samples import RecentSamples


@dataclass(frozen=True)
class _Step:
    """What is known of a step by itself; whether a face was seen, and a frame came."""

    known: Sequence[EachStep]
    seen: bool
    came: bool


class Stream:
    """A model with the recent past of its inputs. `rates_hz`: samples a second of each channel the model uses.

    An input that is behind the others is waited for until they are `wait_s` ahead of it (default: the length of a window); then
    estimates come without a value and with the reason, until it has caught up. So what is kept is bounded.
    """

    def __init__(
        self,
        model: Predictor,
        *,
        rates_hz: Mapping[str, float] | None = None,
        every_s: float = 1.0,
        wait_s: float | None = None,
    ) -> None:
        self.model = model
        self.recent = RecentSamples(model.recorded, rates_hz or {}, clock_hz=model.clock_hz, n_steps=model.n_steps)
        self.wait_s = model.n_steps / model.clock_hz if wait_s is None else wait_s
        if not (every_s > 0 and self.wait_s >= 0):
            raise InputError(f"found every_s {every_s} and wait_s {wait_s}, expected more than 0 and at least 0")
        self.every = max(1, round(every_s * model.clock_hz))
        self.end = model.n_steps  # the step before which the next estimate's window ends
        self.face: LiveFace | None = None
        if model.uses_video:
            self.face = LiveFace(model.face_settings, rate_hz=model.clock_hz, frames=model.members[0].columns.frames)
            self.columns_of = model.columns_of()
        self.frame_clock = FrameClock(model.clock_hz)
        self.came: deque[bool] = deque()  # of the steps whose face is not known yet: whether they have a frame
        self.steps: list[_Step] = []  # from step `first` on
        self.first = 0
        self.held = 0  # steps at the end that hold the last frame

    def frame(self, rgb_YXC: np.ndarray, *, at_s: float | None = None) -> list[Estimate]:
        """The next frame, (height, width, 3) uint8 RGB; gives the estimates that are due now.

        `at_s` is its time since the start, for a source of another rate than the clock's, or one that may lose frames: steps
        show the frame that is on screen then. Without it every frame is a step.
        """
        check_rgb(rgb_YXC)
        return self.picture(Frame(0.0, (rgb_YXC,), None), at_s=at_s)

    def picture(self, frame: Frame | None, *, at_s: float | None = None) -> list[Estimate]:
        """The same for a frame as `dataprep.video` decodes it; None is a step without one."""
        if self.face is None:
            raise InputError(f"{self.model.about['cell']} uses no video: found a frame, expected samples alone")
        self._take([frame] if at_s is None or frame is None else self.frame_clock(frame, at_s))
        return self._due()

    def rest(self) -> list[Estimate]:
        """At the end of the source: the estimates that are left. One more step holds the last frame, as in a recording."""
        if self.face is not None:
            self._take(self.frame_clock.rest())
            self._judge(self.face.rest())
            if self.steps and self.steps[-1].seen:
                self.steps.append(replace(self.steps[-1], seen=False))
                self.held = 1
        return self._due()

    def _take(self, steps: Sequence[Frame | None]) -> None:
        assert self.face is not None
        for step in steps:
            self.came.append(step is not None)
            self._judge(self.face(step))

    def _judge(self, faces: Sequence[Seen | None]) -> None:
        """What is known of the next steps by themselves, now that their faces are known."""
        if not faces:
            return
        of = self.model.members[0].columns
        video_BF = np.zeros((len(faces), of.width), of.dtype)
        seen = [face is not None for face in faces]
        with one_thread():
            if any(seen):
                video_BF[seen] = self.columns_of(together([f for f in faces if f is not None], self.model.face_settings))
            # FC-7 now, some frames at a time: the estimate of a second is left with the recurrent part
            known = [member.each_step(video_BF) for member in self.model.members]
        for k in range(len(faces)):
            of_step = [{name: x[k] for name, x in of_member.items()} for of_member in known]
            self.steps.append(_Step(of_step, seen[k], self.came.popleft()))

    def samples(self, values: Mapping[str, np.ndarray], *, at_s: float | None = None) -> list[Estimate]:
        """The next samples of some channels, (n,) each, in the unit of the training data; gives the estimates that are due.

        `at_s` is the time of their first sample since the start, for a source that may lose some: what is missing before it is
        unknown, and windows that hold it have no estimate. Without it samples follow those before without a gap.
        """
        self.recent.add(values, at_s=at_s)
        return self._due()

    def _due(self) -> list[Estimate]:
        out: list[Estimate] = []
        while True:
            behind = self._behind()
            if behind and self.ahead_s() - self.end / self.model.clock_hz <= self.wait_s:
                return out
            if not behind and self.model.uses_video and self.first + len(self.steps) < self.end:
                return out  # where the face is will be known soon
            time_s = self.end / self.model.clock_hz
            out.append(self._nothing(time_s, behind) if behind else self._estimate(time_s))
            self.end += self.every
            self._forget()

    def _behind(self) -> str:
        """The input whose part of the window is not there yet, in words; empty if all of it is."""
        if self.model.uses_video and self._taken() < self.end:
            return f"no frame came after {self._taken() / self.model.clock_hz:.2f} s"
        return self.recent.lacking(self.end)

    def _taken(self) -> int:
        """Steps that came, those among them whose face is not known yet."""
        return self.first + len(self.steps) + len(self.came)

    def ahead_s(self) -> float:
        """The latest time of any input, in s since the start."""
        come_s = self.recent.come_s
        if self.model.uses_video:
            come_s.append((self._taken() - self.held) / self.model.clock_hz)
        return max(come_s)

    def _estimate(self, time_s: float) -> Estimate:
        model = self.model
        known: list[EachStep | None] = [None for _ in model.members]
        seen_T = None
        window = self.steps[self.end - model.n_steps - self.first : self.end - self.first]
        if model.uses_video:
            seen_T = np.array([step.seen for step in window])
            for m, of_member in enumerate(window[0].known):
                known[m] = {name: torch.stack([step.known[m][name] for step in window]) for name in of_member}
        try:
            signals_TC = self.recent.on_clock(self.end, steps=model.signal_steps)
            with one_thread():
                return Estimate(time_s, model.of_steps(known, seen_T, signals_TC))
        except NoEstimate as reason:
            lost = sum(not step.came for step in window)
            told = f"; no frame came for {lost / model.clock_hz:.2f} s of the window" if lost else ""
            return self._nothing(time_s, f"{reason}{told}")

    def _nothing(self, time_s: float, reason: str) -> Estimate:
        return Estimate(time_s, None, reason, self.model.learns.columns)

    def _forget(self) -> None:
        """Drop data that no later window needs."""
        old = min(self.end - self.model.n_steps - self.first, len(self.steps))
        if old > 0:
            del self.steps[:old]
            self.first += old
        self.recent.forget(self.end)
