"""The two AlexNets of the method: Table 1 of the paper, and the published network it was initialised from.

`table1`: 96-256-384-384-256 convolutions and three fully connected layers, two outputs, no BatchNorm, no groups;
58,289,538 parameters. `fer_bn`: the network of Albanie and Vedaldi trained on FER2013, seven outputs, BatchNorm
after each layer, groups of two in conv2, conv4 and conv5; 56,916,039 parameters; module names are those of the published
file (https://www.robots.ox.ac.uk/~albanie/models/pytorch-mcn/alexnet_face_fer_bn_dag.py).
Input (B, 3, 227, 227), scaled. The trunk is conv1 … FC-6 with its ReLU: (B, 4096), never negative.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

FEATURES = 4096
FEW = 8  # frames, below which FC-6 as a convolution takes longer to bring its weights in order than to compute


class AlexNet(nn.Module):
    """(B, 3, 227, 227) to logits (B, classes); `trunk` gives the FC-6 activations (B, 4096)."""

    bn1: nn.Module
    bn2: nn.Module
    bn3: nn.Module
    bn4: nn.Module
    bn5: nn.Module
    bn6: nn.Module
    bn7: nn.Module

    def __init__(self, *, classes: int, groups: int, norm: bool) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=groups)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=groups)
        # the fully connected layers are convolutions over the whole map, so that the published files fit as they are
        self.fc6 = nn.Conv2d(256, FEATURES, 6)
        self.fc7 = nn.Conv2d(FEATURES, FEATURES, 1)
        self.fc8 = nn.Linear(FEATURES, classes)
        for k, width in enumerate((96, 256, 384, 384, 256, FEATURES, FEATURES), start=1):
            self.add_module(f"bn{k}", nn.BatchNorm2d(width) if norm else nn.Identity())

    def trunk(self, x: torch.Tensor) -> torch.Tensor:
        x = pooled(self.bn1(self.conv1(x)))
        x = pooled(self.bn2(self.conv2(x)))
        x = functional.relu_(self.bn3(self.conv3(x)))
        x = functional.relu_(self.bn4(self.conv4(x)))
        x = pooled(self.bn5(self.conv5(x)))
        x = _whole_map(self.fc6, x) if not torch.compiler.is_exporting() and len(x) < FEW else self.fc6(x)
        return functional.relu_(self.bn6(x)).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.trunk(x)[:, :, None, None]
        return self.fc8(functional.relu(self.bn7(self.fc7(h))).flatten(1))


def pooled(x_BCYX: torch.Tensor) -> torch.Tensor:
    """Max-pool 3/2, then ReLU: the maximum of the ReLUs, at a quarter of the work.

    A frozen network on a CPU pools by rows, then by columns: PyTorch's own notes where each maximum was, twice the work. In
    bfloat16 it compares bits as whole numbers: those of negative numbers come in the wrong order, and ReLU makes them 0.
    """
    if x_BCYX.requires_grad or x_BCYX.device.type != "cpu" or torch.compiler.is_exporting():
        return functional.relu_(functional.max_pool2d(x_BCYX, 3, stride=2))
    x = x_BCYX.view(torch.int16) if x_BCYX.dtype == torch.bfloat16 else x_BCYX
    for axis in (2, 3):
        every_other = (slice(None),) * axis + (slice(None, None, 2),)
        a, b, c = (x.narrow(axis, k, x.shape[axis] - 2)[every_other] for k in range(3))
        x = torch.maximum(a, b)
        torch.maximum(x, c, out=x)
    return functional.relu_(x.view(x_BCYX.dtype))


def _whole_map(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A convolution whose filter is as large as its input, as a matrix product: no copy where both are channels-last."""
    weight = layer.weight.permute(0, 2, 3, 1).flatten(1)
    return functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight, layer.bias)[:, :, None, None]


def table1() -> AlexNet:
    """The network of Table 1."""
    return AlexNet(classes=2, groups=1, norm=False)


def fer_bn() -> AlexNet:
    """The published network, pre-trained on FER2013."""
    return AlexNet(classes=7, groups=2, norm=True)


def head(state: dict[str, torch.Tensor], *, fold: bool) -> dict[str, torch.Tensor]:
    """FC-7 as one linear layer, (4096, 4096) and (4096,), from a whole network's state, and its BatchNorm if it has one.

    The start of the trained head when the network is pre-trained ("all layers frozen but FC-7 and FC-8"). `fold`: the BatchNorm
    is put into the layer's weights; else its scale, shift, means and variances, (4096,) each, are `bn7.NAME`.
    """
    weight, bias = state["fc7.weight"].flatten(1), state["fc7.bias"]
    if "bn7.weight" not in state:
        return {"fc7.weight": weight, "fc7.bias": bias}
    if not fold:
        norm = {f"bn7.{name}": state[f"bn7.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}
        return {"fc7.weight": weight, "fc7.bias": bias, **norm}
    scale = state["bn7.weight"] / torch.sqrt(state["bn7.running_var"] + 1e-5)
    bias = (bias - state["bn7.running_mean"]) * scale + state["bn7.bias"]
    return {"fc7.weight": weight * scale[:, None], "fc7.bias": bias}
