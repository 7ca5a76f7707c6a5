"""A multilayer perceptron on domain features: Gouverneur et al. 2021, Sensors 21:4838, https://doi.org/10.3390/s21144838.

Published on BioVid A, EDA features, leave-one-subject-out; the accuracy could not be read here. Sizes and training are those
of the perceptron in the authors' later code (https://github.com/gouverneurp/XAIinPainResearch, read, not copied): dropout
0.2 before each layer, dense layers of 250 and 100 with ReLU, Adam, 1e-4, batches of 32, 100 epochs. That it is so in the
publication of 2021, whose perceptron takes features: guessed. Guessed: standardised features by the training trials (there:
without scaling, or scaled over the person), gaps filled with the median of the training trials (there: 0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from painmodels.methods.graph import Estimator, Method, Recordings
from painmodels.methods.layers import dense
from painmodels.methods.tables import ON, VERSION, feature_table, on_features, standardisation, standardised
from painmodels.registry import SubNetwork, Training
from painmodels.training.loop import Fitted, outputs
from painmodels.training.loop import fit as train


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`dense`: widths of the layers; `dropout` before each of them and before the output."""

    epochs: int = 100
    batch: int = 32
    lr: float = 1e-4
    dense: tuple[int, ...] = (250, 100)
    dropout: float = 0.2


class Perceptron(nn.Module):
    """(B, F) to logits (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_features,) = input_sizes
        sizes = (n_features, *settings.dense)
        self.way = nn.Sequential(nn.Dropout(settings.dropout), dense(sizes, settings.dropout))
        self.head = nn.Linear(sizes[-1], settings.outputs)

    def features(self, x_BF: torch.Tensor) -> torch.Tensor:
        return self.way(x_BF)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x_BF))


NETWORK = SubNetwork(role="mlp", name="mlp", settings=Settings, build=Perceptron)


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The network's weights, and what features are filled and standardised with."""
    x_NF = feature_table(recordings)
    scale = standardisation(x_NF)
    fitted = train(NETWORK, settings, [standardised(x_NF, scale).astype(np.float32)], labels, seed=seed, device=device)
    return Fitted({**fitted.weights, **scale}, fitted.curve, fitted.learning)


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """What the task predicts."""
    x_NF = standardised(feature_table(recordings), weights).astype(np.float32)
    own = {name: value for name, value in weights.items() if name not in ("typical", "mean", "sd")}
    return outputs(NETWORK, settings, own, [x_NF], what="prediction", device=device)


METHOD = Method(
    "mlp",
    on=ON,
    parts=on_features(Estimator(Settings, fit, predict, version=f"1.{VERSION}")),
    several=True,
    any_signal=True,
    compared=("eda:mlp",),
)
