"""A trained row of the grid in one folder: `model.safetensors` (all tensors, the frozen trunk's too) and `model.json` (all else).

    model = load(folder)
    found = model.predict(video=Path("v.mp4"), signals=Path("x_bio.csv"))     # found.p_pain, found.attention_T, …

Nothing else is needed: neither the run it came from, nor Ray, nor MLflow. What `model.json` says is `model_files.Description`;
`networks` are described in `pipeline`. There is a finite probability or none: what cannot be judged raises NoEstimate.
Research software, not a medical device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataprep import faces
from dataprep.datasets import dataset
from dataprep.records import InputError, Trial
from dataprep.signals import on_clock
from painmodels.fit import one_thread
from painmodels.inputs import NoEstimate, why_no_face, why_no_samples, why_no_signals
from painmodels.model_files import check_description, read_model, write_model
from painmodels.pipeline import Pipeline
from painmodels.spatial import Trunk, trunk_from_state


@dataclass(frozen=True)
class Prediction:
    """What a model says of one recording. `p_pain`: probability of any class but the first; `p_classes_K` of each.

    `frames_T` and `attention_T` are the spatial network's probability of pain and the attention's weight per step, None where
    the row has no such part; step t is `times_s_T[t]` seconds after the recording's start.
    """

    p_pain: float
    p_classes_K: np.ndarray
    times_s_T: np.ndarray
    frames_T: np.ndarray | None = None
    attention_T: np.ndarray | None = None


class Model:
    """A pipeline with what prepares its inputs. `about` is the content of model.json, `tensors` that of model.safetensors."""

    def __init__(self, about: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        check_description(about)
        self.about, self.tensors = dict(about), dict(tensors)
        broken = [name for name, v in self.tensors.items() if v.is_floating_point() and not torch.isfinite(v).all()]
        if broken:
            raise InputError(f"model: found values that are not finite in {', '.join(broken[:5])}, expected finite weights")
        self.clock_hz, self.n_steps = float(about["clock_hz"]), int(about["n_steps"])
        self.classes: tuple[str, ...] = tuple(about["classes"])
        try:
            self.face_settings = faces.FaceSettings(**about["faces"])
        except TypeError as error:
            raise InputError(f"model: faces: {error}, expected the settings of this version") from None
        self.trunk: Trunk | None = None
        if about["trunk"]:
            t = about["trunk"]
            self.trunk = trunk_from_state(
                t["name"],
                {name.removeprefix("trunk."): v for name, v in tensors.items() if name.startswith("trunk.")},
                scaling=t["scaling"],
                precision=t["precision"],
                origin=(t["fingerprint"], t["provenance"]),
            )
        self.pipeline = Pipeline(
            about["networks"],
            n_features=self.trunk.feature_size if self.trunk else 0,
            n_channels=len(about["channels"]),
            n_steps=self.n_steps,
            max_gap=int(self.face_settings.max_gap_s * self.clock_hz),
        )
        mine = {name: v for name, v in tensors.items() if not name.startswith("trunk.")}
        wrong = self.pipeline.load_state_dict(mine, strict=False)
        if wrong.missing_keys or wrong.unexpected_keys:
            raise InputError(f"model: found unknown tensors {wrong.unexpected_keys}, missing {wrong.missing_keys}")

    def save(self, folder: Path) -> None:
        """Write the two files into `folder`, made if it is not there; ONNX files of an earlier model there are removed."""
        write_model(folder, self.about, self.tensors)

    def video(self, path: Path) -> np.ndarray:
        """Trunk features of a recording, float16 (n_frames, F). Raises RecordingError as `prepare_video` does."""
        assert self.trunk is not None
        trunk, chunks = self.trunk, []
        track = faces.prepare_video(
            path,
            self.face_settings,
            clock_hz=self.clock_hz,
            n_steps=self.n_steps,
            on_crops=lambda crops: chunks.append(trunk(crops)),
        )
        return np.concatenate(chunks)[: track.n_frames]

    def signals(self, path: Path) -> np.ndarray:
        """Signals of a recording on the clock, unscaled, float32 (n_steps, C). Raises RecordingError, NoEstimate."""
        trial = Trial(path.stem, "unknown", 0, "unknown", signals=str(path.absolute()))
        reader = replace(dataset(self.about["reader"]), channels=tuple(self.about["channels"]))
        read = reader.read_signals(trial)
        x_TC = on_clock(read, trial, reader)
        for channel in reader.channels:
            values, rate_hz = read[channel]
            steps = self.pipeline.signal_steps
            reason = why_no_samples(values, rate_hz=rate_hz, channel=channel, steps=steps, clock_hz=self.clock_hz)
            if reason:
                raise NoEstimate(f"{path}: {reason}")
        return x_TC

    def predict(self, *, video: Path | None = None, signals: Path | None = None) -> Prediction:
        """The prediction for one recording, read from files. Raises RecordingError for a bad file, InputError if it lacks."""
        for name, used, given in (
            ("video", self.pipeline.uses_video, video),
            ("signals", self.pipeline.uses_signals, signals),
        ):
            if used and given is None:
                raise InputError(f"{self.about['cell']} uses {name}: found no {name} file, expected one")
        with one_thread():
            return self.of_arrays(
                self.video(video) if self.pipeline.uses_video and video else None,
                self.signals(signals) if self.pipeline.uses_signals and signals else None,
            )

    def of_arrays(self, video_TF: np.ndarray | None, signals_TC: np.ndarray | None) -> Prediction:
        """The prediction for prepared arrays: trunk features (n_frames, F), signals (n_steps, C) on the clock.

        Raises NoEstimate where there is nothing to judge, ValueError for arrays that are absent or of another shape.
        """
        self._check_shapes(video_TF, signals_TC)
        if video_TF is None or not self.pipeline.uses_video:
            return self.of_steps(None, None, signals_TC)
        steps = np.arange(self.n_steps)
        video = torch.from_numpy(video_TF[steps.clip(max=len(video_TF) - 1)]).float()[None]
        with torch.inference_mode():
            frames, values = self.pipeline.spatial(video)
        return self.of_steps((frames[0], values[0]), steps < len(video_TF), signals_TC)

    def _check_shapes(self, video_TF: np.ndarray | None, signals_TC: np.ndarray | None) -> None:
        wanted = []
        if self.pipeline.uses_video:
            assert self.trunk is not None
            width = self.trunk.feature_size
            wanted.append(
                ("video", video_TF, f"(frames, {width}), at least one frame", lambda s: s[0] > 0 and s[1] == width)
            )
        if self.pipeline.uses_signals:
            shape = (self.n_steps, len(self.about["channels"]))
            wanted.append(
                ("signals", signals_TC, f"{shape}: steps, {', '.join(self.about['channels'])}", lambda s: s == shape)
            )
        for name, array, expected, fits in wanted:
            found = None if array is None else np.shape(array)
            if found is None or len(found) != 2 or not fits(found):
                raise InputError(f"{name}: found {'nothing' if found is None else f'shape {found}'}, expected {expected}")

    def of_steps(
        self, spatial: tuple[torch.Tensor, torch.Tensor] | None, seen_T: np.ndarray | None, signals_TC: np.ndarray | None
    ) -> Prediction:
        """The prediction from the spatial network's output for each step, (T, K) and (T, H), and signals on the clock.

        `seen_T` is False where a step has no frame of its own; such a step gets no attention. Raises NoEstimate.
        """
        if signals_TC is not None and self.pipeline.uses_signals:
            reason = why_no_signals(
                signals_TC, channels=self.about["channels"], steps=self.pipeline.signal_steps, clock_hz=self.clock_hz
            )
            if reason:
                raise NoEstimate(reason)
        if seen_T is not None:
            reason = why_no_face(seen_T, max_gap=self.pipeline.max_gap, clock_hz=self.clock_hz)
            if reason:
                raise NoEstimate(reason)
        steps = None if spatial is None else (spatial[0][None], spatial[1][None])
        mask = None if seen_T is None else torch.from_numpy(seen_T).float()[None]
        signals = None if signals_TC is None else torch.from_numpy(signals_TC)[None]
        with torch.inference_mode():
            out = {name: v[0].numpy() for name, v in self.pipeline.of_steps(steps, mask, signals).items()}
        wrong = [name for name, v in out.items() if not np.isfinite(v).all()]
        if wrong:
            raise NoEstimate(
                f"the values of {', '.join(wrong)} are not finite: the frames' features are not, expected numbers"
            )
        first, end = self.about["networks"][-1]["steps"]
        frames = out.get("frames")
        return Prediction(
            p_pain=float(1 - out["p"][0]),
            p_classes_K=out["p"],
            times_s_T=np.arange(first, end) / self.clock_hz,
            frames_T=None if frames is None else 1 - frames[:, 0],
            attention_T=out.get("attention"),
        )


def load(folder: Path) -> Model:
    """The model in `folder`. Raises ValueError that names the file that is absent, damaged or of another format."""
    return Model(*read_model(folder))
