"""The fusion of the two streams: [V, S] → fully connected + ReLU → fully connected (+ softmax, in the loss).

Paper, section 3.3. Not in the paper: width, epochs, batch and learning rate.
Inputs: V_BH from the attention and S_BH from the physiological LSTM (any number of vectors are concatenated).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.registry import SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`width` is that of the first fully connected layer."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-3
    width: int = 64


class ConcatFusion(nn.Module):
    """Vectors (B, H) to logits (B, outputs); `features` gives the hidden layer (B, width)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.hidden = nn.Linear(sum(input_sizes), settings.width)
        self.head = nn.Linear(settings.width, settings.outputs)

    def features(self, *streams_BH: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.hidden(torch.cat(streams_BH, dim=-1)))

    def forward(self, *streams_BH: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(*streams_BH))


NETWORK = SubNetwork(role="fusion", name="concat", settings=Settings, build=ConcatFusion)
