"""The ArgMax rule: it is pain if the maximum of the skin conductance falls late in the window.

An untrained rule of this kind is reported at 82.61 % on BioVid Part A, where the paper's LSTM on EDA has 82.69 %. Only the
moment from which on "late" counts is fitted, on training trials: the one that calls most of them right. It is blind to
the scaling of the signal, and takes any other signal as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from painmodels.methods.graph import Estimator, Method, Recordings, TwoClasses, estimator
from painmodels.training.loop import Fitted


@dataclass(frozen=True)
class Settings(TwoClasses):
    """Nothing to set."""


def _moment(recordings: Recordings) -> np.ndarray:
    """When the maximum falls, 0 (start of the window) to 1 (its end), (N,)."""
    (x_NT,) = recordings.signals.values()
    return x_NT.argmax(axis=1) / max(x_NT.shape[1] - 1, 1)


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The threshold between two moments that calls most training trials right; of equals, the earliest."""
    moment_N = _moment(recordings)
    met = np.unique(moment_N)
    between = np.concatenate([[met[0] - 1e-3], (met[1:] + met[:-1]) / 2, [met[-1] + 1e-3]])
    right = [int(((moment_N > t) == (labels == 1)).sum()) for t in between]
    spread = float(moment_N.std()) or 1.0
    return Fitted({"threshold": np.array([between[int(np.argmax(right))]]), "spread": np.array([spread])}, ())


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """Above 0.5 if the maximum falls after the threshold; further after it is surer. Not calibrated."""
    distance_N = (_moment(recordings) - weights["threshold"]) / weights["spread"]
    return 1 / (1 + np.exp(-4 * distance_N))


METHOD = Method(
    "argmax", on=("eda",), parts=estimator(Estimator(Settings, fit, predict)), rows=("eda:argmax",), any_signal=True
)
