"""The trained part of the spatial sub-network: FC-7 with ReLU and FC-8, on the stored activations of the frozen trunk.

Paper, section 3.3 and 3.4: all layers frozen but FC-7 and FC-8; every frame carries its trial's label; 30 epochs,
batches of 64, Adam, learning rate 1e-5, a tenth of it from epoch 20 on.
Input x_BF: trunk features of single frames. Features: FC-7 activations (B, width), which feed the temporal network.

The published network has a BatchNorm after FC-7. As a function it can be put into FC-7's weights ("folded"), but Adam's steps on
such weights are other steps than those before a frozen BatchNorm ("frozen-bn"): the losses differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from painmodels.registry import SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """The paper's values; `width` is that of FC-7.

    `fc7`: "folded" starts from the trunk's FC-7 with its BatchNorm in its weights, "frozen-bn" keeps the BatchNorm after it, as
    published and frozen. Without pre-trained weights that BatchNorm changes nothing.
    """

    epochs: int = 30
    batch: int = 64
    lr: float = 1e-5
    milestones: tuple[int, ...] = (20,)
    width: int = 4096
    fc7: Literal["folded", "frozen-bn"] = "folded"


class FrozenBatchNorm(nn.Module):
    """(B, F) to (B, F): BatchNorm with fixed statistics, scale and shift, in training as in evaluation."""

    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((width,), value))

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        return functional.batch_norm(x_BF, self.running_mean, self.running_var, self.weight, self.bias, eps=1e-5)


class SpatialHead(nn.Module):
    """(B, F) to logits (B, outputs); `features` gives (B, width)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_features,) = input_sizes
        self.fc7 = nn.Linear(n_features, settings.width)
        self.bn7 = FrozenBatchNorm(settings.width) if settings.fc7 == "frozen-bn" else nn.Identity()
        self.fc8 = nn.Linear(settings.width, settings.outputs)

    def features(self, x_BF: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.bn7(self.fc7(x_BF)))

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        return self.fc8(self.features(x_BF))


NETWORK = SubNetwork(role="spatial", name="fc7", settings=Settings, build=SpatialHead, per_frame=True)
