"""STAGCN and GRU: Alhamdoosh, Pala & Berretti 2025, IEEE T-BIOM, https://doi.org/10.1109/TBIOM.2025.3592836.

Published in the abstract: a spatio-temporal attention graph convolution network takes short-term features of stretches of
landmarks, a GRU goes through these to the end of the sequence; it is a regression of the level of pain, on BioVid A and B
among others. The full text and its figures could not be read here; whether there is an accuracy of no pain against the highest
level is not known. Guessed: the 51 points, their edges and what a node is given (as in `gnn.py`), stretches of 16 steps
that begin each 8, two blocks of 32 and 64 channels (graph convolution over the edges plus attention between all points, from
their means over the stretch; convolution over 9 steps; a shortcut; layer normalisation, ReLU), mean over points and steps,
one GRU layer of 64 units, its last state, dropout 0.2, Adam, learning rate, batch and epochs. Here it learns what the
experiment's task says, two classes by default.
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
    """`widths`: channels of the blocks; an odd `kernel` over steps; stretches of `window` steps, one begins each `hop`; `hidden`
    units of the GRU."""

    epochs: int = 60
    batch: int = 32
    lr: float = 1e-3
    widths: tuple[int, ...] = (32, 64)
    kernel: int = 9
    window: int = 16
    hop: int = 8
    hidden: int = 64
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise InputError("widths: found none, expected the channels of each block")
        if self.kernel % 2 == 0:
            raise InputError(f"kernel: found {self.kernel}, expected an odd number of steps")
        if not 1 <= self.hop <= self.window:
            raise InputError(f"hop: found {self.hop}, expected 1 to window = {self.window}")


class Block(nn.Module):
    """Over points, then over steps: (B, S, P, C) to (B, S, P, width)."""

    def __init__(self, n_in: int, width: int, kernel: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(n_in, max(1, width // 4)), nn.Linear(n_in, max(1, width // 4))
        self.over_points = GraphConvolution(n_in, width)
        self.over_steps = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.shortcut = nn.Linear(n_in, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def attention(self, x_BSPC: torch.Tensor) -> torch.Tensor:
        """How much each point takes of each other, (B, P, P); rows sum to 1."""
        mean_BPC = x_BSPC.mean(1)
        q, k = self.query(mean_BPC), self.key(mean_BPC)
        return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)

    def forward(self, x_BSPC: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.over_points(x_BSPC, self.attention(x_BSPC)[:, None]))
        b, s, p, c = y.shape
        over_steps = self.over_steps(y.permute(0, 2, 3, 1).reshape(b * p, c, s))
        y = over_steps.reshape(b, p, c, s).permute(0, 3, 1, 2)
        return functional.relu(self.norm(y + self.shortcut(x_BSPC)))


class StagcnGru(nn.Module):
    """(B, T, 468, 3) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.window, self.hop, self.moved = settings.window, settings.hop, Moved()
        sizes = (CHANNELS, *settings.widths)
        self.blocks = nn.Sequential(*(Block(a, b, settings.kernel) for a, b in pairwise(sizes)))
        self.gru = nn.GRU(sizes[-1], settings.hidden, batch_first=True)
        self.drop = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def stretches(self, x_BTP3: torch.Tensor) -> torch.Tensor:
        """Short-term features of each stretch, (B, stretches, C)."""
        x_BTPC = self.moved(x_BTP3)
        starts = range(0, x_BTPC.shape[1] - self.window + 1, self.hop)
        cut = torch.stack([x_BTPC[:, s : s + self.window] for s in starts], dim=1)
        return self.blocks(cut.flatten(0, 1)).mean((1, 2)).unflatten(0, (len(x_BTP3), len(starts)))

    def features(self, x_BTP3: torch.Tensor) -> torch.Tensor:
        return self.gru(self.stretches(x_BTP3))[0][:, -1]

    def forward(self, x_BTP3: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.features(x_BTP3)))


NETWORK = SubNetwork(
    role="stgcn-gru", name="stgcn-gru", settings=Settings, build=StagcnGru, least_steps=lambda settings: settings.window
)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the face mesh."""
    return (Part("stgcn-gru", (Input("mesh"),), trained=NETWORK),)


METHOD = Method("stgcn-gru", on=("video",), parts=parts, compared=("video:stgcn-gru",))
