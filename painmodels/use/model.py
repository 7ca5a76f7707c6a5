"""A trained row of the grid in one folder: `model.safetensors` (all tensors, the frozen trunk's too) and `model.json` (all else).

    model = painmodels.load("folder")
    found = model.predict(video="v.mp4", signals="x_bio.csv")     # found.columns, found.attention_T, …

Nothing else is needed: neither the run it came from, nor Ray, nor MLflow. What `model.json` says is `model_files.Description`;
`networks` are described in `pipeline`. Files, lists of files and arrays are taken by `predictor.Predictor`.
Research software, not a medical device.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataprep import faces
from dataprep.records import InputError
from painmodels.methods import calibrate
from painmodels.methods.graph import Estimator
from painmodels.trunks.trunk import Trunk, trunk_from_state
from painmodels.use.estimator import EstimatorPipeline
from painmodels.use.graph import Columns, graph_of
from painmodels.use.judgeable import NoEstimate, why_no_face, why_no_signals
from painmodels.use.model_files import check_description, read_model, write_model
from painmodels.use.pipeline import Pipeline
from painmodels.use.predictions import Prediction
from painmodels.use.predictor import EachStep, Predictor


class Model(Predictor):
    """A pipeline with what prepares its inputs. `about` is the content of model.json, `tensors` that of model.safetensors."""

    def __init__(
        self,
        about: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        *,
        device: str = "cpu",
        trunk: Trunk | None = None,
    ) -> None:
        """`trunk`: that of another model with the same frozen layers, to hold them in memory once."""
        check_description(about)
        self.tensors = dict(tensors)
        broken = [name for name, v in self.tensors.items() if v.is_floating_point() and not torch.isfinite(v).all()]
        if broken:
            raise InputError(f"model: found values that are not finite in {', '.join(broken[:5])}, expected finite weights")
        try:
            face_settings = faces.FaceSettings(**about["faces"])
        except TypeError as error:
            raise InputError(f"model: faces: {error}, expected the settings of this version") from None
        if about["trunk"] and trunk is None:
            t = about["trunk"]
            trunk = trunk_from_state(
                t["name"],
                {name.removeprefix(TRUNK): v for name, v in tensors.items() if name.startswith(TRUNK)},
                scaling=t["scaling"],
                precision=t["precision"],
                origin=(t["fingerprint"], t["provenance"]),
            )
        super().__init__(about, face_settings=face_settings, trunk=trunk, device=chosen_device(device))
        self.columns = Columns(about["video"])
        apart = (TRUNK, f"{calibrate.ROLE}.")
        self.pipeline = self._pipeline({name: v for name, v in tensors.items() if not name.startswith(apart)})
        self.members = (self,)

    def _pipeline(self, tensors: Mapping[str, torch.Tensor]) -> Pipeline | EstimatorPipeline:
        """The row's graph with its weights. Raises InputError for those of another graph."""
        graph = graph_of(self.about)
        max_gap = int(self.face_settings.max_gap_s * self.clock_hz)
        last = graph[-1]
        if isinstance(last.trained, Estimator) and len(graph) == 1:
            prefix = f"parts.{last.role}."
            weights = {name.removeprefix(prefix): v.numpy() for name, v in tensors.items()}
            return EstimatorPipeline(last, self.columns, self.learns, weights, clock_hz=self.clock_hz, max_gap=max_gap)
        size = {"n_channels": len(self.channels), "n_steps": self.n_steps, "max_gap": max_gap}
        made = Pipeline(graph, self.columns, self.learns, **size, rate_hz=self.clock_hz)
        wrong = made.load_state_dict(dict(tensors), strict=False)
        if wrong.missing_keys or wrong.unexpected_keys:
            raise InputError(f"model: found unknown tensors {wrong.unexpected_keys}, missing {wrong.missing_keys}")
        return made.to(self.device)

    def _recalibrated(self, p_K: np.ndarray) -> np.ndarray:
        """Probabilities of the classes as the row's calibration makes them; as they are where it has none."""
        if not (how := self.about.get("calibration", "")):
            return p_K
        prefix = f"{calibrate.ROLE}."
        weights = {n.removeprefix(prefix): v.numpy() for n, v in self.tensors.items() if n.startswith(prefix)}
        calibrator = calibrate.CALIBRATORS[how]
        (p,) = calibrator.predict(weights, calibrate.given(p_K[1:]), calibrate.Settings(), "cpu").astype(np.float32)
        return np.array([1 - p, p])

    @property
    def takes_frames(self) -> bool:
        """Whether its recordings are made of whole pictures, beside the face."""
        return self.columns.frames

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files into `folder`, made if it is not there; ONNX files of an earlier model there are removed."""
        write_model(Path(folder), self.about, self.tensors)

    def each_step(self, video_TF: np.ndarray) -> EachStep:
        """What is known of each step by itself, of the columns of a video (T, F)."""
        with torch.inference_mode():
            video = torch.from_numpy(np.asarray(video_TF, dtype=np.float32)).to(self.device)[None]
            return {name: x[0] for name, x in self.pipeline.each_step(video).items()}

    def judged(self, each_step: EachStep | None, seen_T: np.ndarray | None, signals_TC: np.ndarray | None) -> Prediction:
        """The prediction of this model alone, as `of_steps`."""
        if signals_TC is not None and self.uses_signals:
            reason = why_no_signals(signals_TC, channels=self.channels, steps=self.signal_steps, clock_hz=self.clock_hz)
            if reason:
                raise NoEstimate(reason)
        if seen_T is not None:
            reason = why_no_face(seen_T, max_gap=self.pipeline.max_gap, clock_hz=self.clock_hz)
            if reason:
                raise NoEstimate(reason)
        steps = None if each_step is None else {name: x[None] for name, x in each_step.items()}
        mask = None if seen_T is None else torch.from_numpy(seen_T).float().to(self.device)[None]
        signals = None
        if signals_TC is not None and self.uses_signals:
            signals = torch.from_numpy(np.asarray(signals_TC, dtype=np.float32)).to(self.device)[None]
        with torch.inference_mode():
            out = {name: v[0].cpu().numpy() for name, v in self.pipeline.of_steps(steps, mask, signals).items()}
        wrong = [name for name, v in out.items() if not np.isfinite(v).all()]
        if wrong:
            raise NoEstimate(
                f"the values of {', '.join(wrong)} are not finite: the frames' features are not, expected numbers"
            )
        out["p"] = self._recalibrated(out["p"])
        first, end = self.pipeline.steps
        frames = out.get("frames")
        return Prediction(
            learns=self.learns,
            given_G=out["p"],
            times_s_T=np.arange(first, end) / self.clock_hz,
            frames_T=None if frames is None else self.learns.strengths(self.learns.columns_of(frames)),
            attention_T=out.get("attention"),
        )


TRUNK = "trunk."
SHARED = ("clock_hz", "n_steps", "classes", "task", "channels", "faces", "trunk", "reader")


class Ensemble(Predictor):
    """Several models of one row, such as those of all folds: recordings are prepared once, probabilities are averaged."""

    def __init__(self, members: Sequence[Model], *, name: str) -> None:
        first = members[0]
        for key in SHARED:
            if any(m.about.get(key) != first.about.get(key) for m in members):
                raise InputError(f"{name}: found models that differ in {key!r}, expected those of one row of a run")
        super().__init__(
            {**first.about, "cell": name}, face_settings=first.face_settings, trunk=first.trunk, device=first.device
        )
        self.members = tuple(members)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files of all members into one `folder`, made if it is not there; the trunk is stored once."""
        tensors = {name: value for name, value in self.members[0].tensors.items() if name.startswith(TRUNK)}
        for k, member in enumerate(self.members):
            tensors |= {f"member{k}.{n}": value for n, value in member.tensors.items() if not n.startswith(TRUNK)}
        abouts = [{"calibration": "", **member.about} for member in self.members]
        told = [{key: about[key] for key in ("cell", "networks", "calibration")} for about in abouts]
        write_model(Path(folder), {**self.about, "calibration": "", "members": told}, tensors)


