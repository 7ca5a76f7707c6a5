"""A hybrid CNN-LSTM on the skin conductance: Subramaniam & Dass 2020, IEEE Sensors Journal 21(3):3335-3343.

Published accuracy (BioVid A, no pain against the highest level, EDA, ten folds, as Farmani et al. quote it): 75.21 % (87
people), 80.17 % (67 people). Convolutions find short patterns, an LSTM follows them through time, a linear head calls the
class. The full text could not be read here, so every size and all of the training is guessed, for 25 Hz: filters, kernels,
pooling, units, dropout, epochs, batch, learning rate. Scaled to [0, 1] as [signals] says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`filters` of each of two convolutions, `hidden` units of the LSTM, `dropout` before the head."""

    epochs: int = 60
    batch: int = 64
    lr: float = 2e-3
    filters: int = 16
    hidden: int = 32
    dropout: float = 0.2


class ConvLSTM(nn.Module):
    """(B, T, C) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_channels,) = input_sizes
        n = settings.filters
        self.conv = nn.Sequential(
            nn.Conv1d(n_channels, n, 7, padding=3),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(n, 2 * n, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(2),
        )
        self.lstm = nn.LSTM(2 * n, settings.hidden, batch_first=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        patterns_BTF = self.conv(x_BTC.transpose(1, 2)).transpose(1, 2)
        return self.lstm(patterns_BTF)[0][:, -1]

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.features(x_BTC)))


NETWORK = SubNetwork(
    role="cnn-lstm", name="cnn-lstm", settings=Settings, build=ConvLSTM, least_steps=lambda settings: 4
)  # halved twice


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's signals."""
    return (Part("cnn-lstm", (Input("signals"),), trained=NETWORK),)


METHOD = Method("cnn-lstm", on=("eda", "ecg", "emg"), parts=parts, several=True, any_signal=True, rows=("eda:cnn-lstm",))
