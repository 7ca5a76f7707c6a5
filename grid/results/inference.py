"""What can be said of a mean over held-out people: its standard error, interval and p value.

What is estimated: the expected value (accuracy, say), on a new person, of the method trained on as many people as a fold
trains.

Held-out people are not independent: each pair of people in two folds meets twice, once with either as a part of the other's
training side. Where there is nothing to learn this doubles the variance of the mean. Nadeau and Bengio's correction, with the
person as the unit, allows for it: s²/S becomes s² (1/S + 1/n), S people tested, n people in a training side, s² the variance over
people. From one partition nobody can tell how much of it is needed (Bengio & Grandvalet 2004), so all of it is taken. Several
partitions show how far a person's value moves with the training side: K folds move it by w² from partition to partition, which
makes K w² of what training on others adds; that is taken where it is less than what one partition would add.
`tests/benchmarks/coverage.py` holds both against simulated grids, beside what they replaced (bootstrap, t test over folds).

Legend: S people, R partitions. Sources: Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003);
Bengio & Grandvalet, "No Unbiased Estimator of the Variance of K-Fold Cross-Validation", JMLR 5 (2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from grid.results.axes import with_axes

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` people with its corrected standard error; `se`, `low`, `high` and `p` are NaN where it cannot be told.

    It cannot be told for fewer than two people, for values that are the same in everybody, and where the number of people in
    the training sides is not known.
    """

    mean: float
    se: float
    n: int

    def _half(self, level: float = LEVEL) -> float:
        return float(student_t.ppf((1 + level) / 2, max(self.n - 1, 1))) * self.se

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.mean - self._half()

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.mean + self._half()

    @property
    def p(self) -> float:
        """Two-sided p of "the mean is zero"."""
        return float(2 * student_t.sf(abs(self.mean) / self.se, self.n - 1)) if self.se > 0 else float("nan")

    def detectable(self, tests: int = 1) -> float:
        """The difference from zero that would be claimed with a probability of 80 % if `tests` share the error of 5 %."""
        if not self.se > 0:
            return float("nan")
        freedom = self.n - 1
        return float(student_t.ppf(1 - ALPHA / (2 * max(tests, 1)), freedom) + student_t.ppf(POWER, freedom)) * self.se


def corrected(x_SR: np.ndarray, *, n_train: float) -> tuple[Any, Any]:
    """Mean and corrected standard error of values of people (last axis but one) on partitions (last axis); leading axes stay.

    A person missing from a partition is NaN there. The standard error is NaN where it cannot be told (see Estimate).
    """
    x_S = np.nanmean(x_SR, axis=-1)
    n = x_S.shape[-1]
    mean = x_S.mean(axis=-1)
    if n < 2 or not n_train >= 1:
        return mean, np.full(np.shape(mean), np.nan)
    variance = x_S.var(axis=-1, ddof=1)
    added = np.nanmean(np.nanvar(x_SR, axis=-2, ddof=1), axis=-1) / n_train  # as from one partition
    several = np.isfinite(x_SR).sum(axis=-1).max() > 1
    if several and n_train < n:
        moved = np.nanmean(_variance(x_SR), axis=-1)  # over partitions, mean over people
        added = np.minimum(added, moved / (n - n_train))  # K w² / S with K = S / (S - n_train)
    se = np.sqrt(variance / n + added)
    return mean, np.where(variance > 1e-18, se, np.nan)


def _variance(x_SR: np.ndarray) -> np.ndarray:
    """Variance of each person over partitions, NaN for one who is in one alone."""
    there = np.isfinite(x_SR).sum(axis=-1)
    squares = np.nansum((x_SR - np.nanmean(x_SR, axis=-1, keepdims=True)) ** 2, axis=-1)
    return np.where(there > 1, squares / np.maximum(there - 1, 1), np.nan)


def estimate(values: pd.DataFrame | pd.Series, *, n_train: float) -> Estimate:
    """The mean of a table with a row a person and a column a partition (a Series: one partition); people without one left out."""
    table = values.to_frame() if isinstance(values, pd.Series) else values
    x_SR = table.dropna(how="all").to_numpy(dtype=np.float64)
    if not len(x_SR):
        return Estimate(float("nan"), float("nan"), 0)
    mean, se = corrected(x_SR, n_train=n_train)
    return Estimate(float(mean), float(se), len(x_SR))


def training_people(predictions: pd.DataFrame, people: int | None = None) -> float:
    """How many people a training side holds on average: all but those that its fold tests; NaN where that cannot be told.

    `people` is how many the scenario has; without it, those that are tested in any fold. Where a person is tested in several
    folds of a partition (the protocol `sample`), every side holds everybody.
    """
    folds = with_axes(predictions)[["repeat", "fold", "subject_name"]].drop_duplicates()
    n = max(people or 0, folds["subject_name"].nunique())
    if folds.duplicated(["repeat", "subject_name"]).any():
        return float(n)
    trains = n - folds.groupby(["repeat", "fold"]).size().mean()
    return float(trains) if trains >= 1 else float("nan")
