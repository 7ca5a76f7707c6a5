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
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dataprep import faces
from dataprep.datasets import dataset
from dataprep.records import DataError, Trial
from dataprep.retinaface import Face, overlap
from dataprep.signals import to_clock
from dataprep.video import Frame, open_video, steps
from painmodels.fit import one_thread
from painmodels.model import Model, Prediction, load

DETECT_S = 0.2
"""Time between detections while the face is where it was; a lost one is looked for in every frame."""
FOLLOW = 0.6
"""Share of a new box in the box used: the rest is that of the box before, against jitter."""


@dataclass(frozen=True)
class Estimate:
    """About the time up to `time_s` since the start. `prediction` is None, with a `reason`, where the face was not seen."""

    time_s: float
    prediction: Prediction | None
    reason: str = ""


class LiveFace:
    """The face of a running video, from the past alone. Calls give its box (4,) and whether a face was last seen there."""

    def __init__(self, settings: faces.FaceSettings, *, rate_hz: float) -> None:
        self.settings, self.every = settings, max(1, round(DETECT_S * rate_hz))
        self.detect = faces.load_detector(settings)
        self.face: Face | None = None
        self.box_4: np.ndarray | None = None
        self.n = 0

    def __call__(self, frame: Frame) -> tuple[np.ndarray | None, bool]:
        if self.face is None or self.n % self.every == 0:
            self._find(frame)
        self.n += 1
        return self.box_4, self.face is not None

    def _find(self, frame: Frame) -> None:
        near = None
        if self.face is not None:
            centre = (self.face.box_4[:2] + self.face.box_4[2:]) / 2
            side = float((self.face.box_4[2:] - self.face.box_4[:2]).max()) * self.settings.near
            x0, y0 = centre - side / 2
            near = self._search(frame, (x0, y0, x0 + side, y0 + side), self.settings.near_px, around=self.face)
        if near is None:
            near = self._search(frame, (0.0, 0.0, frame.width, frame.height), self.settings.work_px, around=None)
        if near is None:
            self.face = None  # the box stays: a bridge until it is found again
            return
        if self.box_4 is None or self.face is None:
            self.box_4 = near.box_4.copy()
        else:
            self.box_4 = FOLLOW * near.box_4 + (1 - FOLLOW) * self.box_4
        self.face = near

    def _search(
        self, frame: Frame, box: tuple[float, float, float, float], short_px: int, *, around: Face | None
    ) -> Face | None:
        """The best face of a part of the picture, shrunk to `short_px` on its short side."""
        x0, y0, x1, y1 = (float(v) for v in box)
        shrink = max(1.0, min(x1 - x0, y1 - y0) / short_px)
        width, height = max(32, round((x1 - x0) / shrink)), max(32, round((y1 - y0) / shrink))
        scale = np.array([(x1 - x0) / width, (y1 - y0) / height])
        (seen,) = self.detect([frame.window((x0, y0, x1, y1), width=width, height=height)])
        found = [face.moved(scale, np.array([x0, y0])) for face in seen]
        if around is None:
            return max(found, key=lambda f: f.score * f.area, default=None)
        best = max(found, key=lambda f: float(overlap(around.box_4, f.box_4)), default=None)
        return best if best is not None and overlap(around.box_4, best.box_4) > 0.3 else None


