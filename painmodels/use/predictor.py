"""What a single model and an ensemble have in common: recordings are prepared once (`reading`), and every member judges them.

There is a finite prediction or none: what cannot be judged raises NoEstimate. T steps, F columns of a video, C channels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import overload

import numpy as np
import torch

from dataprep.records import InputError, RecordingError
from painmodels.training.loop import one_thread
from painmodels.use.arrays import signals_on_clock, video_of_arrays
from painmodels.use.predictions import Estimate, Prediction, average
from painmodels.use.reading import File, Reader

Files = Sequence[os.PathLike[str]] | list[str] | tuple[str, ...]
EachStep = Mapping[str, torch.Tensor]
"""What is known of every step by itself, (T, …): outputs of networks on single frames, and recordings that others take."""


class Predictor(Reader):
    """Takes recordings and gives predictions."""

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
                out.append(Estimate(self.window_s, None, str(reason), self.learns.columns))
        return out

    def _one(self, video: File | None, signals: File | None) -> Prediction:
        with one_thread():
            return self.of_arrays(*self.read(video=video, signals=signals))

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
