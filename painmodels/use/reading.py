"""What a model takes: files as they are read and prepared for it, exactly as the grid prepares them.

The face is followed and cut out, the frozen trunk makes features of it, signals are brought to the clock. T steps, F trunk
features, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dataprep import faces
from dataprep.datasets import dataset
from dataprep.faces import FaceSettings, Steps
from dataprep.records import DataSet, InputError, Trial
from dataprep.signals.derived import source, with_channels
from dataprep.signals.files import on_clock
from dataprep.video.decode import Video
from painmodels.tasks import task_of_table
from painmodels.trunks.trunk import Trunk
from painmodels.use.judgeable import NoEstimate, why_no_samples

if TYPE_CHECKING:
    from painmodels.use.model import Model

File = str | os.PathLike[str]


class Reader:
    """Reads recordings for a model. `about` says what it is, `learns` the task, `classes` its names, no pain first.

    `clock_hz` and `n_steps` are the window, `channels` the signals in the order of the arrays, `recorded` what each is made of
    (itself, or `ecg` for `hr`), `inputs` these recorded channels, `device` where torch computes.
    """

    def __init__(
        self, about: Mapping[str, Any], *, face_settings: FaceSettings, trunk: Trunk | None, device: torch.device
    ) -> None:
        self.about, self.face_settings, self.trunk, self.device = dict(about), face_settings, trunk, device
        self.clock_hz, self.n_steps = float(about["clock_hz"]), int(about["n_steps"])
        self.classes: tuple[str, ...] = tuple(about["classes"])
        self.learns = task_of_table(about.get("task") or {}, self.classes)
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

    @property
    def used_s(self) -> tuple[float, float]:
        """The part of a window that the row sees, in s from the window's start: its scenario may skip the rest."""
        first, end = self.members[0].pipeline.steps
        return first / self.clock_hz, end / self.clock_hz

    def __repr__(self) -> str:
        inputs = [*self.inputs, *(["a video of the face"] if self.uses_video else [])]
        data = "synthetic data: says nothing about pain" if self.about["synthetic"] else self.about["reader"]
        given = " or ".join(self.classes) if self.learns.n_classes else self.learns.gives
        many = f", {len(self.members)} models" if len(self.members) > 1 else ""
        used = "" if self.used_s == (0.0, self.window_s) else f" (used: {self.used_s[0]:g} to {self.used_s[1]:g} s)"
        return (
            f"<{type(self).__name__} {self.about['cell']}{many}: {', '.join(inputs)} -> {given}; "
            f"window {self.window_s:g} s{used}, {self.n_steps} steps at {self.clock_hz:g} Hz; trained on {data}>"
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

    def _used(self) -> list[str]:
        return [*self.inputs, *(["frames"] if self.uses_video else [])]
