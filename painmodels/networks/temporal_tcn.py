"""A temporal convolutional network beside the paper's LSTM: causal, dilated, residual.

After Bai, Kolter and Koltun 2018 (https://arxiv.org/abs/1803.01271), without their weight normalisation: batches of
64 trials and two convolutions a block train as they are. Not in the paper; the optimiser's values are those of its LSTM.
Input x_BTF. Features: H_BTH; step t depends on the steps up to t alone, as in the LSTM, and on
1 + 2 (kernel - 1) (2^layers - 1) of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.registry import SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`layers` blocks with dilations 1, 2, 4 …; five of kernel 3 see 125 steps, 5 s at 25 Hz."""

    epochs: int = 30
    batch: int = 64
    lr: float = 1e-4
    hidden: int = 64
    layers: int = 5
    kernel: int = 3
    dropout: float = 0.1


class Block(nn.Module):
    """Two causal convolutions of one dilation, added to their input, (B, H, T) to (B, H, T)."""

    def __init__(self, settings: Settings, dilation: int) -> None:
        super().__init__()
        self.past, self.dropout = (settings.kernel - 1) * dilation, settings.dropout
        self.first = nn.Conv1d(settings.hidden, settings.hidden, settings.kernel, dilation=dilation)
        self.second = nn.Conv1d(settings.hidden, settings.hidden, settings.kernel, dilation=dilation)

    def forward(self, h_BHT: torch.Tensor) -> torch.Tensor:
        y = h_BHT
        for layer in (self.first, self.second):
            y = functional.relu(layer(functional.pad(y, (self.past, 0))))
            y = functional.dropout(y, self.dropout, self.training)
        return functional.relu(h_BHT + y)


class TemporalConvolution(nn.Module):
    """(B, T, F) to logits (B, outputs), from the last step; `features` gives (B, T, hidden)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_features,) = input_sizes
        self.enter = nn.Linear(n_features, settings.hidden)
        self.blocks = nn.Sequential(*(Block(settings, 2**k) for k in range(settings.layers)))
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def features(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.enter(x_BTF).transpose(1, 2)).transpose(1, 2)

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTF)[:, -1])


NETWORK = SubNetwork(role="temporal", name="tcn", settings=Settings, build=TemporalConvolution)
