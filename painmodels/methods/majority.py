"""Always predicts the more frequent class of the training trials. Uses no recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from painmodels.methods.graph import Estimator, Method, Recordings, TwoClasses, estimator
from painmodels.training.loop import Fitted


@dataclass(frozen=True)
class Settings(TwoClasses):
    """Nothing to set."""


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The share of pain among the training trials."""
    return Fitted({"share": np.array([np.mean(labels)], dtype=np.float64)}, ())


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """The same probability for every trial. Equally frequent classes give no pain."""
    return np.full(recordings.n, weights["share"][0])


METHOD = Method("majority", on=(), parts=estimator(Estimator(Settings, fit, predict)), rows=("majority",))
