"""VGG16 and ResNet50 on single frames from random weights: what Farmani et al. tried first and report as a negative result.

They say that AlexNet, VGG16 and ResNet50 on single frames stayed at the level of chance on all frames, from random and from
pre-trained weights, and give no figure of the latter two. (On frozen, pre-trained layers they are `frame` with the trunk `vgg16`
or `resnet50`.) Layers as published: Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556 (configuration D), and He et al.
2016, https://arxiv.org/abs/1512.03385, with the stride in the 3 x 3 convolution, as torchvision has it. A frame has its trial's
label. Guessed: the aligned face in grey levels, He's initial weights of convolutions, Adam, learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods.clips import shown
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import InputError, SubNetwork, Training

EXPANSION = 4
"""A block of a ResNet50 gives so many times the channels that it works with inside."""


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`side` in pixels, `blocks`: convolutions (VGG) or residual blocks (ResNet) of each stage, `width` of the first stage."""

    epochs: int = 30
    batch: int = 128
    lr: float = 1e-4
    side: int = 112
    width: int = 64

    blocks: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side < 2 ** (len(self.blocks) + 1) or self.width < 1 or min(self.blocks, default=0) < 1:
            found = f"{self.side}, {self.width}, {list(self.blocks)}"
            raise InputError(
                f"side, width, blocks: found {found}, expected stages of at least 1, each of which halves the side"
            )


@dataclass(frozen=True, kw_only=True)
class VGGSettings(Settings):
    """`dense`: units of each of the two layers before the last."""

    blocks: tuple[int, ...] = (2, 2, 3, 3, 3)
    dense: int = 4096
    dropout: float = 0.5


@dataclass(frozen=True, kw_only=True)
class ResNetSettings(Settings):
    """A ResNet50 by default."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)


class Frames(nn.Module):
    """(B, S, S) grey levels of single frames to logits (B, outputs); `features` gives (B, width)."""

    def __init__(self, side: int, layers: nn.Sequential, width: int, outputs: int) -> None:
        super().__init__()
        self.side, self.layers, self.head = side, layers, nn.Linear(width, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x_BSS: torch.Tensor) -> torch.Tensor:
        return self.layers(shown(x_BSS[:, None], self.side))

    def forward(self, x_BSS: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BSS))


def vgg(settings: VGGSettings, input_sizes: Sequence[int]) -> Frames:
    """Stages of 3 x 3 convolutions, each twice as wide as the one before up to eight times the first; two dense layers."""
    layers: list[nn.Module] = []
    n_in = 1
    for stage, n_convolutions in enumerate(settings.blocks):
        for _ in range(n_convolutions):
            n_out = settings.width * min(2**stage, 8)
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
            n_in = n_out
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for n_from in (49 * n_in, settings.dense):
        layers += [nn.Linear(n_from, settings.dense), nn.ReLU(), nn.Dropout(settings.dropout)]
    return Frames(settings.side, nn.Sequential(*layers), settings.dense, settings.outputs)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside the input itself, or beside a 1 x 1 convolution of it where the size changes."""

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        n_out = width * EXPANSION
        self.inner = nn.Sequential(
            *(nn.Conv2d(n_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, n_out, 1, bias=False), nn.BatchNorm2d(n_out)),
        )
        changes = stride > 1 or n_in != n_out
        beside = (nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)) if changes else ()
        self.beside = nn.Sequential(*beside)

    def forward(self, x_BCYX: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.inner(x_BCYX) + self.beside(x_BCYX))


def resnet(settings: ResNetSettings, input_sizes: Sequence[int]) -> Frames:
    """A convolution and a maximum, stages of residual blocks, each twice as wide as the one before, and the mean of the map."""
    n_in = settings.width
    layers: list[nn.Module] = [
        nn.Conv2d(1, n_in, 7, 2, 3, bias=False),
        nn.BatchNorm2d(n_in),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    for stage, n_blocks in enumerate(settings.blocks):
        for n in range(n_blocks):
            width = settings.width * 2**stage
            layers.append(Bottleneck(n_in, width, stride=2 if stage and not n else 1))
            n_in = width * EXPANSION
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Frames(settings.side, nn.Sequential(*layers), n_in, settings.outputs)


VGG16 = SubNetwork(role="vgg16", name="vgg16", settings=VGGSettings, build=vgg, per_frame=True)
RESNET50 = SubNetwork(
    role="resnet50", name="resnet50", settings=ResNetSettings, build=resnet, per_frame=True, keeps_statistics=True
)


def vgg_parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on frames of the aligned face."""
    return (Part("vgg16", (Input("pixels"),), trained=VGG16),)


def resnet_parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on frames of the aligned face."""
    return (Part("resnet50", (Input("pixels"),), trained=RESNET50),)


METHODS = (
    Method("vgg16", on=("frame",), parts=vgg_parts, compared=("frame:vgg16",)),
    Method("resnet50", on=("frame",), parts=resnet_parts, compared=("frame:resnet50",)),
)
