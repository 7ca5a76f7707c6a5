"""A model as ONNX files that need onnxruntime and numpy alone, for any number of recordings or frames at once.

| file           | takes                                                               | gives                          |
|----------------|---------------------------------------------------------------------|--------------------------------|
| `signals.onnx` | one input a channel, (N, samples) float64 at the recorder's rate    | `signals` (N, n_steps, C)      |
| `trunk.onnx`   | `crops` (B, 227, 227, 3) uint8 RGB, one a step                      | `features` (B, F)              |
| `network.onnx` | `video` (N, n_steps, F), `mask` (N, n_steps), 0 where a step has no | `p` (N, G), `usable` (N,),     |
|                | frame of its own; `signals` (N, n_steps, C), unscaled, on the clock | `frames` and `attention` (N, T)|

Inputs and outputs are float32 but where another type is named, those that the row has. The low-pass that brings a signal to the
clock is linear, so it is one matrix product of `signals.onnx`; min-max scaling is part of `network.onnx`. G: the probability of
each class, or one number; the metadata say how the number that the task gives is made of `p`. Where `usable` is False there is
no estimate, and `p` is NaN: a sample that is not finite, a flat signal, a face that is not seen for too long. Each file's
metadata (`metadata`) say what it is: read them by `session.get_modelmeta().custom_metadata_map`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from dataprep.records import InputError
from dataprep.signals.resampling import FILTER_ORDER, FLOAT32_MAX, PASS_BAND, clock_matrix
from painmodels.training.normalise import FITTED
from painmodels.trunks.trunk import SIZE
from painmodels.use.arrays import check_rate
from painmodels.use.model import Model
from painmodels.use.model_files import ONNX_FILES
from painmodels.use.pipeline import Pipeline

OPSET = 20
OUTPUTS = ("p", "usable", "frames", "attention")
PLACEHOLDERS = 2  # an example of one would be taken for a size that is always 1


class _Flat(torch.nn.Module):
    """The pipeline with the inputs and outputs that it really has, in a row."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rest = list(inputs)
        video = mask = None
        if self.pipeline.columns.width:
            video, mask = rest.pop(0), rest.pop(0)
        out = self.pipeline(video, mask, rest.pop(0) if rest else None)
        return tuple(out[name] for name in OUTPUTS if name in out)


