"""Three frames as the channels of one picture, seen by a MobileNetV2: Othman, Werner, Saxen, Al-Hamadi & Walter 2019, ISPA,
181-186, "Cross-database evaluation of pain recognition from facial video", https://doi.org/10.1109/ISPA.2019.8868562

Published accuracy (BioVid A, no pain against the highest level, 87 people, video, five folds): 67.90 %, as Farmani et al. quote
it in their Table 3. They say, too, that three frames of a video are merged into one picture for a transferred model. The full
text could not be read here. A later paper of the same authors (its method as https://bio-protocol.org/exchange/minidetail?id=9616791&type=30
has it) says that the network of 2019 was reduced to its first five inverted residual blocks and had learnt ImageNet before.
Guessed: which three frames (the first, the middle and the last one of the window), that blocks are counted one by one, that the
last of them is tuned and those before it are frozen, grey levels, the mean of the map and dropout before the last layer, Adam,
learning rate, batch and epochs.

`weights` names a file of torchvision's MobileNetV2, as `python -m painmodels.weights import FILE --as mobilenet_v2 --out WEIGHTS`
writes it. Without one the network starts from random weights, all of it is trained, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from painmodels.methods.clips import shown, spread
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.registry import InputError, Pretrained, SubNetwork

BLOCKS = 17
"""Inverted residual blocks of the whole network; a convolution comes before them, another after the last one."""
MEAN_3, SD_3 = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures in [0, 1], red, green and blue: how the published weights are fed."""


@dataclass(frozen=True, kw_only=True)
class Settings(Pretrained):
    """`side` in pixels, `blocks` of the network that are kept, and how many of them are `tuned` where they come from a file."""

    epochs: int = 60
    batch: int = 32
    lr: float = 1e-3
    side: int = 112
    blocks: int = 5
    tuned: int = 1
    dropout: float = 0.2

    backbone: ClassVar[str] = "mobilenet_v2"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.blocks <= BLOCKS or not 0 <= self.tuned <= self.blocks or self.side < 1:
            found = f"{self.side}, {self.blocks}, {self.tuned}"
            raise InputError(f"side, blocks, tuned: found {found}, expected at least 1, 1 to {BLOCKS}, and at most as many")

    @property
    def layers(self) -> int:
        """Layers of the network that are kept, convolutions among them."""
        return 1 + self.blocks + (self.blocks == BLOCKS)

    @property
    def begins(self) -> tuple[str, ...]:
        return tuple(f"features.{n}." for n in range(self.layers))


class ThreeFrames(nn.Module):
    """(B, T, S, S) grey levels to logits (B, outputs)."""

    mean: torch.Tensor
    sd: torch.Tensor

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2  # 160 MB of memory, which this method alone needs

        self.side = settings.side
        self.frozen = 0 if not settings.from_file else settings.layers - settings.tuned
        layers = mobilenet_v2().features[: settings.layers]
        self.start = nn.ModuleDict({"features": layers})
        self.register_buffer("mean", torch.tensor(MEAN_3)[:, None, None], persistent=False)
        self.register_buffer("sd", torch.tensor(SD_3)[:, None, None], persistent=False)
        layers[: self.frozen].requires_grad_(False)
        width = next(m.num_features for m in reversed(list(layers.modules())) if isinstance(m, nn.BatchNorm2d))
        self.head = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, settings.outputs))

    def train(self, mode: bool = True) -> ThreeFrames:
        """Frozen layers keep the means and variances of their file, too."""
        super().train(mode)
        self.start["features"][: self.frozen].eval()  # type: ignore[index]
        return self

    def features(self, x_BTSS: torch.Tensor) -> torch.Tensor:
        three = shown(x_BTSS[:, spread(x_BTSS.shape[1], 3, x_BTSS.device)], self.side) / 2 + 0.5
        return self.start["features"]((three - self.mean) / self.sd).mean((2, 3))

    def forward(self, x_BTSS: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BTSS))


NETWORK = SubNetwork(role="mobilenet", name="mobilenet", settings=Settings, build=ThreeFrames, keeps_statistics=True)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the aligned face."""
    return (Part("mobilenet", (Input("pixels"),), trained=NETWORK),)


METHOD = Method("mobilenet", on=("video",), parts=parts, compared=("video:mobilenet",))
