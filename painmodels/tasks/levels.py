"""Scores that tasks of levels and of numbers share: how far a prediction is from what was true, and how well they agree."""

from __future__ import annotations

import numpy as np

from painmodels.tasks.ranks import ranks
from painmodels.tasks.task import Metric


def agreement_metrics(unit: str, reach: float) -> tuple[Metric, ...]:
    """Metrics of levels or numbers whose error is at most `reach`, in `unit`; the mean absolute error is the main one."""
    return (
        Metric("mae", "mean absolute error", high=reach, higher_is_better=False, unit=unit),
        Metric("rmse", "root mean squared error", high=reach, higher_is_better=False, unit=unit),
        Metric("icc", "ICC(3,1)", low=-1.0, unit=""),
        Metric("spearman", "Spearman's correlation", low=-1.0, unit=""),
    )


def agreement(y_N: np.ndarray, called_N: np.ndarray, expected_N: np.ndarray) -> dict[str, float]:
    """Mean absolute error of what was called (a median), root mean squared error of what was expected (a mean), and the ICC(3,1)
    and Spearman's correlation of the latter with what was true."""
    return {
        "mae": float(np.abs(y_N - called_N).mean()),
        "rmse": float(np.sqrt(np.mean((y_N - expected_N) ** 2))),
        "icc": icc(y_N, expected_N),
        "spearman": spearman(y_N, expected_N),
    }


def icc(y_N: np.ndarray, p_N: np.ndarray) -> float:
    """ICC(3,1) of two raters, what was true and what was predicted: consistency of single ratings in a two-way mixed model
    (Shrout & Fleiss 1979). NaN for fewer than two trials, and where nothing varies."""
    x_N2 = np.stack([y_N, p_N], axis=1).astype(np.float64)
    n, k = x_N2.shape
    if n < 2:
        return float("nan")
    grand, rows_N, raters_2 = x_N2.mean(), x_N2.mean(axis=1), x_N2.mean(axis=0)
    between = k * float(((rows_N - grand) ** 2).sum()) / (n - 1)
    rest = x_N2 - rows_N[:, None] - raters_2 + grand
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    whole = between + (k - 1) * error
    return (between - error) / whole if whole > 1e-12 else float("nan")


def spearman(y_N: np.ndarray, p_N: np.ndarray) -> float:
    """Spearman's rank correlation, ties by their mean rank. NaN where one of the two does not vary."""
    if len(y_N) < 2 or np.ptp(y_N) == 0 or np.ptp(p_N) == 0:
        return float("nan")
    return float(np.corrcoef(ranks(y_N), ranks(p_N))[0, 1])


def quadratic_kappa(table_KK: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968) of a table of true (rows) and called (columns) levels. NaN where chance
    would make no error: one level alone is there."""
    k, n = len(table_KK), table_KK.sum()
    weight_KK = (np.arange(k)[:, None] - np.arange(k)) ** 2
    by_chance = float((weight_KK * np.outer(table_KK.sum(1), table_KK.sum(0))).sum()) / n
    return 1 - float((weight_KK * table_KK).sum()) / by_chance if by_chance > 0 else float("nan")
