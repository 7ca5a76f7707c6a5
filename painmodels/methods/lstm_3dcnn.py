"""A 3-D CNN for the face and an LSTM for the signals, joined: Zhi, Zhou, Yu, Li & Zamzmi 2021, IEICE Trans. Inf. & Syst.
E104-D(12), 2184-2194, "Multimodal-based stream integrated neural networks for pain assessment".

Published accuracy (BioVid A, no pain against the highest level, 87 people, EDA, ECG, EMG and video, five folds): 68.20 %, as
Farmani et al. quote it in their Table 3. Published in the title and there: one stream a modality, a 3-D CNN and LSTMs. The
full text could not be read here. Guessed: 16 frames spread over the window, the blocks and filters of the 3-D CNN (the small
VGG of `clips.py`), one LSTM over all signals, widths, dropout, Adam, learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods.clips import Volume, shown, spread
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`frames` of a trial, `side` in pixels, `filters` of each block; `hidden` units of the LSTM; `joined` layer over both."""

    epochs: int = 60
    batch: int = 16
    lr: float = 1e-3
    frames: int = 16
    side: int = 56
    filters: tuple[int, ...] = (16, 32, 64, 128)
    hidden: int = 64
    joined: int = 64
    dropout: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.frames, self.side, self.hidden, self.joined) < 1 or not self.filters:
            raise InputError("frames, side, hidden and joined: expected at least 1, and some filters")


class Streams(nn.Module):
    """Signals (B, T, C) and grey levels (B, T, S, S) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.frames, self.side = settings.frames, settings.side
        self.lstm = nn.LSTM(input_sizes[0], settings.hidden, batch_first=True)
        self.volume = Volume(settings.filters)
        n = settings.hidden + settings.filters[-1]
        self.joined = nn.Sequential(nn.Linear(n, settings.joined), nn.ReLU(), nn.Dropout(settings.dropout))
        self.head = nn.Linear(settings.joined, settings.outputs)

    def features(self, x_BTC: torch.Tensor, x_BTSS: torch.Tensor) -> torch.Tensor:
        seen = x_BTSS[:, spread(x_BTSS.shape[1], self.frames, x_BTSS.device)]
        return self.joined(torch.cat([self.lstm(x_BTC)[0][:, -1], self.volume(shown(seen, self.side))], dim=-1))

    def forward(self, x_BTC: torch.Tensor, x_BTSS: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTC, x_BTSS))


NETWORK = SubNetwork(role="lstm-3dcnn", name="lstm-3dcnn", settings=Settings, build=Streams, keeps_statistics=True)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's signals and the aligned face."""
    return (Part("lstm-3dcnn", (Input("signals"), Input("pixels")), trained=NETWORK),)


METHOD = Method(
    "lstm-3dcnn",
    on=("eda", "ecg", "emg", "video"),
    parts=parts,
    several=True,
    any_signal=True,
    joins="video",
    compared=("eda+ecg+emg+video:lstm-3dcnn",),
)