class _Crops(torch.nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        assert model.trunk is not None
        self.trunk, self.network = model.trunk, model.trunk.network

    def forward(self, crops_BYXC: torch.Tensor) -> torch.Tensor:
        return self.trunk.features(crops_BYXC).float()


class _Signals(torch.nn.Module):
    """Samples of every channel to the clock; NaN where `judgeable.why_no_samples` would have a reason."""

    def __init__(self, model: Model, rates_hz: Mapping[str, float]) -> None:
        super().__init__()
        self.parts: list[tuple[int, int]] = []
        for k, channel in enumerate(model.channels):
            rate_hz = rates_hz[channel]
            matrix_TS = clock_matrix(rate_hz=rate_hz, clock_hz=model.clock_hz, n_steps=model.n_steps)
            self.register_buffer(f"matrix_{k}", torch.from_numpy(matrix_TS.T.copy()))
            first, last = (
                round(step / model.clock_hz * rate_hz) for step in (model.signal_steps[0], model.signal_steps[1] - 1)
            )
            self.parts.append((first, min(last + 1, matrix_TS.shape[1])))

    def forward(self, *samples_NS: torch.Tensor) -> torch.Tensor:
        columns = []
        for k, (x_NS, (first, end)) in enumerate(zip(samples_NS, self.parts, strict=True)):
            window_NS = x_NS[:, first:end]
            usable_N = (x_NS.abs() <= FLOAT32_MAX).all(1) & (window_NS.amax(1) > window_NS.amin(1))
            on_clock_NT = (x_NS @ getattr(self, f"matrix_{k}")).clip(-FLOAT32_MAX, FLOAT32_MAX).float()
            columns.append(torch.where(usable_N[:, None], on_clock_NT, torch.nan))
        return torch.stack(columns, dim=2)


def write_onnx(model: Model, folder: Path, *, rates_hz: Mapping[str, float] | None = None) -> list[Path]:
    """Write `network.onnx`, `trunk.onnx` of models that use video, and `signals.onnx` of those that use signals; the paths.

    `rates_hz`: samples a second of each channel for `signals.onnx`; without it there is no such file, and who runs the network
    brings signals to the clock as the metadata say. Files of an earlier export in the folder are removed.
    """
    pipeline = model.pipeline
    if not isinstance(pipeline, Pipeline):
        raise InputError(
            f"--onnx: found the method {model.about['method']}, which is no network: ONNX files hold networks alone; the "
            "exported folder, model.safetensors and model.json, works without them"
        )
    other = [name for name in model.columns.shapes if name != "features"]
    if other:
        raise InputError(
            f"--onnx: found a row that takes {', '.join(other)} of a video, expected the trunk's features: no ONNX file makes "
            "them; the exported folder, model.safetensors and model.json, works without"
        )
    if model.trunk is not None and model.trunk.precision != "float32":
        raise InputError(
            f"--onnx: found a trunk in {model.trunk.precision}, expected float32: onnxruntime has no such convolution"
        )
    rates = {c: rate for c, rate in (rates_hz or {}).items() if model.recorded.get(c) == c}  # `hr` is no linear function
    for channel, rate_hz in rates.items():
        check_rate(rate_hz, channel=channel, clock_hz=model.clock_hz)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ONNX_FILES:
        (folder / name).unlink(missing_ok=True)
    inputs: dict[str, torch.Tensor] = {}
    if model.trunk is not None:
        inputs["video"] = torch.rand(PLACEHOLDERS, model.n_steps, model.trunk.feature_size)
        inputs["mask"] = torch.ones(PLACEHOLDERS, model.n_steps)
    if model.uses_signals:
        inputs["signals"] = torch.rand(PLACEHOLDERS, model.n_steps, len(model.channels))
    values = pipeline(inputs.get("video"), inputs.get("mask"), inputs.get("signals"))
    said = metadata(model, rates)
    paths = [folder / "network.onnx"]
    _export(_Flat(pipeline), inputs, [name for name in OUTPUTS if name in values], paths[0], said)
    if model.trunk is not None:
        paths.append(folder / "trunk.onnx")
        crops = {"crops": torch.zeros(PLACEHOLDERS, SIZE, SIZE, 3, dtype=torch.uint8)}
        _export(_Crops(model), crops, ["features"], paths[-1], said)
    if model.channels and all(c in rates for c in model.channels):
        paths.append(folder / "signals.onnx")
        network = _Signals(model, rates)
        widths = [getattr(network, f"matrix_{k}").shape[0] for k in range(len(model.channels))]
        samples = {c: torch.rand(PLACEHOLDERS, n, dtype=torch.float64) for c, n in zip(model.channels, widths, strict=True)}
        _export(network, samples, ["signals"], paths[-1], said)
    return paths


def metadata(model: Model, rates_hz: Mapping[str, float]) -> dict[str, str]:
    """What the files say of themselves; values are text, or JSON."""
    about = model.about
    corner_hz = PASS_BAND * model.clock_hz / 2
    said = {
        "cell": about["cell"],
        "trained_on": "synthetic data: says nothing about pain" if about["synthetic"] else about["reader"],
        "classes": json.dumps(model.classes),
        "gives": model.learns.gives,
        model.learns.strength.name: model.learns.strength.formula,
        "clock_hz": f"{model.clock_hz:g}",
        "n_steps": str(model.n_steps),
        "channels": json.dumps(model.channels),
        "use": "Research software, not a medical device. No output may guide the care of a person.",
    }
    if model.channels:
        said["signal_steps"] = json.dumps(model.signal_steps)
        said["scaling"] = (
            f"min-max of each recording over steps {model.signal_steps[0]} to {model.signal_steps[1] - 1}, in network.onnx"
            if all(node["normalise"] not in FITTED for node in about["networks"])
            else "fitted on the training data, in network.onnx"
        )
        said["rates_hz"] = json.dumps(dict(rates_hz))
        said["low_pass"] = json.dumps(
            {
                "kind": "Butterworth, second-order sections, forwards and backwards, if the rate is above clock_hz",
                "order": FILTER_ORDER,
                "corner_hz": corner_hz,
                "ends": "continued for int(2 * rate / corner_hz) + 1 samples, reflected in the point where the least-squares "
                "parabola through the nearest round(rate / corner_hz) samples ends",
                "samples": "ceil((n_steps - 1) / clock_hz * rate) + 1, from the window's start",
                "then": "linear interpolation at k / clock_hz; float32",
            }
        )
    if model.trunk is not None:
        said["crops"] = json.dumps(
            {"pixels": SIZE, "colours": "RGB", "shape": model.face_settings.crop, "margin": model.face_settings.margin}
        )
        said["trunk"] = model.trunk.provenance
        said["max_steps_without_face"] = str(model.pipeline.max_gap)
    return said


def _export(
    module: torch.nn.Module, inputs: dict[str, torch.Tensor], outputs: list[str], path: Path, said: Mapping[str, str]
) -> None:
    many = torch.export.Dim("many", min=1, max=1 << 20)
    with torch.no_grad(), warnings.catch_warnings():
        # nn.LSTM keeps its weights in a list too; the exporter notes that it was touched, and puts it back
        warnings.filterwarnings("ignore", message="The tensor attributes .* were assigned during export")
        warnings.filterwarnings("ignore", message=".* The axis name: many will not be used")
        warnings.filterwarnings("ignore", category=FutureWarning, message="_check_is_size")
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=(tuple({0: many} for _ in inputs),) if not isinstance(module, _Crops) else ({0: many},),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(said)
    program.save(path, external_data=False)
