"""Where the settings of an experiment leave the text of Farmani et al., and where that text leaves a choice.

`paper-literal` is the experiment that stays with the text wherever the text says something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from grid.experiment.config import Experiment
from painmodels.trunks.backbones import BACKBONES

MINMAX = ("trial", "subject", "train", "train-step")
"""Readings of min-max normalisation."""
NOT_A_SETTING = "not a setting of this network"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One setting. `text`: what the paper says of it, empty where it says nothing. `literal`: the values that follow the text;
    `open`: those that it leaves a choice of, where others depart from it."""

    key: str
    text: str
    value: Callable[[Experiment], object]
    literal: tuple[object, ...] = ()
    open: tuple[object, ...] = ()

    def departs(self, value: object) -> bool | None:
        """True where the text says otherwise, False where the value follows it, None where the text does not decide."""
        if self.open:
            return None if value in self.open else True
        return value not in self.literal if self.literal else None


def _scaling(experiment: Experiment) -> str:
    trunk = experiment.trunk
    return trunk.scaling or BACKBONES[trunk.name].scalings[0]


def _setting(role: str, name: str) -> Callable[[Experiment], object]:
    return lambda experiment: getattr(experiment.network(role)[1], name, NOT_A_SETTING)


def _layers(experiment: Experiment) -> str:
    settings = experiment.network("physiological")[1]
    filters = getattr(settings, "filters", 0)
    before = f", after a convolution of {filters} filters in steps of {getattr(settings, 'stride', 1)}" if filters else ""
    return f"{getattr(settings, 'layers', NOT_A_SETTING)}{before}"


def _decay(role: str) -> Callable[[Experiment], object]:
    def told(experiment: Experiment) -> str:
        settings = experiment.network(role)[1]
        if not settings.milestones:
            return "none"
        return f"at {', '.join(map(str, settings.milestones))} epochs, by {settings.gamma:g}"

    return told


def _network(role: str) -> Callable[[Experiment], object]:
    return lambda experiment: experiment.network(role)[0].name


def _face(name: str) -> Callable[[Experiment], object]:
    return lambda experiment: getattr(experiment.face_settings, name)


def _every_frame(experiment: Experiment) -> str:
    faces = experiment.face_settings
    return (
        "in every frame" if faces.key_s <= EVERY_FRAME_S else f"in key frames {faces.key_s:g} s apart, interpolated between"
    )


def _initial(experiment: Experiment) -> str:
    return "random" if experiment.trunk.random else "pre-trained"


