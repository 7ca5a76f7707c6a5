"""The metrics of one cell, as pure functions of what was true and what was predicted.

`y_true_N` holds 0 (no pain) and 1 (pain), `p_pain_N` the predicted probability of pain, N the units of the cell: trials, or
frames for the `frame` row. Pain is called where p > 0.5, which is the argmax of a two-class softmax. Sensitivity is the
recall of pain, specificity that of no pain. All values are fractions; the Brier score is the mean squared error of p.
A metric that a cell does not define (such as sensitivity without a pain trial) is NaN. It is never replaced by 0 or 1, so that a
mean over folds is a mean over the folds that define it.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

METRICS = ("accuracy", "f1", "sensitivity", "specificity", "auroc", "balanced_accuracy", "brier")
THRESHOLD = 0.5


def score(y_true_N: np.ndarray, p_pain_N: np.ndarray) -> dict[str, float]:
    """Every metric of METRICS for one cell, NaN where it is undefined.

    Raises ValueError for arrays that are empty, of unequal length, not 0/1 labels or not probabilities.
    """
    y_N, p_N = _checked(y_true_N, p_pain_N)
    tn, fp, fn, tp = confusion(y_N, p_N)
    sensitivity = _ratio(tp, tp + fn)
    specificity = _ratio(tn, tn + fp)
    return {
        "accuracy": (tp + tn) / len(y_N),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auroc": auroc(y_N, p_N),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "brier": float(np.mean((p_N - y_N) ** 2)),
    }


def confusion(y_true_N: np.ndarray, p_pain_N: np.ndarray) -> tuple[int, int, int, int]:
    """How many units are (true negatives, false positives, false negatives, true positives)."""
    y_N, called_N = np.asarray(y_true_N, dtype=np.int64), np.asarray(p_pain_N) > THRESHOLD
    tn, fp, fn, tp = np.bincount(2 * y_N + called_N, minlength=4).tolist()
    return tn, fp, fn, tp


def auroc(y_true_N: np.ndarray, p_pain_N: np.ndarray) -> float:
    """Area under the ROC curve: how often a pain unit ranks above a no-pain unit, ties counting half. NaN for one class."""
    y_N = np.asarray(y_true_N) == 1
    n_pain = int(y_N.sum())
    n_rest = len(y_N) - n_pain
    if not n_pain or not n_rest:
        return float("nan")
    rank_sum = float(rankdata(p_pain_N)[y_N].sum())
    return (rank_sum - n_pain * (n_pain + 1) / 2) / (n_pain * n_rest)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _checked(y_true_N: np.ndarray, p_pain_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_N, p_N = np.asarray(y_true_N), np.asarray(p_pain_N, dtype=np.float64)
    if y_N.ndim != 1 or y_N.shape != p_N.shape or not len(y_N):
        raise ValueError(f"y_true and p_pain have shapes {y_N.shape} and {p_N.shape}; expected one equal length above 0")
    if not np.isin(y_N, (0, 1)).all():
        raise ValueError(f"y_true holds {np.unique(y_N)[:5].tolist()}; expected only 0 and 1")
    if not ((p_N >= 0) & (p_N <= 1)).all():
        bad = p_N[~((p_N >= 0) & (p_N <= 1))]
        raise ValueError(f"p_pain holds {bad[0]!r} ({len(bad)} such values); expected probabilities from 0 to 1")
    return y_N.astype(np.int64), p_N
