"""Whether predicted probabilities are what they say: the expected calibration error (ECE).

Legend: N predictions, S people, B bins of the predicted probability.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from grid.results.axes import with_axes
from painmodels.tasks import PAIN, Task

N_BINS = 10


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