EVERY_FRAME_S = 0.02
"""Key frames that are this close are all frames, at up to 50 frames a second."""
SILENT = "the paper does not say"
CHOICES: tuple[Choice, ...] = (
    Choice(
        key="[faces] detector",
        text="RetinaFace of the retina-face package",
        value=_face("detector"),
        literal=("retinaface",),
    ),
    Choice(key="[faces] crop", text="the detected face, resized to 227 x 227", value=_face("crop"), literal=("box",)),
    Choice(key="[faces] margin", text="the detected face", value=_face("margin"), literal=(0.0,)),
    Choice(key="[faces] key_s", text="faces are detected in the frames", value=_every_frame, literal=("in every frame",)),
    Choice(key="[faces] smooth_s", text="no smoothing is described", value=_face("smooth_s"), literal=(0.0,)),
    Choice(
        key="[trunk] name",
        text="AlexNet of Table 1 (without BatchNorm), pre-trained on FER2013; the published FER2013 network "
        "has BatchNorm and groups, so no network is both",
        value=lambda e: e.trunk.name,
        literal=("alexnet-fer-bn", "alexnet-table1"),
    ),
    Choice(key="[trunk] random", text="pre-trained on FER2013", value=_initial, literal=("pre-trained",)),
    Choice(key="[trunk] scaling", text="pixels are scaled between 0 and 1", value=_scaling, literal=("unit",)),
    Choice(key="[trunk] precision", text="", value=lambda e: e.trunk.precision),
    Choice(
        key="[fit] calibrate",
        text="no recalibration is described",
        value=lambda e: e.fit.calibrate,
        literal=("off",),
    ),
    Choice(
        key="[signals] normalise",
        text="min-max normalisation, not over what",
        value=lambda e: e.signals.normalise,
        open=MINMAX,
    ),
    Choice(key="[protocol] name", text="10-fold cross-validation, not over what", value=lambda e: e.protocol.name),
    Choice(key="[protocol] folds", text="10", value=lambda e: e.protocol.folds, literal=(10,)),
    Choice(
        key="[spatial] fc7",
        text="all layers frozen but FC-7 and FC-8",
        value=_setting("spatial", "fc7"),
        literal=("frozen-bn",),
    ),
    Choice(key="[spatial] width", text="4096, of FC-7", value=_setting("spatial", "width"), literal=(4096,)),
    Choice(key="[spatial] batch", text="64", value=_setting("spatial", "batch"), literal=(64,)),
    Choice(
        key="[spatial] milestones",
        text="at 20 epochs, by 0.1",
        value=_decay("spatial"),
        literal=("at 20 epochs, by 0.1",),
    ),
    Choice(key="[spatial] epochs", text="30", value=_setting("spatial", "epochs"), literal=(30,)),
    Choice(key="[spatial] lr", text="1e-5", value=_setting("spatial", "lr"), literal=(1e-5,)),
    Choice(
        key="[temporal] network",
        text="2-layer LSTM; its head and loss are not described: here one linear layer on the last "
        "hidden state, cross-entropy",
        value=_network("temporal"),
        literal=("lstm",),
    ),
    Choice(key="[temporal] hidden", text="64", value=_setting("temporal", "hidden"), literal=(64, NOT_A_SETTING)),
    Choice(key="[temporal] layers", text="2", value=_setting("temporal", "layers"), literal=(2, NOT_A_SETTING)),
    Choice(key="[temporal] milestones", text="no decay is described", value=_decay("temporal"), literal=("none",)),
    Choice(key="[temporal] epochs", text="30", value=_setting("temporal", "epochs"), literal=(30,)),
    Choice(key="[temporal] lr", text="1e-4", value=_setting("temporal", "lr"), literal=(1e-4,)),
    Choice(key="[temporal] batch", text="", value=_setting("temporal", "batch")),
    Choice(
        key="[attention] activation",
        text="that of Xie et al. 2021 with a different activation function, not which",
        value=_setting("attention", "activation"),
    ),
    Choice(key="[attention] epochs", text="", value=_setting("attention", "epochs")),
    Choice(key="[attention] lr", text="", value=_setting("attention", "lr")),
    Choice(
        key="[physiological] network",
        text="2-layer LSTM; S_k is called the final hidden state and has the shape T x h of all "
        "hidden states: here the final one, of size h",
        value=_network("physiological"),
        literal=("lstm",),
    ),
    Choice(
        key="[physiological] layers",
        text="2, without a convolution",
        value=_layers,
        literal=("2",),
    ),
    Choice(
        key="[physiological] hidden",
        text="64",
        value=_setting("physiological", "hidden"),
        literal=(64, NOT_A_SETTING),
    ),
    Choice(key="[physiological] batch", text="64", value=_setting("physiological", "batch"), literal=(64,)),
    Choice(
        key="[physiological] milestones",
        text="no decay is described",
        value=_decay("physiological"),
        literal=("none",),
    ),
    Choice(
        key="[physiological] pooling",
        text="the final hidden state",
        value=_setting("physiological", "pooling"),
        literal=("last", NOT_A_SETTING),
    ),
    Choice(key="[physiological] optimiser", text="", value=lambda _: "Adam"),
    Choice(key="[physiological] epochs", text="800", value=_setting("physiological", "epochs"), literal=(800,)),
    Choice(key="[physiological] lr", text="1e-3", value=_setting("physiological", "lr"), literal=(1e-3,)),
    Choice(
        key="[fusion] network",
        text="the fused vector, FC with ReLU, FC with softmax",
        value=_network("fusion"),
        literal=("concat",),
    ),
    Choice(
        key="[fusion] width, epochs, lr",
        text="",
        value=lambda e: ", ".join(str(getattr(e.network("fusion")[1], name, "-")) for name in ("width", "epochs", "lr")),
    ),
    *(
        Choice(
            key=f"[{role}] clip_norm",
            text="no clipping of gradients is described",
            value=_setting(role, "clip_norm"),
            literal=(0.0,),
        )
        for role in ("spatial", "temporal", "attention", "physiological", "fusion")
    ),
)


def departures(experiment: Experiment) -> list[dict[str, object]]:
    """For each choice: `key`, `value` here, `paper` (what the text says) and `departs`: True where the text says otherwise,
    False where the value follows it, None where the text does not decide."""
    return [
        {
            "key": choice.key,
            "value": (value := choice.value(experiment)),
            "paper": choice.text or SILENT,
            "departs": choice.departs(value),
        }
        for choice in CHOICES
    ]
