"""Shared layers and a head per person: Lopez-Martinez & Picard 2017, ACIIW, https://doi.org/10.1109/ACIIW.2017.8272611.

Published accuracy (BioVid A, no pain against the highest level, 87 people, ten folds, as Farmani et al. quote it): ECG 62.50
%, EDA 79.98 %, EDA and ECG 82.75 %. The publication's tasks are persons: its tested trials seem to be of persons it was
trained on. Here persons of the tested trials are new (except with the protocol `sample`, which keeps a person's own head).

Published idea: domain features, layers that all persons share, an output per person. The full text could not be read here.
Guessed: widths, dropout, learning rate, batch, epochs, weight decay, standardised features, and all that concerns new
persons: `heads` are of persons or of clusters of persons who are alike at rest; a new person gets the mean over all heads or
the one whose persons' resting features are nearest. Resting features of a trial are mean, SD and slope of each signal in its
first second, before heat can have an effect, whatever its class: no label of the tested person is used, and no other trial
of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dataprep.records import InputError
from painmodels.methods.graph import Estimator, Method, Recordings, estimator
from painmodels.methods.layers import dense
from painmodels.methods.tables import VERSION, feature_table, standardisation, standardised
from painmodels.registry import SubNetwork, Training
from painmodels.training.loop import Fitted, outputs
from painmodels.training.loop import fit as train

REST_S = 1.0
OWN = ("typical", "mean", "sd", "rest_typical", "rest_mean", "rest_sd", "centres", "persons", "head_of")
"""Arrays beside the network's weights. `centres` (K, R): resting features of each head, standardised; `persons` (P, bytes):
names, and `head_of` (P,): their heads."""


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`shared`: widths of the layers of all; `heads`: "person" or "cluster", of which there are `clusters`; `unseen`: "mean" of
    all heads, or the "nearest" by resting features."""

    epochs: int = 100
    batch: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-4
    shared: tuple[int, ...] = (64, 32)
    dropout: float = 0.2
    heads: str = "person"
    clusters: int = 4
    unseen: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("heads", ("person", "cluster")), ("unseen", ("mean", "nearest"))):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: found {getattr(self, name)!r}, expected {' or '.join(known)}")
        if self.clusters < 1:
            raise InputError(f"clusters: found {self.clusters}, expected at least 1")


