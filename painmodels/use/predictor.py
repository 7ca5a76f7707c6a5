"""What a single model and an ensemble have in common: files or arrays are prepared once, and every member judges them.

Everything is prepared as the grid prepares it: the face is followed and cut out, the frozen trunk makes features of it, signals
are brought to the clock. There is a finite probability or none: what cannot be judged raises NoEstimate. T steps, F trunk
features, C channels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch

from dataprep import faces
from dataprep.datasets import dataset
from dataprep.faces import FaceSettings, Steps
from dataprep.records import DataSet, InputError, RecordingError, Trial
from dataprep.signals.derived import source, with_channels
from dataprep.signals.files import on_clock
from dataprep.video.decode import Video
from painmodels.training.loop import one_thread
from painmodels.trunks.trunk import Trunk
from painmodels.use.arrays import signals_on_clock, video_of_arrays
from painmodels.use.judgeable import NoEstimate, why_no_samples
from painmodels.use.predictions import Estimate, Prediction, average

if TYPE_CHECKING:
    from painmodels.use.model import Model

File = str | os.PathLike[str]
Files = Sequence[os.PathLike[str]] | list[str] | tuple[str, ...]
EachStep = Mapping[str, torch.Tensor]
"""What is known of every step by itself, (T, …): outputs of networks on single frames, and recordings that others take."""


class Predictor:
    """Takes recordings and gives predictions. `about` says what it is, `classes` the first of which is no pain.

    `clock_hz` and `n_steps` are the window, `channels` the signals in the order of the arrays, `recorded` what each is made of
    (itself, or `ecg` for `hr`), `inputs` these recorded channels, `device` where torch computes.
    """

    def __init__(
        self, about: Mapping[str, Any], *, face_settings: FaceSettings, trunk: Trunk | None, device: torch.device
    ) -> None:
        self.about, self.face_settings, self.trunk, self.device = dict(about), face_settings, trunk, device
        self.clock_hz, self.n_steps = float(about["clock_hz"]), int(about["n_steps"])
        self.classes: tuple[str, ...] = tuple(about["classes"])
        self.channels: tuple[str, ...] = tuple(about["channels"])
        self.members: tuple[Model, ...] = ()
        self.recorded = {c: source(c, self._reader.channels) for c in self.channels} if self.channels else {}
        self.inputs: tuple[str, ...] = tuple(dict.fromkeys(self.recorded.values()))

    @property
    def uses_video(self) -> bool:
        return bool(self.about["video"])

    @property
    def uses_signals(self) -> bool:
        return bool(self.channels)

    @property
    def window_s(self) -> float:
        """How long a window is, in s."""
        return self.n_steps / self.clock_hz

    @property
    def signal_steps(self) -> tuple[int, int]:
        """First and one-past-last step that is used."""
        return self.members[0].pipeline.steps

    def __repr__(self) -> str:
        inputs = [*self.inputs, *(["a video of the face"] if self.uses_video else [])]
        data = "synthetic data: says nothing about pain" if self.about["synthetic"] else self.about["reader"]
        many = f", {len(self.members)} models" if len(self.members) > 1 else ""
        return (
            f"<{type(self).__name__} {self.about['cell']}{many}: {', '.join(inputs)} -> {' or '.join(self.classes)}; "
            f"window {self.window_s:g} s, {self.n_steps} steps at {self.clock_hz:g} Hz; trained on {data}>"
        )

    def video(self, path: File | Video, *, show: Callable[[np.ndarray], None] = lambda crops: None) -> np.ndarray:
        """What the row takes of a recording's first window, a row a step, (n_frames, F) (painmodels.use.graph.Columns).

        Raises RecordingError as `dataprep.faces.follow` does.

        `show` is called with the crops, (b, 227, 227, 3) uint8 RGB, in order, one a step.
        """
        if not self.uses_video:
            raise InputError(f"{self.about['cell']} uses no video")
        take, chunks = self.columns_of(), []
        followed = faces.follow(
            path if isinstance(path, Video) else Path(path),
            self.face_settings,
            clock_hz=self.clock_hz,
            n_steps=self.n_steps,
        )
        for steps in followed.steps(frames=self.members[0].columns.frames):
            show(steps.crops_BYXC)
            chunks.append(take(steps))
        return np.concatenate(chunks)[: followed.track().n_frames]

    def columns_of(self) -> Callable[[Steps], np.ndarray]:
        """A function of a video's next steps that gives what the row takes of each, (B, F)."""
        trunk = self.trunk
        return self.members[0].columns.begin(None if trunk is None else lambda crops: trunk(crops, self.device))

    @property
    def _reader(self) -> DataSet:
        return dataset(self.about["reader"], self.about.get("reader_description"), whole=True)

    def native_signals(self, path: File) -> Mapping[str, tuple[np.ndarray, float]]:
        """Channel -> samples of the whole recording and their rate in Hz. Raises RecordingError."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(2, "no such file; expected signals", str(path))
        trial = Trial(trial_id=path.stem, subject="unknown", class_id=0, class_name="unknown", signals=str(path.absolute()))
        return self._reader.read_signals(trial)

    def signals(self, path: File) -> np.ndarray:
        """Signals of a recording's first window on the clock, unscaled, float32 (n_steps, C). Raises RecordingError."""
        read = self.native_signals(path)
        trial = Trial(trial_id="x", subject="unknown", class_id=0, class_name="unknown", signals=str(Path(path).absolute()))
        x_TC = on_clock(read, trial, with_channels(self._reader, self.channels))
        for channel in self.recorded.values():
            values, rate_hz = read[channel]
            reason = why_no_samples(
                values, rate_hz=rate_hz, channel=channel, steps=self.signal_steps, clock_hz=self.clock_hz
            )
            if reason:
                raise NoEstimate(f"{path}: {reason}")
        return x_TC

    @overload
    def predict(self, *, video: File | None = None, signals: File | None = None) -> Prediction: ...
    @overload
    def predict(self, *, video: Files, signals: Files | None = None) -> list[Estimate]: ...
    @overload
    def predict(self, *, video: Files | None = None, signals: Files) -> list[Estimate]: ...
    def predict(
        self, *, video: File | Files | None = None, signals: File | Files | None = None
    ) -> Prediction | list[Estimate]:
        """The prediction for the first window of one recording, or of many: files, or lists of files of the same length.

        Of one: raises RecordingError for a bad file, NoEstimate for one that cannot be judged, InputError where one lacks. Of
        many: an Estimate each, with a reason instead of a prediction for those that would have raised RecordingError.
        """
        lists = [x for x in (video, signals) if isinstance(x, list | tuple)]
        if not lists:
            return self._one(video, signals)  # type: ignore[arg-type]
        many = len(lists[0])
        if any(x is not None and (not isinstance(x, list | tuple) or len(x) != many) for x in (video, signals)):
            seen = [f"{len(x)} files" if isinstance(x, list | tuple) else repr(x) for x in (video, signals)]
            raise InputError(f"found video: {seen[0]}, signals: {seen[1]}; expected two lists of the same length")
        out = []
        pairs = zip(*[x if isinstance(x, list | tuple) else [None] * many for x in (video, signals)], strict=True)
        for one_video, one_signals in pairs:
            try:
                out.append(Estimate(self.window_s, self._one(one_video, one_signals)))
            except (RecordingError, OSError) as reason:
                out.append(Estimate(self.window_s, None, str(reason)))
        return out

    def _one(self, video: File | None, signals: File | None) -> Prediction:
        with one_thread():
            return self.of_arrays(*self.read(video=video, signals=signals))

    def read(
        self, *, video: File | None, signals: File | None, show: Callable[[np.ndarray], None] = lambda crops: None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What `of_arrays` takes, of the files that the model uses. Raises as `predict`; `show` as in `video`."""
        self.check_given(video=video is not None, signals=signals is not None)
        return (
            self.video(video, show=show) if self.uses_video and video is not None else None,
            self.signals(signals) if self.uses_signals and signals is not None else None,
        )

    def check_given(self, *, video: bool, signals: bool) -> None:
        """Raises InputError if what the model uses is not given."""
        for name, used, given in (("video", self.uses_video, video), ("signals", self.uses_signals, signals)):
            if used and not given:
                raise InputError(f"{self.about['cell']} uses {name}: found no {name} file, expected one")

    def predict_arrays(
        self,
        *,
        frames: np.ndarray | Iterable[np.ndarray] | None = None,
        signals: Mapping[str, np.ndarray] | None = None,
        rates_hz: Mapping[str, float] | None = None,
    ) -> Prediction:
        """The prediction for the first window of a recording that is in memory; brought to the clock here, as files are.

        `frames`: RGB pictures with a face, uint8 (n, height, width, 3), or one after the other, `rates_hz["frames"]` a second
        (not given: the clock's). `signals`: channel -> samples (n,) in the unit of the training data, `rates_hz[channel]` of
        them a second.
        Raises InputError in words where something lacks or has another shape, RecordingError and NoEstimate as `predict`.
        """
        given, rates = dict(signals or {}), dict(rates_hz or {})
        missing = [f"signals[{c!r}]" for c in self.inputs if c not in given]
        missing += [f"rates_hz[{c!r}]" for c in self.inputs if c not in rates]
        missing += ["frames"] if self.uses_video and frames is None else []
        if missing:
            raise InputError(f"{self.about['cell']} uses {', '.join(self._used())}: found no {', '.join(missing)}")
        unused = [c for c in given if c not in self.inputs] + (
            ["frames"] if frames is not None and not self.uses_video else []
        )
        if unused:
            warnings.warn(f"{self.about['cell']} does not use {', '.join(unused)}: not read", stacklevel=2)
        video_TF = signals_TC = None
        with one_thread():
            if self.channels:
                samples = {c: (given[c], rates[c]) for c in self.inputs}
                window = (self.clock_hz, self.n_steps)
                signals_TC = signals_on_clock(samples, self.recorded, window=window, steps=self.signal_steps)
            if self.uses_video and frames is not None:
                video_TF = self.video(video_of_arrays(frames, rate_hz=rates.get("frames", self.clock_hz)))
            return self.of_arrays(video_TF, signals_TC)

    def _used(self) -> list[str]:
        return [*self.inputs, *(["frames"] if self.uses_video else [])]

    def of_arrays(self, video_TF: np.ndarray | None, signals_TC: np.ndarray | None) -> Prediction:
        """The prediction for prepared arrays: what the row takes of a video (n_frames, F), signals (n_steps, C) on the clock.

        Raises NoEstimate where there is nothing to judge, InputError for arrays that are absent or of another shape.
        """
        self._check_shapes(video_TF, signals_TC)
        if video_TF is None or not self.uses_video:
            return self.of_steps([None for _ in self.members], None, signals_TC)
        steps = np.arange(self.n_steps)
        held_TF = video_TF[steps.clip(max=len(video_TF) - 1)]
        return self.of_steps([m.each_step(held_TF) for m in self.members], steps < len(video_TF), signals_TC)

    def of_steps(
        self, each_step: Sequence[EachStep | None], seen_T: np.ndarray | None, signals_TC: np.ndarray | None
    ) -> Prediction:
        """The prediction from what each member knows of each step by itself, and signals on the clock.

        `seen_T` is False where a step has no frame of its own; such a step gets no attention. Raises NoEstimate.
        """
        return average([m.judged(x, seen_T, signals_TC) for m, x in zip(self.members, each_step, strict=True)])

    def _check_shapes(self, video_TF: np.ndarray | None, signals_TC: np.ndarray | None) -> None:
        wanted = []
        if self.uses_video:
            width = self.members[0].columns.width
            wanted.append(
                ("video", video_TF, f"(frames, {width}), at least one frame", lambda s: s[0] > 0 and s[1] == width)
            )
        if self.channels:
            shape = (self.n_steps, len(self.channels))
            wanted.append(("signals", signals_TC, f"{shape}: steps, {', '.join(self.channels)}", lambda s: s == shape))
        for name, array, expected, fits in wanted:
            found = None if array is None else np.shape(array)
            if found is None or len(found) != 2 or not fits(found):
                raise InputError(f"{name}: found {'nothing' if found is None else f'shape {found}'}, expected {expected}")
