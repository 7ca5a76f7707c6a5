"""Logistic regression on domain features (dataprep/signals/domain_features.py): the linear model that a forest has to beat.

Features are standardised by the training trials. The penalised likelihood is maximised by Newton's method, without threads
or random numbers: of two classes, or of more (coefficients of each class against the first). Numbers have a ridge regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dataprep.records import InputError
from painmodels.methods.graph import AnyTarget, Estimator, Method, Recordings
from painmodels.methods.tables import ON, VERSION, feature_table, on_features, standardisation, standardised
from painmodels.training.loop import Fitted


@dataclass(frozen=True)
class Settings(AnyTarget):
    """`penalty`: weight of the squared coefficients (not the intercept), in trials; `steps`: of Newton's method at most."""

    penalty: float = 1.0
    steps: int = 50

    def __post_init__(self) -> None:
        if not (self.penalty > 0 and self.steps >= 1):
            raise InputError(f"penalty and steps: found {self.penalty} and {self.steps}, expected above 0 and at least 1")


def _design(x_NF: np.ndarray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ones((len(x_NF), 1)), standardised(x_NF, weights)], axis=1)


def _chance(design_ND: np.ndarray, beta_D: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(np.einsum("nd,d->n", design_ND, beta_D), -30, 30)))


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """Coefficients, and what features are filled and standardised with."""
    x_NF = feature_table(recordings)
    weights = standardisation(x_NF)
    d_ND = _design(x_NF, weights)
    ridge_D = np.full(d_ND.shape[1], settings.penalty)
    ridge_D[0] = 1e-9
    solve = {0: _of_numbers, 2: _of_two}.get(settings.classes, _of_several)
    return Fitted({**weights, "beta": solve(d_ND, np.asarray(labels), ridge_D, settings)}, ())


def _of_numbers(d_ND: np.ndarray, y_N: np.ndarray, ridge_D: np.ndarray, settings: Settings) -> np.ndarray:
    return np.linalg.solve(np.einsum("nd,ne->de", d_ND, d_ND) + np.diag(ridge_D), np.einsum("nd,n->d", d_ND, y_N))


def _of_several(d_ND: np.ndarray, y_N: np.ndarray, ridge_D: np.ndarray, settings: Settings) -> np.ndarray:
    """Coefficients (D, K - 1) of each class but the first."""
    n_features, n_more = d_ND.shape[1], settings.classes - 1
    beta_DK = np.zeros((n_features, n_more))
    true_NK = np.eye(settings.classes)[y_N][:, 1:]
    for _ in range(settings.steps):
        p_NK = _chances(d_ND, beta_DK)[:, 1:]
        gradient_DK = np.einsum("nd,nk->dk", d_ND, true_NK - p_NK) - ridge_D[:, None] * beta_DK
        hessian = np.zeros((n_more, n_features, n_more, n_features))
        for k in range(n_more):
            for j in range(n_more):
                weight_N = p_NK[:, k] * ((k == j) - p_NK[:, j])
                hessian[k, :, j] = np.einsum("nd,n,ne->de", d_ND, weight_N, d_ND)
            hessian[k, :, k] += np.diag(ridge_D + 1e-9)
        size = n_more * n_features
        step_DK = np.linalg.solve(hessian.reshape(size, size), gradient_DK.T.ravel()).reshape(n_more, n_features).T
        beta_DK = beta_DK + step_DK * min(1.0, 5.0 / max(float(np.abs(step_DK).max()), 1e-12))
        if np.abs(step_DK).max() < 1e-8:
            break
    return beta_DK


def _chances(design_ND: np.ndarray, beta_DK: np.ndarray) -> np.ndarray:
    """The probability of each class, (N, K)."""
    logit_NK = np.einsum("nd,dk->nk", design_ND, beta_DK)
    logit_NK = np.concatenate([np.zeros((len(logit_NK), 1)), logit_NK], axis=1)
    odds_NK = np.exp(logit_NK - logit_NK.max(axis=1, keepdims=True))
    return odds_NK / odds_NK.sum(axis=1, keepdims=True)


def _of_two(d_ND: np.ndarray, labels: np.ndarray, ridge_D: np.ndarray, settings: Settings) -> np.ndarray:
    beta_D = np.zeros(d_ND.shape[1])
    for _ in range(settings.steps):
        p_N = _chance(d_ND, beta_D)
        gradient = np.einsum("nd,n->d", d_ND, labels - p_N) - ridge_D * beta_D
        # einsum sums in one thread: its bytes do not depend on the machine's number of processors
        hessian = np.einsum("nd,n,ne->de", d_ND, p_N * (1 - p_N), d_ND) + np.diag(ridge_D + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        beta_D = beta_D + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return beta_D


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """Probability of pain; of more classes that of each; the number."""
    return of_features(weights, feature_table(recordings), settings, device)


def of_features(weights: Mapping[str, np.ndarray], x_NF: np.ndarray, settings: Settings, device: str) -> np.ndarray:
    """The same of a table of features."""
    design_ND = _design(x_NF, weights)
    if not settings.classes:
        return np.einsum("nd,d->n", design_ND, weights["beta"])
    return (_chance if settings.classes == 2 else _chances)(design_ND, weights["beta"])


METHOD = Method(
    "logistic",
    on=ON,
    parts=on_features(
        Estimator(
            Settings,
            fit,
            predict,
            version=f"1.{VERSION}",
            features=feature_table,
            of_features=of_features,
            standardised=True,
        )
    ),
    several=True,
    any_signal=True,
    rows=("eda:logistic", "ecg:logistic"),
)
