"""PainAttnNet: Lu, Ozek & Kamarthi 2023, Frontiers in Physiology 14:1294577, https://doi.org/10.3389/fphys.2023.1294577.

Three convolutions of different width (short, medium, long), a residual block that weighs channels by squeeze and excitation,
transformer encoders whose queries, keys and values come from causal convolutions, one dense layer over everything.

Published on BioVid A, no pain against the highest level, EDA at 512 Hz, 87 people, leave-one-subject-out; the accuracy could
not be read here. Sizes and training are those of the authors' code (https://github.com/zhenyuanlu/PainAttnNet, read, not
copied): 64, 128 and 64 filters per scale; first kernels of 50, 512 and 1024 samples with steps of 6, 42 and 84; GELU,
dropout 0.5; 75 values per channel; 30 channels after the residual block, reduction 16; two encoders with five heads, causal
kernels of 7, an inner layer of 120, dropout 0.1; convolutions drawn with SD 0.02; Adam, 1e-3, 100 epochs, batches of 128, no
weight decay (its configuration names one of 0.001 and AMSGrad; the code uses neither). There the epoch is chosen by the
validation loss on the tested person; here it is the last. The code leaves the norm before the attention without effect; here
queries pass through it. Guessed: kernels and steps at 25 Hz (3, 25 and 50 samples, steps of 1, 2 and 4: about the published
durations), the interpolation to 60, 12 and 3 steps (the published ones, reached without it at 512 Hz), several signals as
channels of the first convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import Attention, kept, least, stretched
from painmodels.registry import InputError, SubNetwork, Training

LENGTHS = (60, 12, 3)  # steps of each scale at the published rate
FIRST_POOL = ((8, 2, 4), (4, 4, 0), (8, 8, 0))  # kernel, step, padding of the maximum after the first convolution
LATER = ((8, 4), (4, 3), (7, 3))  # kernel and padding of the second and third convolution
LAST_POOL = ((4, 4, 2), (2, 2, 1), (2, 2, 1))


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`kernels` and `strides` of the first convolutions in samples; `filters` outside, twice as many inside; `width` values per
    channel; `channels` after the residual block, a multiple of `heads`; `inner` layer of an encoder, `encoders` of them."""

    epochs: int = 100
    batch: int = 128
    lr: float = 1e-3
    kernels: tuple[int, ...] = (3, 25, 50)
    strides: tuple[int, ...] = (1, 2, 4)
    filters: int = 64
    width: int = 75
    channels: int = 30
    reduction: int = 16
    encoders: int = 2
    heads: int = 5
    inner: int = 120
    dropout: float = 0.1
    scale_dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.kernels) != len(LENGTHS) or len(self.strides) != len(LENGTHS):
            raise InputError(f"kernels and strides: found {self.kernels} and {self.strides}, expected three of each")
        if self.channels % self.heads:
            raise InputError(f"channels: found {self.channels}, expected a multiple of heads = {self.heads}")


