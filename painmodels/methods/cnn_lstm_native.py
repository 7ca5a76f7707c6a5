"""The CNN-LSTM at the recorder's own rate (painmodels/methods/cnn_lstm.py says what is published). All sizes are guessed.

The first convolution takes steps of 8 samples, so that the LSTM has some 90 steps of a window of 5.5 s at 512 Hz. Each window is
scaled to [0, 1] by itself, whatever [signals] says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods import cnn_lstm
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import ByTrial, kept, least
from painmodels.registry import SubNetwork


@dataclass(frozen=True, kw_only=True)
class Settings(cnn_lstm.Settings):
    """As `cnn-lstm`; `kernel` and `stride` of the first convolution in samples."""

    kernel: int = 64
    stride: int = 8


class Native(cnn_lstm.ConvLSTM):
    """(B, samples, C) to (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__(settings, input_sizes)
        (n_channels,) = input_sizes
        self.scaled = ByTrial()
        self.conv[0] = nn.Conv1d(n_channels, settings.filters, settings.kernel, settings.stride, settings.kernel // 2)

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return super().features(self.scaled(x_BTC))


def least_steps(settings: Settings) -> int:
    """The fewest samples of which the first convolution leaves four, to be halved twice."""
    return least(lambda n: kept(n, settings.kernel, settings.stride, settings.kernel // 2) // 4)


NETWORK = SubNetwork(
    role="cnn-lstm-native", name="cnn-lstm-native", settings=Settings, build=Native, least_steps=least_steps
)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's channels, which have one rate."""
    return (Part("cnn-lstm-native", (Input("signals_native"),), trained=NETWORK),)


METHOD = Method(
    "cnn-lstm-native",
    on=("eda", "ecg", "emg"),
    parts=parts,
    several=True,
    any_signal=True,
    compared=("eda:cnn-lstm-native",),
)
