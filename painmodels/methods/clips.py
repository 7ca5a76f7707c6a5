"""Layers on aligned faces (dataprep/recordings/pixels.py). B trials, T steps, S x S pixels, F features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


def shown(x_BTSS: torch.Tensor, side: int) -> torch.Tensor:
    """Grey levels 0 to 255 as numbers around 0, of pictures made smaller by averaging or larger by interpolation."""
    if side < x_BTSS.shape[-1]:
        x_BTSS = functional.adaptive_avg_pool2d(x_BTSS, side)
    elif side > x_BTSS.shape[-1]:
        x_BTSS = functional.interpolate(x_BTSS, (side, side), mode="bilinear")
    return x_BTSS / 127.5 - 1


def spread(n_steps: int, n: int, device: torch.device) -> torch.Tensor:
    """`n` steps from the first to the last, evenly; the same one several times where there are fewer."""
    return torch.linspace(0, n_steps - 1, n, device=device).round().long()


def cut(x_BTSS: torch.Tensor, length: int) -> torch.Tensor:
    """Clips of `length` steps, each half over the one before, the last at the end: (B, clips, length, S, S)."""
    n_steps = x_BTSS.shape[1]
    if n_steps < length:
        x_BTSS = torch.cat([x_BTSS, x_BTSS[:, -1:].expand(-1, length - n_steps, -1, -1)], dim=1)
        n_steps = length
    n = max(1, -(-(n_steps - length) // max(1, length // 2)) + 1)
    first_N = spread(n_steps - length + 1, n, x_BTSS.device)
    return torch.stack([x_BTSS[:, i : i + length] for i in first_N.tolist()], dim=1)


class Volume(nn.Module):
    """A small VGG of 3-D convolutions: a clip (B, L, S, S) to features (B, the last of `filters`).

    A block is two convolutions of 3 x 3 x 3, each with batch normalisation and ReLU, and a maximum over two steps and 2 x 2
    pixels.
    """

    def __init__(self, filters: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for n in filters:
            for n_from in (n_in, n):
                layers += [nn.Conv3d(n_from, n, 3, padding=1, bias=False), nn.BatchNorm3d(n), nn.ReLU()]
            layers.append(nn.MaxPool3d(2, ceil_mode=True))
            n_in = n
        self.layers = nn.Sequential(*layers)

    def forward(self, x_BLSS: torch.Tensor) -> torch.Tensor:
        return self.layers(x_BLSS[:, None]).mean((2, 3, 4))
