"""CrossMod-Transformer: Farmani et al. 2025, Scientific Reports 15, https://doi.org/10.1038/s41598-025-14238-y.

Published accuracy (BioVid A, no pain against the highest level, 87 people, EDA and ECG): 85.92 % on ten folds of people,
87.52 % leave-one-subject-out.

Each signal has an encoder of its own: a fully convolutional network and an LSTM with attention look at it side by side, each
is followed by a transformer layer, and each asks the other. Then the signals ask each other, and dense layers decide.
Published: filters 128, 256 and 128 with kernels 8, 5 and 3, two LSTM layers of 64 units with additive attention, eight
heads, dense layers of 512, 256 and 128, signals at 25 Hz (the last two as a public adaptation reports them; the full text
could not be read here). Guessed: dropout, inner layers, learning rate, batch, epochs, scaling, the ReLU in the attention of
the LSTM; kernel 7 for 8, which keeps the number of steps. Published is training block by block, with the blocks before
frozen; here everything is trained at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import Encoder, dense
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`filters` and (odd) `kernels` of the convolutions, `hidden` units of each of `layers` of the LSTM, `width` of what is
    attended to, a multiple of `heads`, `inner` layer of an encoder, `dense` layers of each classifier."""

    epochs: int = 60
    batch: int = 64
    lr: float = 5e-4
    filters: tuple[int, ...] = (128, 256, 128)
    kernels: tuple[int, ...] = (7, 5, 3)
    hidden: int = 64
    layers: int = 2
    width: int = 128
    heads: int = 8
    inner: int = 128
    dense: tuple[int, ...] = (512, 256, 128)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.filters) != len(self.kernels) or any(k % 2 == 0 for k in self.kernels):
            raise InputError(f"kernels: found {self.kernels}, expected {len(self.filters)} odd numbers, one per filter size")
        if self.width % self.heads:
            raise InputError(f"width: found {self.width}, expected a multiple of heads = {self.heads}")


class AttentiveLSTM(nn.Module):
    """One signal (B, T, 1) to (B, T, width): hidden states, each with the mean of all by learned attention added."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, settings.hidden, settings.layers, batch_first=True)
        self.score = nn.Sequential(nn.Linear(settings.hidden, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, 1))
        self.out = nn.Linear(2 * settings.hidden, settings.width)

    def forward(self, x_BT1: torch.Tensor) -> torch.Tensor:
        h_BTH = self.lstm(x_BT1)[0]
        context_B1H = (self.score(h_BTH).softmax(1) * h_BTH).sum(1, keepdim=True)
        return self.out(torch.cat([h_BTH, context_B1H.expand_as(h_BTH)], dim=-1))


class SignalEncoder(nn.Module):
    """One signal (B, T, 1) to (B, T, width)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for n, kernel in zip(settings.filters, settings.kernels, strict=True):
            layers += [nn.Conv1d(n_in, n, kernel, padding=kernel // 2), nn.BatchNorm1d(n), nn.ReLU()]
            n_in = n
        self.convolutions, self.enter = nn.Sequential(*layers), nn.Linear(n_in, settings.width)
        self.lstm = AttentiveLSTM(settings)
        sizes = (settings.width, settings.heads, settings.inner, settings.dropout)
        self.over_convolutions, self.over_lstm = Encoder(*sizes), Encoder(*sizes)
        self.convolutions_ask, self.lstm_asks = Encoder(*sizes), Encoder(*sizes)
        self.both = nn.Linear(2 * settings.width, settings.width)

    def forward(self, x_BT1: torch.Tensor) -> torch.Tensor:
        one = self.over_convolutions(self.enter(self.convolutions(x_BT1.transpose(1, 2)).transpose(1, 2)))
        two = self.over_lstm(self.lstm(x_BT1))
        return self.both(torch.cat([self.convolutions_ask(one, two), self.lstm_asks(two, one)], dim=-1))


class CrossModTransformer(nn.Module):
    """(B, T, C) to logits (B, outputs); each of C signals asks all others, step by step."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_signals,) = input_sizes
        self.encoders = nn.ModuleList(SignalEncoder(settings) for _ in range(n_signals))
        sizes = (settings.width, settings.heads, settings.inner, settings.dropout)
        self.crossings = nn.ModuleList(Encoder(*sizes) for _ in range(n_signals if n_signals > 1 else 0))
        self.dense = dense((n_signals * settings.width, *settings.dense), settings.dropout)
        self.head = nn.Linear(settings.dense[-1], settings.outputs)

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        streams = [encoder(x_BTC[..., i : i + 1]) for i, encoder in enumerate(self.encoders)]
        if self.crossings:
            others = [torch.cat(streams[:i] + streams[i + 1 :], dim=1) for i in range(len(streams))]
            streams = [cross(x, y) for cross, x, y in zip(self.crossings, streams, others, strict=True)]
        return self.dense(torch.cat([functional.relu(x).mean(1) for x in streams], dim=-1))

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTC))


NETWORK = SubNetwork(role="crossmod", name="crossmod", settings=Settings, build=CrossModTransformer, keeps_statistics=True)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's signals."""
    return (Part("crossmod", (Input("signals"),), trained=NETWORK),)


METHOD = Method(
    "crossmod", on=("eda", "ecg", "emg"), parts=parts, several=True, any_signal=True, compared=("eda+ecg:crossmod",)
)