class MultiTask(nn.Module):
    """Features (B, F) and the weights of K heads (B, K), which sum to 1, to (B, outputs): log-probabilities, or numbers."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        n_features, n_heads = input_sizes
        sizes = (n_features, *settings.shared)
        self.shared, self.outputs, self.softmax = dense(sizes, settings.dropout), settings.outputs, settings.softmax
        self.heads = nn.Linear(sizes[-1], n_heads * settings.outputs)

    def features(self, x_BF: torch.Tensor, weight_BK: torch.Tensor) -> torch.Tensor:
        return self.shared(x_BF)

    def forward(self, x_BF: torch.Tensor, weight_BK: torch.Tensor) -> torch.Tensor:
        each_BKO = self.heads(self.shared(x_BF)).unflatten(-1, (-1, self.outputs))
        if not self.softmax:
            return (each_BKO * weight_BK[..., None]).sum(1)
        return torch.logsumexp(functional.log_softmax(each_BKO, dim=-1) + weight_BK.clamp(min=1e-30).log()[..., None], dim=1)


NETWORK = SubNetwork(role="multitask", name="multitask", settings=Settings, build=MultiTask)


def resting_features(recordings: Recordings) -> np.ndarray:
    """Mean, SD and slope per second of each signal in the first second of each trial, (N, 3 per signal)."""
    n = max(2, round(REST_S * recordings.rate_hz))
    columns = []
    for x_NT in recordings.signals.values():
        rest_NT = np.asarray(x_NT[:, :n], dtype=np.float64)
        seconds_T = (np.arange(rest_NT.shape[1]) - (rest_NT.shape[1] - 1) / 2) / recordings.rate_hz
        slope_N = np.einsum("nt,t->n", rest_NT, seconds_T) / max(float((seconds_T**2).sum()), 1e-12)
        columns += [rest_NT.mean(1), rest_NT.std(1), slope_N]
    return np.stack(columns, axis=1)


def grouped(rest_NR: np.ndarray, subjects: Sequence[str], settings: Settings, seed: int) -> dict[str, np.ndarray]:
    """Which head is whose, from standardised resting features of the training trials: `centres`, `persons`, `head_of`."""
    persons = sorted(set(subjects))
    names = np.array(subjects)
    mean_PR = np.stack([rest_NR[names == person].mean(0) for person in persons])
    if settings.heads == "person":
        head_of, centres = np.arange(len(persons)), mean_PR
    else:
        from scipy.cluster.vq import kmeans2

        n = min(settings.clusters, len(persons))
        centres, found = kmeans2(mean_PR, n, minit="++", rng=np.random.default_rng(seed % 2**32))
        used, head_of = np.unique(found, return_inverse=True)  # a cluster may end up without persons
        centres = centres[used]
    return {"centres": centres, "persons": _coded(persons), "head_of": head_of.astype(np.int64)}


def _coded(persons: Sequence[str]) -> np.ndarray:
    """Names as bytes of equal length, (P, length) uint8: the store keeps numbers."""
    coded = [name.encode() for name in persons]
    length = max(map(len, coded))
    return np.array([list(name.ljust(length, b"\0")) for name in coded], dtype=np.uint8)


def weights_of_heads(
    weights: Mapping[str, np.ndarray], rest_NR: np.ndarray, subjects: Sequence[str], settings: Settings
) -> np.ndarray:
    """How much each head counts for each trial, float32 (N, K): a known person's own head, else what `unseen` says."""
    known = {
        bytes(row).rstrip(b"\0").decode(): int(k) for row, k in zip(weights["persons"], weights["head_of"], strict=True)
    }
    n, n_heads = len(rest_NR), len(weights["centres"])
    out_NK = np.full((n, n_heads), 1 / n_heads, dtype=np.float32)
    if settings.unseen == "nearest":
        nearest_N = ((rest_NR[:, None] - weights["centres"]) ** 2).sum(-1).argmin(1)
        out_NK = np.eye(n_heads, dtype=np.float32)[nearest_N]
    for i, subject in enumerate(subjects):
        if subject in known:
            out_NK[i] = np.eye(n_heads, dtype=np.float32)[known[subject]]
    return out_NK


def standardised_rest(recordings: Recordings, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Resting features (N, R), standardised by mean and SD of the training side."""
    return (resting_features(recordings) - weights["rest_mean"]) / weights["rest_sd"]


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The network's weights, the scaling of features, and whose each head is."""
    x_NF, rest_NR = feature_table(recordings), resting_features(recordings)
    own = standardisation(x_NF) | {f"rest_{name}": value for name, value in standardisation(rest_NR).items()}
    own |= grouped(standardised_rest(recordings, own), recordings.subjects, settings, seed)
    weight_NK = weights_of_heads(own, standardised_rest(recordings, own), recordings.subjects, settings)
    inputs = [standardised(x_NF, own).astype(np.float32), weight_NK]
    fitted = train(NETWORK, settings, inputs, labels, seed=seed, device=device)
    return Fitted({**fitted.weights, **own}, fitted.curve, fitted.learning)


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """What the task predicts."""
    inputs = [
        standardised(feature_table(recordings), weights).astype(np.float32),
        weights_of_heads(weights, standardised_rest(recordings, weights), recordings.subjects, settings),
    ]
    network = {name: value for name, value in weights.items() if name not in OWN}
    return outputs(NETWORK, settings, network, inputs, what="prediction", device=device)


METHOD = Method(
    "multitask",
    on=("eda", "ecg"),
    parts=estimator(Estimator(Settings, fit, predict, version=f"1.{VERSION}"), subject=True),
    several=True,
    any_signal=True,
    compared=("eda:multitask", "ecg:multitask", "eda+ecg:multitask"),
)
