"""An LSTM that codes its input sparsely, on the trunk's features: Zhi & Wan 2019, ITAIC,
https://doi.org/10.1109/ITAIC.2019.8785844.

Published accuracy (BioVid A, no pain against the highest level, 87 people, leave-groups-out in eight folds): 61.70 %, as
Farmani et al. quote it in their Table 3, who also say what is published: a sparse representation inside the recurrent cell.
The full text could not be read here. Guessed: the input of each step is coded by a few learned steps of iterative shrinkage
(LISTA, Gregor & LeCun 2010) that begin at what the last hidden state predicts; sizes, number of steps, dropout, Adam,
learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`atoms` of the code, `shrinks` steps of shrinkage, `hidden` units; one step of `every` is looked at."""

    epochs: int = 40
    batch: int = 32
    lr: float = 1e-3
    atoms: int = 64
    shrinks: int = 2
    hidden: int = 32
    every: int = 2
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.atoms, self.shrinks, self.hidden, self.every) < 1:
            raise InputError("atoms, shrinks, hidden and every: expected at least 1")


class SparseLSTM(nn.Module):
    """(B, T, F) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_features,) = input_sizes
        self.every, self.shrinks, n = settings.every, settings.shrinks, settings.atoms
        self.norm, self.enter = nn.LayerNorm(n_features), nn.Linear(n_features, n)
        self.inhibit, self.expect = nn.Linear(n, n, bias=False), nn.Linear(settings.hidden, n, bias=False)
        self.threshold = nn.Parameter(torch.full((n,), 0.1))
        self.cell, self.drop = nn.LSTMCell(n, settings.hidden), nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def features(self, x_BTF: torch.Tensor) -> torch.Tensor:
        entered_BTA = self.enter(self.norm(x_BTF[:, :: self.every]))
        h_BH = c_BH = x_BTF.new_zeros(len(x_BTF), self.cell.hidden_size)
        for entered_BA in entered_BTA.unbind(1):
            code_BA = self.shrunk(self.expect(h_BH))
            for _ in range(self.shrinks):
                code_BA = self.shrunk(entered_BA + self.inhibit(code_BA))
            h_BH, c_BH = self.cell(code_BA, (h_BH, c_BH))
        return h_BH

    def shrunk(self, x_BA: torch.Tensor) -> torch.Tensor:
        """Nearer to zero by the threshold; zero below it."""
        return x_BA.sign() * functional.relu(x_BA.abs() - self.threshold.abs())

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.features(x_BTF)))


NETWORK = SubNetwork(role="sparse-lstm", name="sparse-lstm", settings=Settings, build=SparseLSTM)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the frozen CNN's features of each frame."""
    return (Part("sparse-lstm", (Input("features"),), trained=NETWORK),)


METHOD = Method("sparse-lstm", on=("video",), parts=parts, compared=("video:sparse-lstm",))
