"""A 2-D CNN over stacked modalities: Kasaeyan Naeini et al. 2019, CHASE, https://doi.org/10.1109/CHASE48038.2019.00023.

Published accuracy (BioVid A, no pain against the highest level, 87 people, EDA, ECG, EMG and video, ten folds): 74.00 %, as
Farmani et al. quote it in their Table 3, who call it a 2-D CNN. The full text could not be read here. Guessed: the picture
that is convolved has a row for each signal and `rows` for the frozen CNN's features of the face, a learned projection, and a
column for each step of the clock; three blocks of a convolution, batch normalisation, ReLU and a maximum over two steps; the
mean over what is left; dropout, Adam, learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`rows` of the face, `filters` of each block, `kernel` along the steps (three along the rows)."""

    epochs: int = 60
    batch: int = 32
    lr: float = 1e-3
    rows: int = 8
    filters: tuple[int, ...] = (16, 32, 64)
    kernel: int = 7
    dropout: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows < 1 or not self.filters or self.kernel % 2 == 0:
            raise InputError("rows, filters and kernel: expected at least one row, some filters and an odd kernel")


class Stacked(nn.Module):
    """Signals (B, T, C) and features of the face (B, T, F) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        n_signals, n_features = input_sizes
        self.face = nn.Sequential(nn.LayerNorm(n_features), nn.Linear(n_features, settings.rows))
        layers: list[nn.Module] = []
        n_in = 1
        for n in settings.filters:
            convolution = nn.Conv2d(n_in, n, (3, settings.kernel), padding=(1, settings.kernel // 2), bias=False)
            layers += [convolution, nn.BatchNorm2d(n), nn.ReLU(), nn.MaxPool2d((1, 2), ceil_mode=True)]
            n_in = n
        self.layers, self.drop = nn.Sequential(*layers), nn.Dropout(settings.dropout)
        self.head = nn.Linear(n_in * (n_signals + settings.rows), settings.outputs)

    def features(self, x_BTC: torch.Tensor, x_BTF: torch.Tensor) -> torch.Tensor:
        picture_B1RT = torch.cat([x_BTC, self.face(x_BTF)], dim=-1).transpose(1, 2)[:, None]
        return self.layers(picture_B1RT).mean(-1).flatten(1)

    def forward(self, x_BTC: torch.Tensor, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.features(x_BTC, x_BTF)))


NETWORK = SubNetwork(role="cnn2d", name="cnn2d", settings=Settings, build=Stacked, keeps_statistics=True)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's signals and the frozen CNN's features of the face."""
    return (Part("cnn2d", (Input("signals"), Input("features")), trained=NETWORK),)


METHOD = Method(
    "cnn2d",
    on=("eda", "ecg", "emg", "video"),
    parts=parts,
    several=True,
    any_signal=True,
    joins="video",
    compared=("eda+ecg+emg+video:cnn2d",),
)
