"""Layers that several published networks share. B trials, C channels, T steps, F features."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, pairwise

import torch
from torch import nn
from torch.nn import functional


def stretched(x_BCT: torch.Tensor, n_steps: int) -> torch.Tensor:
    """Linear interpolation to `n_steps` steps, first and last kept; `x_BCT` itself where it has that many.

    A dense layer over time needs a fixed number of steps: with it, a network of published sizes takes windows of any length.
    """
    n_given = x_BCT.shape[-1]
    if n_given == n_steps:
        return x_BCT
    at_S = torch.linspace(0, n_given - 1, n_steps, dtype=x_BCT.dtype, device=x_BCT.device)
    steps_T = torch.arange(n_given, dtype=x_BCT.dtype, device=x_BCT.device)
    # a product with hat functions: unlike torch's interpolation, it gives equal bytes in every run on a GPU, too
    return x_BCT @ (1 - (steps_T[:, None] - at_S).abs()).clamp(min=0)


def kept(n_steps: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """How many steps a convolution or pooling leaves; less than one where it cannot be made."""
    return (n_steps + 2 * padding - kernel) // stride + 1


def least(kept_of: Callable[[int], int]) -> int:
    """The fewest steps of which `kept_of` leaves one."""
    return next(n for n in count(1) if kept_of(n) >= 1)


class Attention(nn.Module):
    """Attention with several heads: queries (B, T, F), keys and values (B, S, F) to (B, T, F)."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, q_BTF: torch.Tensor, k_BSF: torch.Tensor, v_BSF: torch.Tensor) -> torch.Tensor:
        given = (self.query(q_BTF), self.key(k_BSF), self.value(v_BSF))
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in given)
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """One encoder layer of Vaswani et al. 2017, norms last: x (B, T, F) asks `other` (B, S, F), or itself; (B, T, F).

    No dropout of the attention's weights: T x S random numbers per head took more than half of the time on a CPU.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width))
        self.norm1, self.norm2, self.drop = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, x_BTF: torch.Tensor, other_BSF: torch.Tensor | None = None) -> torch.Tensor:
        other_BSF = x_BTF if other_BSF is None else other_BSF
        x_BTF = self.norm1(x_BTF + self.drop(self.attention(x_BTF, other_BSF, other_BSF)))
        return self.norm2(x_BTF + self.drop(self.inner(x_BTF)))


def dense(sizes: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Fully connected layers of these sizes, each with ReLU and dropout."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


class ByTrial(nn.Module):
    """Each channel of each window scaled to [0, 1], (B, T, C) to (B, T, C); 0 where it does not vary."""

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        low_B1C = x_BTC.amin(1, keepdim=True)
        span_B1C = x_BTC.amax(1, keepdim=True) - low_B1C
        return torch.where(span_B1C > 0, (x_BTC - low_B1C) / span_B1C.clamp(min=1e-12), 0.0)
