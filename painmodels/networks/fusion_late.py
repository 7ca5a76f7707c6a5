"""Late (score) fusion beside the paper's concatenation: each stream gives its own probabilities, and these are averaged.

p = Σ_s w_s softmax(W_s x_s + b_s), w = softmax of a learned value per stream. The streams meet in their scores alone, so one
stream can outvote but never reinterpret the other. In tasks whose outputs are no logits of a softmax, the
outputs are averaged. Not in the paper; the optimiser's values are those of `concat`.
Inputs: V_BH from the attention and S_BH from the physiological LSTM (any number of vectors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.registry import SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """No setting of its own."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-3


class LateFusion(nn.Module):
    """Vectors (B, H) to the logarithm of the fused probabilities (B, outputs); `features` gives the streams', (B, S, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(size, settings.outputs) for size in input_sizes)
        self.weight = nn.Parameter(torch.zeros(len(input_sizes)))
        self.softmax = settings.softmax

    def features(self, *streams_BH: torch.Tensor) -> torch.Tensor:
        outputs = [head(x) for head, x in zip(self.heads, streams_BH, strict=True)]
        return torch.stack([y.log_softmax(-1) for y in outputs] if self.softmax else outputs, dim=1)

    def forward(self, *streams_BH: torch.Tensor) -> torch.Tensor:
        if not self.softmax:
            return (self.features(*streams_BH) * self.weight.softmax(-1)[:, None]).sum(dim=1)
        # logarithms of probabilities are logits whose softmax gives the probabilities back
        return torch.logsumexp(self.features(*streams_BH) + self.weight.log_softmax(-1)[:, None], dim=1)


NETWORK = SubNetwork(role="fusion", name="late", settings=Settings, build=LateFusion)
