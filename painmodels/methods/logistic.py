"""Logistic regression on domain features (dataprep/signals/domain_features.py): the linear model that a forest has to beat.

Features are standardised by the training trials. The penalised likelihood is maximised by Newton's method, without threads
or random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dataprep.records import InputError
from painmodels.methods.graph import Estimator, Method, Recordings, TwoClasses, estimator
from painmodels.methods.tables import ON, VERSION, feature_table, filled, typical
from painmodels.training.loop import Fitted


@dataclass(frozen=True)
class Settings(TwoClasses):
    """`penalty`: weight of the squared coefficients (not the intercept), in trials; `steps`: of Newton's method at most."""

    penalty: float = 1.0
    steps: int = 50

    def __post_init__(self) -> None:
        if not (self.penalty > 0 and self.steps >= 1):
            raise InputError(f"penalty and steps: found {self.penalty} and {self.steps}, expected above 0 and at least 1")


def _design(x_NF: np.ndarray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    z_NF = (filled(x_NF, weights["typical"]) - weights["mean"]) / weights["sd"]
    return np.concatenate([np.ones((len(z_NF), 1)), z_NF], axis=1)


def _chance(design_ND: np.ndarray, beta_D: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(np.einsum("nd,d->n", design_ND, beta_D), -30, 30)))


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """Coefficients, and what features are filled and standardised with."""
    x_NF = feature_table(recordings)
    weights = {"typical": typical(x_NF)}
    whole = filled(x_NF, weights["typical"])
    weights |= {"mean": whole.mean(0), "sd": np.where(whole.std(0) > 1e-12, whole.std(0), 1.0)}
    d_ND = _design(x_NF, weights)
    beta_D = np.zeros(d_ND.shape[1])
    ridge_D = np.full(len(beta_D), settings.penalty)
    ridge_D[0] = 1e-9
    for _ in range(settings.steps):
        p_N = _chance(d_ND, beta_D)
        gradient = np.einsum("nd,n->d", d_ND, labels - p_N) - ridge_D * beta_D
        # einsum sums in one thread: its bytes do not depend on the machine's number of processors
        hessian = np.einsum("nd,n,ne->de", d_ND, p_N * (1 - p_N), d_ND) + np.diag(ridge_D + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        beta_D = beta_D + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return Fitted({**weights, "beta": beta_D}, ())


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """Probability of pain."""
    return _chance(_design(feature_table(recordings), weights), weights["beta"])


METHOD = Method(
    "logistic",
    on=ON,
    parts=estimator(Estimator(Settings, fit, predict, version=f"1.{VERSION}")),
    several=True,
    rows=("eda:logistic", "ecg:logistic"),
)
