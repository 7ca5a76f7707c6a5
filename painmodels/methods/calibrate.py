"""Recalibration: what is made of a row's probabilities of pain so that they are what they say.

A calibration is fitted on predictions of people that the fits which gave them had not seen, all of the training side (inner
folds). `platt`: the log odds, times a slope and plus an intercept, by maximum likelihood with Platt's softened targets; the slope
is not below 0, so that no ranking is turned over. `isotonic`: the monotone steps with the least squared error.

Sources: Platt, "Probabilistic Outputs for Support Vector Machines" (1999); Zadrozny & Elkan, "Transforming Classifier Scores into
Accurate Multiclass Probability Estimates", KDD 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from painmodels.methods.graph import Estimator, Recordings, TwoClasses
from painmodels.training.loop import Fitted

LEAST = 1e-6
"""Probabilities are cut here before their log odds are taken."""
NEWTON_STEPS = 100
ROLE, PREDICTION = "calibration", "prediction"
UNCALIBRATED = "uncalibrated"
"""The stored array of what was predicted before a recalibration."""


@dataclass(frozen=True)
class Settings(TwoClasses):
    """Nothing to set."""


def given(p: np.ndarray) -> Recordings:
    """Probabilities of any shape as a calibration takes them: rounded as they are stored, so that every use gives the same."""
    return Recordings(n=len(p), rate_hz=0.0, signals={}, made={PREDICTION: np.asarray(p, dtype=np.float32)})


def _log_odds(recordings: Recordings) -> np.ndarray:
    return logit(np.clip(np.asarray(recordings.made[PREDICTION], dtype=np.float64), LEAST, 1 - LEAST))


def fit_platt(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """Slope and intercept of the log odds."""
    x_N, n_pain = _log_odds(recordings), int(np.sum(labels))
    high, low = (n_pain + 1) / (n_pain + 2), 1 / (len(labels) - n_pain + 2)
    target_N = np.where(np.asarray(labels) == 1, high, low)
    scale = float(x_N.std()) or 1.0

    x_N2 = np.stack([x_N / scale, np.ones(len(x_N))], axis=1)

    def loss(beta_2: np.ndarray) -> float:
        z_N = x_N2 @ beta_2
        return float(np.mean(np.logaddexp(0, z_N) - target_N * z_N))

    flat_2 = beta_2 = np.array([0.0, float(logit(target_N.mean()))])
    for _ in range(NEWTON_STEPS):  # the loss is convex, and has a minimum, since no target is 0 or 1
        p_N = expit(x_N2 @ beta_2)
        slope_2 = x_N2.T @ (p_N - target_N) / len(x_N)
        curve_22 = (x_N2 * (p_N * (1 - p_N))[:, None]).T @ x_N2 / len(x_N) + 1e-12 * np.eye(2)
        step_2, size = np.linalg.solve(curve_22, slope_2), 1.0
        while loss(beta_2 - size * step_2) > loss(beta_2) and size > 1e-6:
            size /= 2
        beta_2 = beta_2 - size * step_2
        if np.abs(size * step_2).max() < 1e-10:
            break
    slope, intercept = beta_2 if beta_2[0] > 0 else flat_2  # never turned round: then all probabilities become the same
    return Fitted({"slope": np.array([slope / scale]), "intercept": np.array([intercept])}, ())


def predict_platt(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """Recalibrated probabilities of pain, of the shape given."""
    return expit(weights["slope"][0] * _log_odds(recordings) + weights["intercept"][0])


def fit_isotonic(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The corners of the steps: predicted probability, recalibrated one."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(labels) + 2)  # nothing is ever certain
    steps = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    steps.fit(np.asarray(recordings.made[PREDICTION], dtype=np.float64), np.asarray(labels, dtype=np.float64))
    return Fitted({"predicted": steps.X_thresholds_, "recalibrated": steps.y_thresholds_}, ())


def predict_isotonic(
    weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str
) -> np.ndarray:
    """Recalibrated probabilities of pain, of the shape given; straight between two corners."""
    p = np.asarray(recordings.made[PREDICTION], dtype=np.float64)
    return np.interp(p, weights["predicted"], weights["recalibrated"])


CALIBRATORS: Mapping[str, Estimator] = {
    "platt": Estimator(Settings, fit_platt, predict_platt),
    "isotonic": Estimator(Settings, fit_isotonic, predict_isotonic),
}