def load(folder: str | os.PathLike[str], *, device: str = "cpu") -> Model | Ensemble:
    """The model in `folder`, or the ensemble. `device`: "cpu", "cuda", "cuda:1" …, or "auto" for the first GPU there is.

    Raises InputError that names the file that is absent, damaged or of another format, or a device that is not there.
    """
    about, tensors = read_model(Path(folder))
    if not (told := about.pop("members", [])):
        return Model(about, tensors, device=device)
    frozen = {name: value for name, value in tensors.items() if name.startswith(TRUNK)}
    members: list[Model] = []
    for k, own in enumerate(told):
        mine = {n.removeprefix(f"member{k}."): value for n, value in tensors.items() if n.startswith(f"member{k}.")}
        trunk = members[0].trunk if members else None
        members.append(Model({**about, **own}, frozen | mine, device=device, trunk=trunk))
    return Ensemble(members, name=about["cell"])


def chosen_device(name: str) -> torch.device:
    """A device that can be used. Raises InputError for another one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"device: found {name!r}, expected cpu, cuda, cuda:1 … or auto") from None
    many = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type not in ("cpu", "cuda") or (device.index or 0) >= many:
        raise InputError(f"device: found {name!r}, expected cpu, auto or one of the {many if many else 'no'} GPUs there are")
    return device
