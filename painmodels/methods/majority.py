"""Always predicts the most frequent class of the training trials, or the mean of numbers. Uses no recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from painmodels.methods.graph import AnyTarget, Estimator, Method, Recordings, estimator
from painmodels.training.loop import Fitted


@dataclass(frozen=True)
class Settings(AnyTarget):
    """Nothing to set."""


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The share of pain among the training trials; of more classes the share of each; of numbers their mean."""
    if settings.classes > 2:
        return Fitted({"share": np.bincount(labels, minlength=settings.classes) / len(labels)}, ())
    return Fitted({"share": np.array([np.mean(labels)], dtype=np.float64)}, ())


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """The same for every trial. Of equally frequent classes the first is called."""
    if settings.classes > 2:
        return np.tile(weights["share"], (recordings.n, 1))
    return np.full(recordings.n, weights["share"][0])


METHOD = Method("majority", on=(), parts=estimator(Estimator(Settings, fit, predict)), rows=("majority",))
