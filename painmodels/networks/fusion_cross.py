"""Cross-attention fusion, an alternative to the paper's concatenation: each stream attends to the other, step by step.

Steps of the face and of the signals share one clock, so a rise of EDA can ask the face about the seconds before it. After
Tsai et al. 2019 (https://arxiv.org/abs/1906.00295), one layer, with a learned bias for each distance in time. Not in the
paper; the optimiser's values are those of `concat`.
Inputs: two streams of hidden states, H_BTH of the temporal network and of the physiological one, equally long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.registry import SubNetwork, Training

FAR = 256  # steps; distances beyond share one bias


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`width` is that of queries, keys and values, and of the first fully connected layer."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-3
    width: int = 64
    dropout: float = 0.0


class Look(nn.Module):
    """One stream attends to another: (B, T, H) and (B, T, G) to (B, width), the mean over steps of stream and answer."""

    def __init__(self, settings: Settings, size: int, other: int) -> None:
        super().__init__()
        self.own, self.query = nn.Linear(size, settings.width), nn.Linear(size, settings.width)
        self.key, self.value = nn.Linear(other, settings.width), nn.Linear(other, settings.width)
        self.bias = nn.Parameter(torch.zeros(2 * FAR + 1))

    def forward(self, x_BTH: torch.Tensor, other_BTG: torch.Tensor) -> torch.Tensor:
        step = torch.arange(x_BTH.shape[1], device=x_BTH.device)
        distance = (step[:, None] - step[None]).clamp(-FAR, FAR) + FAR
        # one head, as a dimension: ONNX knows no other shape
        query, key, value = (part[:, None] for part in (self.query(x_BTH), self.key(other_BTG), self.value(other_BTG)))
        answer = functional.scaled_dot_product_attention(query, key, value, attn_mask=self.bias[distance])[:, 0]
        return (self.own(x_BTH) + answer).mean(1)


class CrossAttentionFusion(nn.Module):
    """Two streams (B, T, H) to logits (B, outputs); `features` gives the hidden layer (B, width)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        one, two = input_sizes
        self.one_asks_two, self.two_asks_one = Look(settings, one, two), Look(settings, two, one)
        self.hidden = nn.Linear(2 * settings.width, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.width, settings.outputs)

    def features(self, x_BTH: torch.Tensor, y_BTG: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.one_asks_two(x_BTH, y_BTG), self.two_asks_one(y_BTG, x_BTH)], dim=-1)
        return functional.relu(self.hidden(both))

    def forward(self, x_BTH: torch.Tensor, y_BTG: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.features(x_BTH, y_BTG)))


NETWORK = SubNetwork(
    role="fusion", name="cross-attention", settings=Settings, build=CrossAttentionFusion, sequences=True, version=2
)
