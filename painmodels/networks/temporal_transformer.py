"""A temporal transformer beside the paper's LSTM: each step of a trial sees every other.

Encoder of Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762) in the pre-norm form of Xiong et al. 2020, positions as
sines and cosines. Not in the paper; the optimiser's values are those of its LSTM.
Input x_BTF. Features: H_BTH, one vector a step, which feed the attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`hidden` must be a multiple of `heads` and even; the inner layer of a block is `widening` times as wide."""

    epochs: int = 30
    batch: int = 64
    lr: float = 1e-4
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    widening: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.hidden % 2:
            raise InputError(f"hidden: found {self.hidden}, expected an even multiple of heads = {self.heads}")


class Block(nn.Module):
    """Self-attention, then a network of each step by itself; both are added to their input, (B, T, H) to (B, T, H)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        n, wide = settings.hidden, settings.hidden * settings.widening
        self.heads, self.dropout = settings.heads, settings.dropout
        self.norm1, self.norm2 = nn.LayerNorm(n), nn.LayerNorm(n)
        self.qkv, self.out = nn.Linear(n, 3 * n), nn.Linear(n, n)
        self.inner = nn.Sequential(nn.Linear(n, wide), nn.GELU(), nn.Linear(wide, n))

    def forward(self, h_BTH: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(h_BTH)).chunk(3, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h_BTH = h_BTH + functional.dropout(self.out(mixed), self.dropout, self.training)
        return h_BTH + functional.dropout(self.inner(self.norm2(h_BTH)), self.dropout, self.training)


class TemporalTransformer(nn.Module):
    """(B, T, F) to logits (B, outputs), from the mean over steps; `features` gives (B, T, hidden)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_features,) = input_sizes
        self.hidden = settings.hidden
        self.enter = nn.Linear(n_features, settings.hidden)
        self.blocks = nn.Sequential(*(Block(settings) for _ in range(settings.layers)))
        self.norm = nn.LayerNorm(settings.hidden)
        self.head = nn.Linear(settings.hidden, settings.outputs)

    def features(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.norm(self.blocks(self.enter(x_BTF) + positions(x_BTF.shape[1], self.hidden).to(x_BTF)))

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTF).mean(1))


def positions(n_steps: int, width: int) -> torch.Tensor:
    """Sines and cosines of the step number at wavelengths from 2π to 10,000 · 2π steps, (n_steps, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(n_steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


NETWORK = SubNetwork(role="temporal", name="transformer", settings=Settings, build=TemporalTransformer)
