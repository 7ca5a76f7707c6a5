"""A trained row of the grid in one folder: `model.safetensors` (all tensors, the frozen trunk's too) and `model.json` (all else).

    model = load(folder)
    found = model.predict(video=Path("v.mp4"), signals=Path("x_bio.csv"))     # found.p_pain, found.attention_T, …

Nothing else is needed: neither the run it came from, nor Ray, nor MLflow. `model.json` holds `format`, `cell`, `clock_hz`,
`n_steps`, `classes`, `reader` (the data set whose files it reads), `channels`, `faces`, `trunk` and `networks` (see `pipeline`).
Research software, not a medical device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dataprep import faces
from dataprep.datasets import dataset
from dataprep.places import Place
from dataprep.records import DataError, Trial
from dataprep.signals import prepare_signals
from painmodels.fit import one_thread
from painmodels.pipeline import Pipeline
from painmodels.spatial import Trunk, trunk_from_state

FORMAT = 1
TENSORS, ABOUT = "model.safetensors", "model.json"


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
        self.about, self.tensors = dict(about), dict(tensors)
        self.clock_hz, self.n_steps = float(about["clock_hz"]), int(about["n_steps"])
        self.classes: tuple[str, ...] = tuple(about["classes"])
        self.face_settings = faces.FaceSettings(**about["faces"])
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
        )
        mine = {name: v for name, v in tensors.items() if not name.startswith("trunk.")}
        wrong = self.pipeline.load_state_dict(mine, strict=False)
        if wrong.missing_keys or wrong.unexpected_keys:
            raise ValueError(f"model: found unknown tensors {wrong.unexpected_keys}, missing {wrong.missing_keys}")

    def save(self, folder: Path) -> None:
        """Write the two files into `folder`, made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: v.contiguous() for name, v in self.tensors.items()}, folder / TENSORS)
        (folder / ABOUT).write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")

    def video(self, path: Path) -> np.ndarray:
        """Trunk features of a recording, float16 (n_frames, F). Raises DataError as `prepare_video` does."""
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
        """Signals of a recording on the clock, unscaled, float32 (n_steps, C). Raises DataError."""
        trial = Trial(path.stem, "unknown", 0, "unknown", signals=str(path.absolute()))
        reader = replace(dataset(self.about["reader"]), channels=tuple(self.about["channels"]))
        x_NTC, _, defects = prepare_signals([trial], reader)
        if defects:
            raise DataError(defects[0].reason)
        return x_NTC[0]

    def predict(self, *, video: Path | None = None, signals: Path | None = None) -> Prediction:
        """The prediction for one recording, read from files. Raises DataError for a bad file, ValueError for a missing one."""
        for name, used, given in (
            ("video", self.pipeline.uses_video, video),
            ("signals", self.pipeline.uses_signals, signals),
        ):
            if used and given is None:
                raise ValueError(f"{self.about['cell']} uses {name}: found no {name} file, expected one")
        with one_thread():
            return self.of_arrays(
                self.video(video) if self.pipeline.uses_video and video else None,
                self.signals(signals) if self.pipeline.uses_signals and signals else None,
            )

    def of_arrays(self, video_TF: np.ndarray | None, signals_TC: np.ndarray | None) -> Prediction:
        """The prediction for prepared arrays: trunk features (n_frames, F), signals (n_steps, C) on the clock."""
        if video_TF is None:
            return self.of_steps(None, None, signals_TC)
        steps = np.arange(self.n_steps)
        video = torch.from_numpy(video_TF[steps.clip(max=len(video_TF) - 1)]).float()[None]
        with torch.inference_mode():
            frames, values = self.pipeline.spatial(video)
        return self.of_steps((frames[0], values[0]), steps < len(video_TF), signals_TC)

    def of_steps(
        self, spatial: tuple[torch.Tensor, torch.Tensor] | None, seen_T: np.ndarray | None, signals_TC: np.ndarray | None
    ) -> Prediction:
        """The prediction from the spatial network's output for each step, (T, K) and (T, H), and signals on the clock.

        `seen_T` is False where a step has no frame of its own; such a step gets no attention.
        """
        steps = None if spatial is None else (spatial[0][None], spatial[1][None])
        mask = None if seen_T is None else torch.from_numpy(seen_T).float()[None]
        signals = None if signals_TC is None else torch.from_numpy(signals_TC)[None]
        with torch.inference_mode():
            out = {name: v[0].numpy() for name, v in self.pipeline.of_steps(steps, mask, signals).items()}
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
    about = read_json(folder / ABOUT)
    if about.get("format") != FORMAT:
        raise ValueError(f"{folder / ABOUT}: found format {about.get('format')!r}, expected {FORMAT}")
    try:
        tensors = load_file(folder / TENSORS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder / TENSORS}: cannot be read ({error}), expected a safetensors file") from None
    return Model(about, tensors)


def read_json(path: Place) -> Any:
    """The content of a JSON file. Raises ValueError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}), expected a JSON file") from None
