"""mini-Xception, the small facial-expression network that ships with the project (FER2013, seven classes).

Source: Arriaga, Valdenegro-Toro, Plöger, "Real-time Convolutional Neural Networks for Emotion and Gender
Classification", arXiv:1710.07557; weights and licence in `pretrained/PROVENANCE.md`.
Input (B, 1, 64, 64), grey, (x / 255 − 0.5) · 2. The trunk ends at the last map, (B, 128, 4, 4), flattened to
(B, 2048), channel first; the head is a 3×3 convolution to seven classes, averaged over the map. 56,951 trainable
parameters. Keras conventions are kept: BatchNorm epsilon 1e-3, padding "same" that puts the odd row at the end.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dataprep.records import InputError

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SHIPPED = Path(__file__).parent.parent / "pretrained" / "fer2013_mini_XCEPTION.102-0.66.hdf5"
_WIDTHS = (8, 16, 32, 64, 128)
_EPSILON = 1e-3


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON)


class _Separable(nn.Module):
    """A 3×3 convolution of each channel, then a 1×1 convolution across channels, then BatchNorm."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False)
        self.pointwise = nn.Conv2d(n_in, n_out, 1, bias=False)
        self.norm = _norm(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.pointwise(self.depthwise(x)))


class _Block(nn.Module):
    """Two separable convolutions and a pooling beside a strided 1×1 shortcut; halves height and width, rounding up."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = _Separable(n_in, n_out)
        self.second = _Separable(n_out, n_out)
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride=2, bias=False)
        self.norm = _norm(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(functional.relu(self.first(x)))
        # "same" pooling of an even size pads one row at the end only: no padding here, and an unfinished last window
        y = functional.max_pool2d(y, 3, stride=2, padding=y.shape[-1] % 2, ceil_mode=True)
        return y + self.norm(self.shortcut(x))


class MiniXception(nn.Module):
    """The whole network: (B, 1, 64, 64) to logits (B, 7); `trunk` gives the flattened last map (B, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, bias=False)
        self.norm1 = _norm(8)
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.norm2 = _norm(8)
        self.blocks = nn.Sequential(*(_Block(i, o) for i, o in pairwise(_WIDTHS)))
        self.head = nn.Conv2d(_WIDTHS[-1], len(CLASSES), 3, padding=1)

    def trunk(self, x: torch.Tensor) -> torch.Tensor:
        return self._map(x).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self._map(x)).mean((2, 3))

    def _map(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm1(self.conv1(x)))
        return self.blocks(functional.relu(self.norm2(self.conv2(x))))


def read_hdf5(path: Path) -> dict[str, torch.Tensor]:
    """The state of a `MiniXception` from the authors' Keras file. Raises ValueError naming the file and what is missing."""
    names = {"conv1": "conv2d_1", "conv2": "conv2d_2", "head": "conv2d_7"}
    norms = {"norm1": 1, "norm2": 2}
    for k in range(4):
        # Keras numbers layers in the order they were made: the shortcut of a block before its separable convolutions
        names[f"blocks.{k}.shortcut"] = f"conv2d_{3 + k}"
        norms[f"blocks.{k}.norm"] = 3 + 3 * k
        for j, part in enumerate(("first", "second")):
            names[f"blocks.{k}.{part}"] = f"separable_conv2d_{1 + 2 * k + j}"
            norms[f"blocks.{k}.{part}.norm"] = 4 + 3 * k + j
    state: dict[str, torch.Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            for ours, layer in names.items():
                group = file[f"model_weights/{layer}/{layer}_1"]
                if "kernel:0" in group:
                    state[f"{ours}.weight"] = _filters(group["kernel:0"][...])
                    if "bias:0" in group:
                        state[f"{ours}.bias"] = torch.from_numpy(group["bias:0"][...])
                else:
                    state[f"{ours}.depthwise.weight"] = _filters(group["depthwise_kernel:0"][...].transpose(0, 1, 3, 2))
                    state[f"{ours}.pointwise.weight"] = _filters(group["pointwise_kernel:0"][...])
            for ours, number in norms.items():
                group = file[f"model_weights/batch_normalization_{number}/batch_normalization_{number}_1"]
                for key, keras in zip(("weight", "bias"), ("gamma", "beta"), strict=True):
                    state[f"{ours}.{key}"] = torch.from_numpy(group[f"{keras}:0"][...])
                for key, keras in zip(("running_mean", "running_var"), ("moving_mean", "moving_variance"), strict=True):
                    state[f"{ours}.{key}"] = torch.from_numpy(group[f"{keras}:0"][...])
    except (KeyError, OSError) as error:
        raise InputError(f"{path}: not the Keras file of mini-Xception: {error}") from error
    return state


def _filters(kernel: np.ndarray) -> torch.Tensor:
    """A Keras kernel, height × width × in × out, as PyTorch's out × in × height × width."""
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
