"""The temporal sub-network: an LSTM of two layers over the FC-7 vectors of a trial's frames.

Paper, section 3.3 and 3.4: two layers, 64 hidden units, 30 epochs, Adam, learning rate 1e-4. Not in the paper: the
batch (64, as elsewhere) and the head it is trained with (linear, on the last hidden state).
Input x_BTF. Features: H_BTH, the hidden states of the second layer at every step, which feed the attention.
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

    epochs: int = 30
    batch: int = 64
    lr: float = 1e-4
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.0


class TemporalLSTM(nn.Module):
    """(B, T, F) to logits (B, outputs); `features` gives (B, T, hidden)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_features,) = input_sizes
        self.lstm = nn.LSTM(n_features, settings.hidden, settings.layers, batch_first=True, dropout=settings.dropout)
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def features(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.lstm(x_BTF)[0]

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTF)[:, -1])


NETWORK = SubNetwork(role="temporal", name="lstm", settings=Settings, build=TemporalLSTM)
