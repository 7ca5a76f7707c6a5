"""The physiological sub-network: an LSTM of two layers over ECG, EDA, or both as two channels.

Paper, section 3.3 and 3.4: two layers, 64 hidden units, 800 epochs, batches of 64, Adam, learning rate 1e-3.
Input x_BTC at 25 Hz, scaled to [0, 1] (`normalise`). Features: S_BH, the last hidden state of the second layer.

What the paper has not, by settings: a 1-D convolution before the LSTM, another summary of the steps than the last one, a bias of
the forget gates (Jozefowicz et al. 2015, ICML).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from painmodels.registry import SubNetwork, Training

Pooling = Literal["last", "mean", "max", "attention"]


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """The paper's values; `dropout` acts between the layers, while training.

    `pooling`: the features are the last hidden state, the mean or the largest value of each unit over the steps, or a mean
    weighted by a learned score of each step. `filters` of a convolution with ReLU before the LSTM (0: none), over `kernel` steps,
    every `stride` steps. `forget_bias`: what the forget gates' biases begin at (0: as PyTorch draws them).
    """

    epochs: int = 800
    batch: int = 64
    lr: float = 1e-3
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.0
    pooling: Pooling = "last"
    filters: int = 0
    kernel: int = 7
    stride: int = 1
    forget_bias: float = 0.0

    unsaid: ClassVar[Mapping[str, Any]] = {
        **Training.unsaid,
        "pooling": "last",
        "filters": 0,
        "kernel": 7,
        "stride": 1,
        "forget_bias": 0.0,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filters < 0 or min(self.kernel, self.stride) < 1:
            found = f"{self.filters}, {self.kernel} and {self.stride}"
            raise ValueError(f"filters, kernel and stride: found {found}, expected at least 0, 1 and 1")
        if not self.filters and self.stride > 1:
            raise ValueError(f"stride: found {self.stride} without filters, expected 1: it is of the convolution")

    @property
    def plain(self) -> bool:
        """Whether it is the paper's network: the LSTM alone, and its last state."""
        return self.pooling == "last" and not self.filters


class PhysiologicalLSTM(nn.Module):
    """(B, T, C) to logits (B, outputs); `features` gives (B, hidden), `sequence` (B, T, hidden), T / stride of a convolution."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_channels,) = input_sizes
        n, self.pooling = settings.filters, settings.pooling
        self.conv = None
        if n:
            convolution = nn.Conv1d(n_channels, n, settings.kernel, settings.stride, settings.kernel // 2)
            self.conv = nn.Sequential(convolution, nn.ReLU())
        self.lstm = nn.LSTM(n or n_channels, settings.hidden, settings.layers, batch_first=True, dropout=settings.dropout)
        self.score = nn.Linear(settings.hidden, 1) if self.pooling == "attention" else None
        self.head = nn.Linear(settings.hidden, settings.outputs)
        if settings.forget_bias:
            for name, bias in self.lstm.named_parameters():
                if name.startswith("bias"):  # gates in PyTorch's order: input, forget, cell, output; two biases are added
                    value = settings.forget_bias if name.startswith("bias_ih") else 0.0
                    nn.init.constant_(bias[settings.hidden : 2 * settings.hidden], value)

    def sequence(self, x_BTC: torch.Tensor) -> torch.Tensor:
        if self.conv is not None:
            x_BTC = self.conv(x_BTC.transpose(1, 2)).transpose(1, 2)
        return self.lstm(x_BTC)[0]

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        h_BTH = self.sequence(x_BTC)
        if self.score is not None:
            return (self.score(h_BTH).softmax(1) * h_BTH).sum(1)
        if self.pooling == "mean":
            return h_BTH.mean(1)
        return h_BTH.amax(1) if self.pooling == "max" else h_BTH[:, -1]

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTC))


NETWORK = SubNetwork(role="physiological", name="lstm", settings=Settings, build=PhysiologicalLSTM)
