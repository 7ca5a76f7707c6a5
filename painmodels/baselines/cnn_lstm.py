"""A hybrid CNN-LSTM on the skin conductance, after Subramaniam & Dass 2020 (IEEE Sensors Journal).

Convolutions find short patterns, an LSTM follows them through time, a linear head calls the class. From the publication is
the idea; sizes and training are our choice for 25 Hz. Trials are scaled to [0, 1] by themselves.
Trained by the one loop of all networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from painmodels.baselines import Baseline, Inputs
from painmodels.registry import SubNetwork, Training
from painmodels.training.loop import Fitted, outputs
from painmodels.training.loop import fit as train
from painmodels.training.normalise import minmax


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
    """(B, T, C) to logits (B, 2)."""

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
        self.head = nn.Linear(settings.hidden, settings.classes)

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        patterns_BTF = self.conv(x_BTC.transpose(1, 2)).transpose(1, 2)
        return self.lstm(patterns_BTF)[0][:, -1]

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.features(x_BTC)))


_NETWORK = SubNetwork(role="baseline", name="cnn-lstm", settings=Settings, build=ConvLSTM)


def _scaled(inputs: Inputs) -> np.ndarray:
    x_NTC = np.stack(list(inputs.signals.values()), axis=-1).astype(np.float32)
    return minmax(x_NTC, how="trial", subjects=[""] * inputs.n)[0]


def fit(inputs: Inputs, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """Train the network."""
    return train(_NETWORK, settings, [_scaled(inputs)], labels, seed=seed, device=device)


def predict(weights: Mapping[str, np.ndarray], inputs: Inputs, settings: Settings, device: str) -> np.ndarray:
    """The network's softmax."""
    return outputs(_NETWORK, settings, weights, [_scaled(inputs)], what="probability", device=device)


BASELINE = Baseline(
    name="cnn-lstm",
    on=("eda", "ecg", "emg"),
    rows=("eda:cnn-lstm",),
    settings=Settings,
    fit=fit,
    predict=predict,
    several=True,
)
