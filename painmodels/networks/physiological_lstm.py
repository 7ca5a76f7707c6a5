"""The physiological sub-network: an LSTM of two layers over ECG, EDA, or both as two channels.

Paper, section 3.3 and 3.4: two layers, 64 hidden units, 800 epochs, batches of 64, Adam, learning rate 1e-3.
Input x_BTC at 25 Hz, scaled to [0, 1] (`normalise`). Features: S_BH, the last hidden state of the second layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.registry import SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """The paper's values; `dropout` acts between the layers, while training."""

    epochs: int = 800
    batch: int = 64
    lr: float = 1e-3
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.0


class PhysiologicalLSTM(nn.Module):
    """(B, T, C) to logits (B, outputs); `features` gives (B, hidden), `sequence` (B, T, hidden)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_channels,) = input_sizes
        self.lstm = nn.LSTM(n_channels, settings.hidden, settings.layers, batch_first=True, dropout=settings.dropout)
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def sequence(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.lstm(x_BTC)[0]

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.sequence(x_BTC)[:, -1]

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTC))


NETWORK = SubNetwork(role="physiological", name="lstm", settings=Settings, build=PhysiologicalLSTM)