class Stream:
    """A model with the recent past of its inputs. `rates_hz`: samples a second of each channel the model uses."""

    def __init__(self, model: Model, *, rates_hz: Mapping[str, float] | None = None, every_s: float = 1.0) -> None:
        self.model, self.rates_hz = model, dict(rates_hz or {})
        self.channels: tuple[str, ...] = tuple(model.about["channels"])
        missing = [c for c in self.channels if c not in self.rates_hz]
        if missing:
            raise ValueError(f"rates_hz: found {sorted(self.rates_hz)}, expected a rate for {', '.join(missing)}")
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
            raise ValueError(f"frame: found {rgb_YXC.dtype} {rgb_YXC.shape}, expected uint8 (height, width, 3)")
        return self.picture(Frame(0.0, (rgb_YXC,), None))

    def picture(self, frame: Frame) -> list[Estimate]:
        """The same for a frame as `dataprep.video` decodes it."""
        if self.model.trunk is None or self.face is None:
            raise ValueError(f"{self.model.about['cell']} uses no video: found a frame, expected samples alone")
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

    def samples(self, values: Mapping[str, np.ndarray]) -> list[Estimate]:
        """The next samples of some channels, (n,) each, in the unit of the training data; gives the estimates that are due."""
        for channel, new in values.items():
            if channel not in self.values:
                raise ValueError(
                    f"samples: found channel {channel!r}, expected some of {', '.join(self.channels) or 'none'}"
                )
            self.values[channel] = np.concatenate([self.values[channel], np.asarray(new, dtype=np.float64)])
        return self._due()

    def _due(self) -> list[Estimate]:
        out = []
        while self._complete():
            out.append(self._estimate())
            self.end += self.every
            self._forget()
        return out

    def _wanted(self, channel: str) -> tuple[int, int]:
        """First and one-past-last sample of the window, counted from the start of the stream."""
        first = round((self.end - self.model.n_steps) / self.model.clock_hz * self.rates_hz[channel])
        return first, first + int(np.ceil((self.model.n_steps - 1) / self.model.clock_hz * self.rates_hz[channel])) + 1

    def _complete(self) -> bool:
        if self.model.trunk is not None and self.first + len(self.steps) < self.end:
            return False
        return all(self.dropped[c] + len(self.values[c]) >= self._wanted(c)[1] for c in self.channels)

    def _estimate(self) -> Estimate:
        model, time_s = self.model, self.end / self.model.clock_hz
        spatial = seen_T = signals_TC = None
        if model.trunk is not None:
            window = self.steps[self.end - model.n_steps - self.first : self.end - self.first]
            seen_T = np.array([seen for _, _, seen in window])
            gap = longest(~seen_T)
            if gap > model.face_settings.max_gap_s * model.clock_hz:
                return Estimate(time_s, None, f"no face was seen for {gap / model.clock_hz:.2f} s")
            spatial = torch.stack([p for p, _, _ in window]), torch.stack([h for _, h, _ in window])
        if self.channels:
            columns = []
            for c in self.channels:
                first, last = (i - self.dropped[c] for i in self._wanted(c))
                columns.append(
                    to_clock(
                        self.values[c][first:last],
                        rate_hz=self.rates_hz[c],
                        clock_hz=model.clock_hz,
                        n_steps=model.n_steps,
                    )
                )
            signals_TC = np.stack(columns, axis=1)
        with one_thread():
            return Estimate(time_s, model.of_steps(spatial, seen_T, signals_TC))

    def _forget(self) -> None:
        """Drop what no later window reaches."""
        old = self.end - self.model.n_steps - self.first
        if old > 0:
            del self.steps[:old]
            self.first += old
        for c in self.channels:
            old = self._wanted(c)[0] - self.dropped[c]
            self.values[c] = self.values[c][old:]
            self.dropped[c] += old


def longest(flags_T: np.ndarray) -> int:
    """The length of the longest run of True."""
    best = run = 0
    for flag in flags_T:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay a recording; a line an estimate. Gives 0, or 2 after printing what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m painmodels.stream", description="A recording, second by second.")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a model written by painmodels.export")
    parser.add_argument("--video", type=Path, metavar="FILE")
    parser.add_argument("--signals", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        model = load(options.model)
        for estimate in replay(model, video=options.video, signals=options.signals):
            what = f"{estimate.prediction.p_pain:.3f}" if estimate.prediction else f"-  ({estimate.reason})"
            print(f"{estimate.time_s:8.2f} s  {what}", flush=True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def replay(model: Model, *, video: Path | None, signals: Path | None) -> list[Estimate]:
    """All estimates of a recording fed as a stream. Raises DataError for a bad file, ValueError for a missing one."""
    for name, used, given in (
        ("video", model.trunk is not None, video),
        ("signals", bool(model.about["channels"]), signals),
    ):
        if used and given is None:
            raise ValueError(f"{model.about['cell']} uses {name}: found no {name} file, expected one")
    channels = model.about["channels"]
    read: Mapping[str, tuple[np.ndarray, float]] = {}
    if channels and signals is not None:
        trial = Trial(signals.stem, "unknown", 0, "unknown", signals=str(signals.absolute()))
        read = dataset(model.about["reader"]).read_signals(trial)
    stream = Stream(model, rates_hz={c: read[c][1] for c in channels})
    out = stream.samples({c: read[c][0] for c in channels})
    if model.trunk is not None and video is not None:
        opened = open_video(video, decoder=model.face_settings.decoder)
        if not abs(opened.rate_hz / model.clock_hz - 1) <= 0.02:
            raise DataError(f"{video}: found {opened.rate_hz:.2f} frames/s, expected {model.clock_hz:g} within 2%")
        for frame in steps(opened):
            out += stream.picture(frame)
    return out


if __name__ == "__main__":
    sys.exit(main())
