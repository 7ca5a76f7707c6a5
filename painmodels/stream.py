"""A trained row on running input: frames and samples are fed as they come, a probability comes every second.

    stream = Stream(load(folder), rates_hz={"eda": 512.0})
    for estimate in stream.frame(rgb_YXC): …          # frames at the model's clock, 25 a second
    for estimate in stream.samples({"eda": values}): …

An estimate is about the last `n_steps` of the clock (5.5 s), so the first one comes after that time. Nothing looks ahead: the
face is found from past frames alone, its box held between detections. From the shell, a recording as if it ran:

    python -m painmodels.stream --model FOLDER --video v.mp4 --signals x_bio.csv

Research software, not a medical device.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch

from dataprep import faces
from dataprep.datasets import dataset
from dataprep.faults import guarded
from dataprep.records import InputError, RecordingError, Trial
from dataprep.signals import MAX_RATIO, n_samples, to_clock
from dataprep.video import Frame, open_video, steps
from painmodels.fit import one_thread
from painmodels.inputs import NoEstimate, why_no_samples
from painmodels.live_face import LiveFace
from painmodels.model import Model, Prediction, load


@dataclass(frozen=True)
class Estimate:
    """About the time up to `time_s` since the start. `prediction` is None, with a `reason`, where there was nothing to judge."""

    time_s: float
    prediction: Prediction | None
    reason: str = ""


class Stream:
    """A model with the recent past of its inputs. `rates_hz`: samples a second of each channel the model uses.

    An input that is behind the others is waited for until they are `wait_s` ahead of it (default: the length of a window); then
    estimates come without a value and with the reason, until it has caught up. So what is kept is bounded.
    """

    def __init__(
        self,
        model: Model,
        *,
        rates_hz: Mapping[str, float] | None = None,
        every_s: float = 1.0,
        wait_s: float | None = None,
    ) -> None:
        self.model, self.rates_hz = model, dict(rates_hz or {})
        self.channels: tuple[str, ...] = tuple(model.about["channels"])
        missing = [c for c in self.channels if c not in self.rates_hz]
        if missing:
            raise InputError(f"rates_hz: found {sorted(self.rates_hz)}, expected a rate for {', '.join(missing)}")
        for channel, rate_hz in self.rates_hz.items():
            if not 1 / MAX_RATIO <= rate_hz / model.clock_hz <= MAX_RATIO:  # NaN is in no range
                low_hz, high_hz = model.clock_hz / MAX_RATIO, model.clock_hz * MAX_RATIO
                raise InputError(
                    f"rates_hz: found {rate_hz} for {channel}, expected {low_hz:g} to {high_hz:g} samples a second"
                )
        self.wait_s = model.n_steps / model.clock_hz if wait_s is None else wait_s
        if not (every_s > 0 and self.wait_s >= 0):
            raise InputError(f"found every_s {every_s} and wait_s {wait_s}, expected more than 0 and at least 0")
        self.every = max(1, round(every_s * model.clock_hz))
        self.end = model.n_steps  # the step before which the next estimate's window ends
        self.face = LiveFace(model.face_settings, rate_hz=model.clock_hz) if model.trunk else None
        self.steps: list[tuple[torch.Tensor, torch.Tensor, bool]] = []  # of the spatial network; seen. From step `first` on
        self.first = 0
        self.values = {c: np.empty(0) for c in self.channels}
        self.dropped = dict.fromkeys(self.channels, 0)  # samples before the first one kept

    def frame(self, rgb_YXC: np.ndarray) -> list[Estimate]:
        """The next frame, (height, width, 3) uint8 RGB; gives the estimates that are due now."""
        if rgb_YXC.ndim != 3 or rgb_YXC.shape[2] != 3 or rgb_YXC.dtype != np.uint8:
            raise InputError(f"frame: found {rgb_YXC.dtype} {rgb_YXC.shape}, expected uint8 (height, width, 3)")
        return self.picture(Frame(0.0, (rgb_YXC,), None))

    def picture(self, frame: Frame) -> list[Estimate]:
        """The same for a frame as `dataprep.video` decodes it."""
        if self.model.trunk is None or self.face is None:
            raise InputError(f"{self.model.about['cell']} uses no video: found a frame, expected samples alone")
        box_4, seen = self.face(frame)
        with one_thread(), torch.inference_mode():
            if box_4 is None:
                features = np.zeros((1, self.model.trunk.feature_size), np.float16)
            else:
                features = self.model.trunk(faces.crop(frame, box_4, self.model.face_settings)[None])
            # FC-7 now, a frame at a time: the estimate of a second is left with the recurrent part
            p, h = self.model.pipeline.spatial(torch.from_numpy(features).float()[None])
            self.steps.append((p[0, 0], h[0, 0], seen))
        return self._due()

    def samples(self, values: Mapping[str, np.ndarray], *, at_s: float | None = None) -> list[Estimate]:
        """The next samples of some channels, (n,) each, in the unit of the training data; gives the estimates that are due.

        `at_s` is the time of their first sample since the start, for a source that may lose some: what is missing before it is
        unknown, and windows that hold it have no estimate. Without it samples follow those before without a gap.
        """
        for channel, given in values.items():
            if channel not in self.values:
                raise InputError(
                    f"samples: found channel {channel!r}, expected some of {', '.join(self.channels) or 'none'}"
                )
            new = np.asarray(given, dtype=np.float64)
            if new.ndim != 1:
                raise InputError(f"samples: channel {channel}: found shape {new.shape}, expected one row of values")
            if at_s is not None:
                self._skip_to(channel, at_s)
            self.values[channel] = np.concatenate([self.values[channel], new])
        return self._due()

    def _skip_to(self, channel: str, at_s: float) -> None:
        """Unknown values up to the sample at this time."""
        rate_hz, kept = self.rates_hz[channel], self.values[channel]
        arrived = self.dropped[channel] + len(kept)
        gap = round(at_s * rate_hz) - arrived if np.isfinite(at_s) else -2
        if gap < -1:
            last_s = arrived / rate_hz
            raise InputError(
                f"samples: channel {channel}: found at_s = {at_s}, expected {last_s:.3f} or later: time goes on"
            )
        most = n_samples(rate_hz=rate_hz, clock_hz=self.model.clock_hz, n_steps=self.model.n_steps)
        if gap > most:  # no window reaches further back
            self.dropped[channel] += len(kept) + gap - most
            kept, gap = np.empty(0), most
        self.values[channel] = np.concatenate([kept, np.full(max(0, gap), np.nan)])

    def _due(self) -> list[Estimate]:
        out: list[Estimate] = []
        while True:
            behind = self._behind()
            if behind and self.ahead_s() - self.end / self.model.clock_hz <= self.wait_s:
                return out
            time_s = self.end / self.model.clock_hz
            out.append(Estimate(time_s, None, behind) if behind else self._estimate(time_s))
            self.end += self.every
            self._forget()

    def _wanted(self, channel: str) -> tuple[int, int]:
        """First and one-past-last sample of the window, counted from the start of the stream."""
        rate_hz, clock_hz, n_steps = self.rates_hz[channel], self.model.clock_hz, self.model.n_steps
        first = round((self.end - n_steps) / clock_hz * rate_hz)
        return first, first + n_samples(rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps)

    def _arrived(self, channel: str) -> int:
        return self.dropped[channel] + len(self.values[channel])

    def _behind(self) -> str:
        """The input whose part of the window is not there yet, in words; empty if all of it is."""
        if self.model.trunk is not None and self.first + len(self.steps) < self.end:
            return f"no frame came after {(self.first + len(self.steps)) / self.model.clock_hz:.2f} s"
        for c in self.channels:
            if self._arrived(c) < self._wanted(c)[1]:
                return f"channel {c}: no sample came after {self._arrived(c) / self.rates_hz[c]:.2f} s"
        return ""

    def ahead_s(self) -> float:
        """How far the input that is furthest has come, in s since the start."""
        come_s = [self._arrived(c) / self.rates_hz[c] for c in self.channels]
        if self.model.trunk is not None:
            come_s.append((self.first + len(self.steps)) / self.model.clock_hz)
        return max(come_s)

    def _estimate(self, time_s: float) -> Estimate:
        model = self.model
        spatial = seen_T = signals_TC = None
        if model.trunk is not None:
            window = self.steps[self.end - model.n_steps - self.first : self.end - self.first]
            seen_T = np.array([seen for _, _, seen in window])
            spatial = torch.stack([p for p, _, _ in window]), torch.stack([h for _, h, _ in window])
        try:
            if self.channels:
                signals_TC = np.stack([self._on_clock(c) for c in self.channels], axis=1)
            with one_thread():
                return Estimate(time_s, model.of_steps(spatial, seen_T, signals_TC))
        except NoEstimate as reason:
            return Estimate(time_s, None, str(reason))

    def _on_clock(self, channel: str) -> np.ndarray:
        """The window of a channel, (n_steps,). Raises NoEstimate for values that cannot be judged."""
        model, rate_hz = self.model, self.rates_hz[channel]
        first, last = (i - self.dropped[channel] for i in self._wanted(channel))
        values = self.values[channel][first:last]
        reason = why_no_samples(
            values, rate_hz=rate_hz, channel=channel, steps=model.pipeline.signal_steps, clock_hz=model.clock_hz
        )
        try:
            if not reason:
                return to_clock(values, rate_hz=rate_hz, clock_hz=model.clock_hz, n_steps=model.n_steps)
        except RecordingError as error:  # values before the steps that are used, which the low-pass reaches
            reason = f"channel {channel}: {error}"
        raise NoEstimate(reason)

    def _forget(self) -> None:
        """Drop what no later window reaches."""
        old = min(self.end - self.model.n_steps - self.first, len(self.steps))
        if old > 0:
            del self.steps[:old]
            self.first += old
        for c in self.channels:
            old = min(max(0, self._wanted(c)[0] - self.dropped[c]), len(self.values[c]))
            self.values[c] = self.values[c][old:]
            self.dropped[c] += old


HEADER = f"{'time':>10}  p_pain"


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay a recording; a line an estimate, printed when it is made. Gives 0, or 2 after printing what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m painmodels.stream",
        description="A recording, second by second, from the past alone. No output may guide anybody's care.",
        epilog="Signals are scaled over the window that ends now, as a recording of that length would be.",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a model written by painmodels.export")
    parser.add_argument("--video", type=Path, metavar="FILE")
    parser.add_argument("--signals", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="a JSON object a line: time_s, p_pain (or null), reason")
    options = parser.parse_args(arguments)
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    model = load(options.model)
    if not options.json:
        print(HEADER, flush=True)
    for estimate in replay(model, video=options.video, signals=options.signals):
        print(told(estimate, as_json=options.json), flush=True)
    return 0


def told(estimate: Estimate, *, as_json: bool) -> str:
    """One line about an estimate."""
    found = estimate.prediction
    if as_json:
        p = None if found is None else round(found.p_pain, 6)
        return json.dumps({"time_s": round(estimate.time_s, 3), "p_pain": p, "reason": estimate.reason}, allow_nan=False)
    return f"{estimate.time_s:8.2f} s  " + (f"{found.p_pain:.3f}" if found else f"no estimate: {estimate.reason}")


def replay(model: Model, *, video: Path | None, signals: Path | None) -> Iterator[Estimate]:
    """The estimates of a recording that is fed as a stream, signals and frames side by side; each as soon as it is made.

    Raises RecordingError for a bad file, ValueError for a missing one and for a recording that ends before the first window does.
    """
    for name, used, given in (
        ("video", model.trunk is not None, video),
        ("signals", bool(model.about["channels"]), signals),
    ):
        if used and given is None:
            raise InputError(f"{model.about['cell']} uses {name}: found no {name} file, expected one")
    channels = model.about["channels"]
    read: Mapping[str, tuple[np.ndarray, float]] = {}
    if channels and signals is not None:
        trial = Trial(signals.stem, "unknown", 0, "unknown", signals=str(signals.absolute()))
        read = dataset(model.about["reader"]).read_signals(trial)
    stream = Stream(model, rates_hz={c: read[c][1] for c in channels})
    frames = _frames(model, video) if model.trunk is not None and video is not None else iter(())
    n_pieces = max((int(np.ceil(len(v) / rate_hz * model.clock_hz)) for v, rate_hz in read.values()), default=0)
    made = 0
    for k in count():
        frame = next(frames, None)
        if frame is None and k >= n_pieces:
            break
        found = [] if frame is None else stream.picture(frame)
        for channel in channels:
            values, rate_hz = read[channel]
            first, last = (round(step / model.clock_hz * rate_hz) for step in (k, k + 1))
            if first < len(values):
                found += stream.samples({channel: values[first:last]})
        made += len(found)
        yield from found
    if not made:
        window_s, ended_s = model.n_steps / model.clock_hz, stream.ahead_s()
        raise InputError(f"the recording ended at {ended_s:.2f} s, before the first window of {window_s:.2f} s")


def _frames(model: Model, video: Path) -> Iterator[Frame]:
    opened = open_video(video, decoder=model.face_settings.decoder)
    if not abs(opened.rate_hz / model.clock_hz - 1) <= 0.02:
        raise RecordingError(f"{video}: found {opened.rate_hz:.2f} frames/s, expected {model.clock_hz:g} within 2%")
    return steps(opened)


if __name__ == "__main__":
    sys.exit(main())
