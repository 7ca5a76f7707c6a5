"""A graph network on the points of the face, pooled over time: Patania et al. 2022, SAC, https://doi.org/10.1145/3477314.3507094.

Published accuracy (BioVid A, no pain against the highest level, 87 people, video, five folds): 73.2 %, as Farmani et al.
quote it in their Table 3. Published in the abstract: graph networks on the graph of fiducial points that are tracked on the
face. The full text could not be read here. Guessed: the 51 points and their edges (`mesh_points.py`), what a node is given
(place against the trial's mean face, velocity), three graph convolutions of 64 channels with layer normalisation and ReLU,
mean over the nodes, mean and maximum over time, dropout 0.2, Adam, learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from painmodels.methods.face_graph import CHANNELS, GraphConvolution, Moved
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`widths`: channels after each graph convolution; `every`: one step of so many is looked at."""

    epochs: int = 60
    batch: int = 32
    lr: float = 1e-3
    widths: tuple[int, ...] = (64, 64, 64)
    every: int = 1
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths or self.every < 1:
            raise InputError(f"widths and every: found {self.widths} and {self.every}, expected some widths, and at least 1")


class FaceGraph(nn.Module):
    """(B, T, 468, 3) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.every, self.moved = settings.every, Moved()
        sizes = (CHANNELS, *settings.widths)
        self.layers = nn.ModuleList(GraphConvolution(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.LayerNorm(n) for n in settings.widths)
        self.drop = nn.Dropout(settings.dropout)
        self.head = nn.Linear(2 * sizes[-1], settings.outputs)

    def features(self, x_BTP3: torch.Tensor) -> torch.Tensor:
        x = self.moved(x_BTP3[:, :: self.every])
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = functional.relu(norm(layer(x)))
        of_steps_BTC = x.mean(2)
        return torch.cat([of_steps_BTC.mean(1), of_steps_BTC.amax(1)], dim=-1)

    def forward(self, x_BTP3: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.features(x_BTP3)))


NETWORK = SubNetwork(role="gnn", name="gnn", settings=Settings, build=FaceGraph)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the face mesh."""
    return (Part("gnn", (Input("mesh"),), trained=NETWORK),)


METHOD = Method("gnn", on=("video",), parts=parts, compared=("video:gnn",))
