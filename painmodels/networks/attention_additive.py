"""The attention sub-network: a weighted mean of the temporal hidden states.

Paper, section 3.3: a_t = score(H_t), α = softmax(a), V = Σ_t α_t H_t. The score follows Xie et al. 2021
(Wireless Communications and Mobile Computing) "with different activation function", which the paper does not name:
here vᵀ act(W h + b). Not in the paper: activation, width, epochs, batch, learning rate (here those of the temporal
LSTM), and the head it is trained with (linear on V).
Input h_BTH, and optionally mask_BT, 0 where a trial has no frame of its own (a clip of 137 frames): such a step gets
the weight 0. Features: V_BH, which feed the fusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.registry import InputError, SubNetwork, Training

ACTIVATIONS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "identity": nn.Identity}


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`width` is that of the scoring layer, `activation` one of `ACTIVATIONS`."""

    epochs: int = 30
    batch: int = 64
    lr: float = 1e-4
    width: int = 64
    activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise InputError(f"activation: found {self.activation!r}, expected one of {', '.join(ACTIVATIONS)}")


class AdditiveAttention(nn.Module):
    """(B, T, H) to logits (B, outputs); `features` gives (B, H), `weights` gives α (B, T), which sums to one over T."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        n_hidden = input_sizes[0]
        self.score = nn.Sequential(
            nn.Linear(n_hidden, settings.width), ACTIVATIONS[settings.activation](), nn.Linear(settings.width, 1, bias=False)
        )
        self.head = nn.Linear(n_hidden, settings.outputs)

    def weights(self, h_BTH: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
        scores_BT = self.score(h_BTH).squeeze(-1)
        if mask_BT is not None:
            scores_BT = scores_BT.masked_fill(mask_BT == 0, -torch.inf)
        return scores_BT.softmax(-1)

    def features(self, h_BTH: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
        return torch.einsum("bt,bth->bh", self.weights(h_BTH, mask_BT), h_BTH)

    def forward(self, h_BTH: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
        return self.head(self.features(h_BTH, mask_BT))


NETWORK = SubNetwork(role="attention", name="additive", settings=Settings, build=AdditiveAttention)
