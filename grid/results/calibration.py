"""Whether predicted probabilities are what they say: the expected calibration error (ECE), the calibration line, net benefit.

Legend: N predictions, S people, B bins of the predicted probability.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from grid.results.axes import with_axes
from painmodels.tasks import PAIN, Task

N_BINS = 10
LEAST = 1e-6
"""Probabilities are cut here before their log odds are taken."""


def bins_of(expected_N: np.ndarray, task: Task = PAIN) -> np.ndarray:
    """Which of N_BINS equal bins an expectation (a probability of pain) falls into."""
    low, high = task.expects.span
    return np.clip(((expected_N - low) / (high - low) * N_BINS).astype(int), 0, N_BINS - 1)


def ece_of_people(predictions: pd.DataFrame, task: Task = PAIN) -> pd.DataFrame:
    """Jackknife pseudo-values of the ECE, a row a person, a column a partition; folds and fit seeds are pooled.

    Their mean over people is the ECE without most of its bias: the distance within a bin is never negative, so chance alone makes
    it larger than it is (half of that is left where a row is well calibrated). With one person it is the ECE itself.
    """
    found = {repeat: _pseudo_values(part, task) for repeat, part in with_axes(predictions).groupby("repeat")}
    return pd.DataFrame(found)


def _pseudo_values(part: pd.DataFrame, task: Task) -> pd.Series:
    y_N, p_NC = task.of(part)
    p_N = task.expected(p_NC)
    people, at_N = np.unique(part["subject_name"].astype(str), return_inverse=True)
    n = len(people)
    gap_SB = np.zeros((n, N_BINS))
    np.add.at(gap_SB, (at_N, bins_of(p_N, task)), p_N - y_N)
    count_S = np.bincount(at_N)
    whole = np.abs(gap_SB.sum(axis=0)).sum() / len(p_N)
    if n == 1:
        return pd.Series([whole], index=people)
    without_S = np.abs(gap_SB.sum(axis=0) - gap_SB).sum(axis=1) / (len(p_N) - count_S)
    return pd.Series(n * whole - (n - 1) * without_S, index=people)


def line_of_people(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The calibration line of probabilities: values of people (rows) on partitions (columns) whose means are its two numbers.

    `slope`: of the log odds of pain on the predicted log odds; 1 is right, below 1 the probabilities are too extreme.
    `intercept`: the log odds that have to be added to every prediction (calibration in the large); 0 is right.
    Folds and fit seeds are pooled; a person's value is linearised (the influence of their trials on the logistic regression).
    """
    found: dict[str, dict[int, pd.Series]] = {"slope": {}, "intercept": {}}
    table = with_axes(predictions)
    for repeat in sorted(table["repeat"].unique().tolist()):
        part = table[table["repeat"] == repeat]
        y_N = part["y_true"].to_numpy(dtype=np.float64)
        p_N = np.clip(part[PAIN.columns[0]].to_numpy(dtype=np.float64), LEAST, 1 - LEAST)
        logit_N = np.log(p_N / (1 - p_N))
        people, at_N = np.unique(part["subject_name"].astype(str), return_inverse=True)
        both = np.column_stack([np.ones(len(y_N)), logit_N])
        for name, x_NF, offset_N, which in (("slope", both, 0.0 * y_N, 1), ("intercept", both[:, :1], logit_N, 0)):
            beta_F, share_NF = _logistic(x_NF, y_N, offset_N)
            share_S = len(people) * np.bincount(at_N, weights=share_NF[:, which])
            found[name][repeat] = pd.Series(beta_F[which] + share_S, index=people)
    return {name: pd.DataFrame(values) for name, values in found.items()}


def _logistic(x_NF: np.ndarray, y_N: np.ndarray, offset_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood by Newton's method, and what each row adds to the result; NaN where it has no maximum."""
    beta_F = np.zeros(x_NF.shape[1])
    for _ in range(50):
        p_N = expit(x_NF @ beta_F + offset_N)
        hessian = (x_NF * (p_N * (1 - p_N))[:, None]).T @ x_NF
        if not np.isfinite(hessian).all() or np.linalg.cond(hessian) > 1e12:
            return np.full_like(beta_F, np.nan), np.full_like(x_NF, np.nan)
        share_NF = (x_NF * (y_N - p_N)[:, None]) @ np.linalg.inv(hessian)
        step_F = share_NF.sum(axis=0)
        beta_F = beta_F + step_F
        if np.abs(step_F).max() < 1e-9:
            return beta_F, share_NF
    return np.full_like(beta_F, np.nan), np.full_like(x_NF, np.nan)


def net_benefit(predictions: pd.DataFrame, thresholds_T: np.ndarray) -> np.ndarray:
    """Right alarms a trial minus false ones weighed by the odds of the threshold (Vickers & Elkin 2006), at each threshold."""
    y_N, p_N = predictions["y_true"].to_numpy() == 1, predictions[PAIN.columns[0]].to_numpy(dtype=np.float64)
    called_TN = p_N[None, :] > thresholds_T[:, None]
    hits_T, false_T = (called_TN & y_N).mean(axis=1), (called_TN & ~y_N).mean(axis=1)
    return hits_T - false_T * thresholds_T / (1 - thresholds_T)
