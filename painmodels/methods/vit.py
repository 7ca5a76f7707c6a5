"""A vision transformer on a few frames of the face and a transformer over them: what Farmani et al. leave to future work.

No figure is published. The sizes of a frame's transformer follow Dosovitskiy et al. 2021 (https://arxiv.org/abs/2010.11929):
patches of 16 x 16 pixels, a learned place for each patch, a token whose last state stands for the picture; made smaller,
since a data set of pain has thousands of trials and not millions. Guessed: eight frames, 64 channels, two layers over patches
and one over frames, four heads, dropout, learning rate, batch and epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from painmodels.methods.clips import shown, spread
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import Encoder
from painmodels.registry import InputError, SubNetwork, Training


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`frames` of a trial, `side` in pixels and the side of a `patch`; `width` of a token, a multiple of `heads`; `layers` of the
    transformer over patches and `over_time`; `inner` layer of an encoder."""

    epochs: int = 60
    batch: int = 32
    lr: float = 5e-4
    frames: int = 8
    side: int = 112
    patch: int = 16
    width: int = 64
    heads: int = 4
    layers: int = 2
    over_time: int = 1
    inner: int = 128
    dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads or self.side % self.patch:
            found = f"{self.width}, {self.heads}, {self.side}, {self.patch}"
            raise InputError(f"width, heads, side, patch: found {found}, expected multiples: width of heads, side of patch")


class Transformer(nn.Module):
    """Tokens (B, T, F) to the state of a token of its own, (B, F)."""

    def __init__(self, n_tokens: int, layers: int, sizes: tuple[int, int, int, float]) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, sizes[0]))
        self.places = nn.Parameter(torch.randn(1, n_tokens, sizes[0]) * 0.02)
        self.layers = nn.Sequential(*(Encoder(*sizes) for _ in range(layers)))

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        own = self.token.expand(len(x_BTF), -1, -1)
        return self.layers(torch.cat([own, x_BTF + self.places], dim=1))[:, 0]


class FramesTransformer(nn.Module):
    """(B, T, S, S) grey levels to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.frames, self.side, self.patch = settings.frames, settings.side, settings.patch
        sizes = (settings.width, settings.heads, settings.inner, settings.dropout)
        self.enter = nn.Linear(settings.patch**2, settings.width)
        self.over_patches = Transformer((settings.side // settings.patch) ** 2, settings.layers, sizes)
        self.over_time = Transformer(settings.frames, settings.over_time, sizes)
        self.head = nn.Linear(settings.width, settings.outputs)

    def features(self, x_BTSS: torch.Tensor) -> torch.Tensor:
        x_BTSS = shown(x_BTSS[:, spread(x_BTSS.shape[1], self.frames, x_BTSS.device)], self.side)
        rows = x_BTSS.flatten(0, 1).unfold(1, self.patch, self.patch).unfold(2, self.patch, self.patch)
        of_frames = self.over_patches(self.enter(rows.flatten(3).flatten(1, 2)))
        return self.over_time(of_frames.unflatten(0, x_BTSS.shape[:2]))

    def forward(self, x_BTSS: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTSS))


NETWORK = SubNetwork(role="vit", name="vit", settings=Settings, build=FramesTransformer)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the aligned face."""
    return (Part("vit", (Input("pixels"),), trained=NETWORK),)


METHOD = Method("vit", on=("video",), parts=parts, compared=("video:vit",))