class Scale(nn.Module):
    """Patterns of one duration: (B, C, T) to (B, filters, width)."""

    def __init__(self, settings: Settings, n_channels: int, which: int) -> None:
        super().__init__()
        n, kernel, (k, pad) = settings.filters, settings.kernels[which], LATER[which]
        first = nn.Conv1d(n_channels, n, kernel, settings.strides[which], padding=kernel // 2, bias=False)
        pool, last = FIRST_POOL[which], LAST_POOL[which]
        self.patterns = nn.Sequential(
            *(
                first,
                nn.BatchNorm1d(n),
                nn.GELU(),
                nn.MaxPool1d(pool[0], pool[1], pool[2]),
                nn.Dropout(settings.scale_dropout),
            ),
            *(nn.Conv1d(n, 2 * n, k, padding=pad, bias=False), nn.BatchNorm1d(2 * n), nn.GELU()),
            *(nn.Conv1d(2 * n, n, k, padding=pad, bias=False), nn.BatchNorm1d(n), nn.GELU()),
            nn.MaxPool1d(last[0], last[1], last[2]),
        )
        self.length, self.enter = LENGTHS[which], nn.Linear(LENGTHS[which], settings.width)

    def forward(self, x_BCT: torch.Tensor) -> torch.Tensor:
        return self.enter(stretched(self.patterns(x_BCT), self.length))


def least_steps(settings: Settings) -> int:
    """The fewest steps of which every scale leaves one."""

    def of_scale(n: int, which: int) -> int:
        kernel = settings.kernels[which]
        left = [kept(n, kernel, settings.strides[which], kernel // 2)]
        for window in (FIRST_POOL[which], *[(LATER[which][0], 1, LATER[which][1])] * 2, LAST_POOL[which]):
            left.append(kept(left[-1], *window))
        return min(left)

    return least(lambda n: min(of_scale(n, which) for which in range(len(LENGTHS))))


class Excited(nn.Module):
    """A residual block of convolutions over single steps; channels are weighed by their means: (B, C, W) to (B, channels, W)."""

    def __init__(self, settings: Settings, n_in: int) -> None:
        super().__init__()
        n = settings.channels
        squeezed = max(1, n // settings.reduction)
        self.way = nn.Sequential(nn.Conv1d(n_in, n, 1), nn.BatchNorm1d(n), nn.ReLU(), nn.Conv1d(n, n, 1), nn.BatchNorm1d(n))
        self.excitation = nn.Sequential(
            nn.Linear(n, squeezed, bias=False), nn.ReLU(), nn.Linear(squeezed, n, bias=False), nn.Sigmoid()
        )
        self.shortcut = nn.Sequential(nn.Conv1d(n_in, n, 1, bias=False), nn.BatchNorm1d(n))

    def forward(self, x_BCW: torch.Tensor) -> torch.Tensor:
        way = self.way(x_BCW)
        return functional.relu(way * self.excitation(way.mean(-1))[..., None] + self.shortcut(x_BCW))


class Causal(nn.Module):
    """Two convolutions over this step and the six before, added to their input: (B, C, W) to (B, C, W)."""

    def __init__(self, n: int, kernel: int = 7) -> None:
        super().__init__()
        self.past = kernel - 1
        self.one, self.two = nn.Conv1d(n, n, kernel), nn.Conv1d(n, n, kernel)
        self.norm1, self.norm2 = nn.BatchNorm1d(n), nn.BatchNorm1d(n)

    def forward(self, x_BCW: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm1(self.one(functional.pad(x_BCW, (self.past, 0)))))
        return functional.relu(self.norm2(self.two(functional.pad(y, (self.past, 0)))) + x_BCW)


class Encoder(nn.Module):
    """Attention over the values of a channel, then a dense layer along them: (B, C, W) to (B, C, W)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        n, self.drop = settings.channels, nn.Dropout(settings.dropout)
        self.query, self.key, self.value = Causal(n), Causal(n), Causal(n)
        self.attention = Attention(n, settings.heads, settings.dropout)
        self.norm1, self.norm2 = nn.LayerNorm(n), nn.LayerNorm(n)
        self.inner = nn.Sequential(
            *(nn.Linear(settings.width, settings.inner), nn.ReLU(), nn.Dropout(settings.dropout)),
            nn.Linear(settings.inner, settings.width),
        )

    def forward(self, x_BCW: torch.Tensor) -> torch.Tensor:
        q_BWC = self.query(x_BCW).transpose(1, 2)
        k_BWC, v_BWC = self.key(x_BCW).transpose(1, 2), self.value(x_BCW).transpose(1, 2)
        y_BWC = q_BWC + self.drop(self.attention(self.norm1(q_BWC), k_BWC, v_BWC))
        return y_BWC.transpose(1, 2) + self.drop(self.inner(self.norm2(y_BWC).transpose(1, 2)))


class PainAttnNet(nn.Module):
    """(B, T, C) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_channels,) = input_sizes
        self.scales = nn.ModuleList(Scale(settings, n_channels, i) for i in range(len(LENGTHS)))
        self.drop = nn.Dropout(settings.scale_dropout)
        self.excited = Excited(settings, settings.filters * len(LENGTHS))
        self.encoders = nn.Sequential(*(Encoder(settings) for _ in range(settings.encoders)))
        self.norm = nn.LayerNorm(settings.width)
        self.head = nn.Linear(settings.width * settings.channels, settings.outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm1d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        x_BCT = x_BTC.transpose(1, 2)
        scales_BCW = self.drop(torch.cat([scale(x_BCT) for scale in self.scales], dim=1))
        return self.norm(self.encoders(self.excited(scales_BCW))).flatten(1)

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTC))


NETWORK = SubNetwork(
    role="painattn",
    name="painattn",
    settings=Settings,
    build=PainAttnNet,
    keeps_statistics=True,
    least_steps=least_steps,
)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's signals."""
    return (Part("painattn", (Input("signals"),), trained=NETWORK),)


METHOD = Method(
    "painattn",
    on=("eda", "ecg", "emg"),
    parts=parts,
    several=True,
    any_signal=True,
    compared=("eda:painattn", "eda+ecg:painattn"),
)
