"""A 3-D VGG on clips of the face with temporal stochastic softmax: Ayral, Pedersoli, Bacon & Granger 2021, WACV,
https://openaccess.thecvf.com/content/WACV2021/html/Ayral_Temporal_Stochastic_Softmax_for_3D_CNNs_An_Application_in_Facial_WACV_2021_paper.html

Published accuracy (BioVid A, no pain against the highest level, 87 people, eight folds): 68.12 %, as Farmani et al. quote it
in their Table 3. Published in the abstract: short clips of a video; training draws clips by weights over time instead of
evenly, and what the clips say is pooled by a softmax over time, in training and in use. The full text could not be read here.
Guessed: that the weights over time are learned and the same for all videos (one weight for each of `places`, stretched to the
clips that a window has), clips of 16 steps that overlap by half, three drawn for a trial, the blocks and filters of the VGG,
56 x 56 pixels, batch normalisation, dropout, Adam, learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods.clips import Volume, cut, shown
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import stretched
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`side` in pixels, one step of `every`, clips of `length` of these steps, `drawn` clips of a trial in training; `filters` of
    each block; `places` of the weights over time."""

    epochs: int = 60
    batch: int = 16
    lr: float = 1e-3
    side: int = 56
    every: int = 1
    length: int = 16
    drawn: int = 3
    places: int = 16
    filters: tuple[int, ...] = (16, 32, 64, 128)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.side, self.every, self.length, self.drawn, self.places) < 1 or not self.filters:
            raise InputError("side, every, length, drawn and places: expected at least 1, and some filters")


class StochasticSoftmax(nn.Module):
    """(B, T, S, S) grey levels to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.side, self.every, self.length, self.drawn = settings.side, settings.every, settings.length, settings.drawn
        self.volume, self.drop = Volume(settings.filters), nn.Dropout(settings.dropout)
        self.places = nn.Parameter(torch.zeros(settings.places))
        self.head = nn.Linear(settings.filters[-1], settings.outputs)

    def features(self, x_BTSS: torch.Tensor) -> torch.Tensor:
        clips_BNLSS = cut(x_BTSS[:, :: self.every], self.length)
        n_trials, n_clips = clips_BNLSS.shape[:2]
        weights_N = stretched(self.places[None, None], n_clips)[0, 0]
        which_BN = torch.arange(n_clips, device=x_BTSS.device).expand(n_trials, -1)
        if self.training and n_clips > self.drawn:
            which_BN = torch.multinomial(weights_N.detach().softmax(0).expand(n_trials, -1), self.drawn)
            clips_BNLSS = clips_BNLSS[torch.arange(n_trials, device=x_BTSS.device)[:, None], which_BN]
        of_clips = self.volume(shown(clips_BNLSS.flatten(0, 1), self.side)).unflatten(0, which_BN.shape)
        return (weights_N[which_BN].softmax(1)[..., None] * of_clips).sum(1)

    def forward(self, x_BTSS: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.features(x_BTSS)))


NETWORK = SubNetwork(role="3dcnn", name="3dcnn", settings=Settings, build=StochasticSoftmax, keeps_statistics=True)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the aligned face."""
    return (Part("3dcnn", (Input("pixels"),), trained=NETWORK),)


METHOD = Method("3dcnn", on=("video",), parts=parts, compared=("video:3dcnn",))
