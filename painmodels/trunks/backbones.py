"""The table of spatial backbones: adding one is adding one entry to `BACKBONES`.

A backbone is a whole classification network as it was published, and where its frozen trunk ends. The trunk takes
scaled frames (B, channels, height, width) and gives one feature vector a frame, (B, feature_size), float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional

from dataprep.records import InputError
from painmodels.trunks import alexnet, mini_xception

State = dict[str, torch.Tensor]
_ALBANIE = "https://www.robots.ox.ac.uk/~albanie"
_PYTORCH = "https://download.pytorch.org/models"


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One entry of the table.

    `build()` makes the whole network, randomly initialised; `trunk(network, x)` gives (B, feature_size) and `ends` says
    in words after which layer; `head` names the modules after it, which a trunk does without. `scalings` are the accepted
    input kinds (see `spatial.SCALINGS`), the default first.
    `parameters` counts the trainable values of the whole network. `source` says where weights are published;
    `shipped` is the file that comes with the project. `fc7(state, fold=…)` takes the pre-trained start of the trained head,
    `fc7.weight` (4096, feature_size) and `fc7.bias` (4096,), out of the state of the whole network; a BatchNorm after it is put
    into these weights (`fold`) or given as `bn7.NAME`.
    """

    name: str
    feature_size: int
    parameters: int
    build: Callable[[], nn.Module]
    trunk: Callable[[nn.Module, torch.Tensor], torch.Tensor]
    ends: str
    head: tuple[str, ...]
    scalings: tuple[str, ...]
    source: str
    shipped: Path | None = None
    fc7: Callable[..., State] | None = None


def _torchvision(name: str) -> nn.Module:
    from torchvision import models  # 160 MB of memory, which only these networks need

    return getattr(models, name)()


def _vgg16(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    h = network.avgpool(network.features(x)).flatten(1)  # type: ignore[operator]
    return functional.relu(network.classifier[0](h))  # type: ignore[index,operator]


def _vgg16_head(state: State, *, fold: bool) -> State:
    """There is no BatchNorm to fold."""
    return {"fc7.weight": state["classifier.3.weight"], "fc7.bias": state["classifier.3.bias"]}


def _resnet50(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    for name, layer in network.named_children():
        if name != "fc":
            x = layer(x)
    return x.flatten(1)


def _mobilenet(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return network.features(x).mean((2, 3))  # type: ignore[operator]


def _vit(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    margin = (x.shape[-1] - network.image_size) // 2  # type: ignore[operator]
    inner = x[..., margin:, margin:][..., : network.image_size, : network.image_size]
    patches = network.conv_proj(inner).flatten(2).transpose(1, 2)  # type: ignore[operator]
    token = network.class_token.expand(x.shape[0], -1, -1)  # type: ignore[operator]
    return network.encoder(torch.cat([token, patches], dim=1))[:, 0]  # type: ignore[operator]


_ENTRIES = (
    Backbone(
        name="mini-xception-fer",
        feature_size=2048,
        parameters=56_951,
        build=mini_xception.MiniXception,
        trunk=mini_xception.MiniXception.trunk,  # type: ignore[arg-type]
        ends="the last map, 128 x 4 x 4, flattened",
        head=("head",),
        scalings=("grey64",),
        source="https://github.com/oarriaga/face_classification (FER2013, MIT licence)",
        shipped=mini_xception.SHIPPED,
    ),
    Backbone(
        name="alexnet-table1",
        feature_size=alexnet.FEATURES,
        parameters=58_289_538,
        build=alexnet.table1,
        trunk=alexnet.AlexNet.trunk,  # type: ignore[arg-type]
        ends="FC-6 with its ReLU",
        head=("fc7", "bn7", "fc8"),
        scalings=("unit", "caffe"),
        source="no weights are published for the exact network of Table 1",
        fc7=alexnet.head,
    ),
    Backbone(
        name="alexnet-fer-bn",
        feature_size=alexnet.FEATURES,
        parameters=56_916_039,
        build=alexnet.fer_bn,
        trunk=alexnet.AlexNet.trunk,  # type: ignore[arg-type]
        ends="FC-6 with its BatchNorm and ReLU",
        head=("fc7", "bn7", "fc8"),
        # the published weights were trained on 0..255 minus the mean; the paper says it feeds [0, 1]
        scalings=("caffe", "unit"),
        source=(
            f"the page of Albanie and Vedaldi, {_ALBANIE}/pytorch-models.html (alexnet_face_fer_bn_dag.pth), or "
            f"{_ALBANIE}/mcn-models.html (alexnet-face-fer-bn.mat)"
        ),
        fc7=alexnet.head,
    ),
    Backbone(
        name="vgg16",
        feature_size=4096,
        parameters=138_357_544,
        build=lambda: _torchvision("vgg16"),
        trunk=_vgg16,
        ends="the first fully connected layer with its ReLU",
        head=("classifier.3", "classifier.6"),
        scalings=("imagenet",),
        source=f"{_PYTORCH}/vgg16-397923af.pth",
        fc7=_vgg16_head,
    ),
    Backbone(
        name="resnet50",
        feature_size=2048,
        parameters=25_557_032,
        build=lambda: _torchvision("resnet50"),
        trunk=_resnet50,
        ends="the global average pooling",
        head=("fc",),
        scalings=("imagenet",),
        source=f"{_PYTORCH}/resnet50-11ad3fa6.pth",
    ),
    Backbone(
        name="mobilenet_v2",
        feature_size=1280,
        parameters=3_504_872,
        build=lambda: _torchvision("mobilenet_v2"),
        trunk=_mobilenet,
        ends="the global average pooling",
        head=("classifier",),
        scalings=("imagenet",),
        source=f"{_PYTORCH}/mobilenet_v2-7ebf99e0.pth",
    ),
    Backbone(
        name="vit_b_16",
        feature_size=768,
        parameters=86_567_656,
        build=lambda: _torchvision("vit_b_16"),
        trunk=_vit,
        ends="the token's state after the encoder; of 227 x 227 pixels it sees the 224 x 224 in the middle",
        head=("heads.head",),
        scalings=("imagenet",),
        source=f"{_PYTORCH}/vit_b_16-c867db91.pth",
    ),
)
BACKBONES: Mapping[str, Backbone] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def backbone(name: str) -> Backbone:
    """The entry `name`. Raises ValueError that lists the names there are."""
    if name not in BACKBONES:
        raise InputError(f"no backbone is called {name!r}; there are: {', '.join(BACKBONES)}")
    return BACKBONES[name]


def skeleton(name: str) -> nn.Module:
    """The network without its head and without memory: modules on the meta device, to be filled with the trunk's tensors."""
    entry = backbone(name)
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        network = entry.build().eval()
    for path in entry.head:
        owner, _, last = path.rpartition(".")
        setattr(network.get_submodule(owner), last, nn.Identity())
    return network


def trunk_names(name: str) -> tuple[str, ...]:
    """The tensors of a trunk, by the names of the whole network's state, without BatchNorm's counters."""
    return tuple(key for key in skeleton(name).state_dict() if not key.endswith("num_batches_tracked"))


def expected_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of the whole network's state, without BatchNorm's counters, which nothing here uses."""
    with torch.device("meta"):
        state = backbone(name).build().state_dict()
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}
