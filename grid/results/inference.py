"""What can be said of a mean over held-out people: its standard error, interval and p value.

What is estimated: the expected value (accuracy, say), on a new person, of the method trained on as many people as a fold
trains.

Held-out people are not independent: each pair of people in two folds meets twice, once with either as a part of the other's
training side. Where there is nothing to learn this up to doubles the variance of the mean. Nadeau and Bengio's correction, with
the person as the unit, allows for it: s²/S becomes s² (1/S + 1/n), S people tested, n people in a training side, s² the variance
over people. Every test of "nothing" (a row against chance, a difference of two rows) takes all of it.

The interval of a row that lies clearly above chance takes less. What is added comes from what other people's chance luck does to
a person's decisions, and that loses its weight once the training side points the classifier: by 1/(1 + r), r the power of what
was learned over that of the luck in it (derived in grid/DECISIONS.md, section 7). One partition does not show r; a floor of it
follows from how far the row lies above chance, if luck has as many directions as there are people who train.

Several partitions show more: how far a person's value moves with the training side. K folds move it by w² from partition to
partition, which makes K w² of what training on others adds; that is taken where it is less.

Where one person is left out at a time, every pair of people meets, and differences of two rows have heavier tails than t: half as
much again is added. `tests/benchmarks/coverage.py` holds all this against simulated grids, beside what it replaced (bootstrap,
t test over folds).

Legend: S people, R partitions. Sources: Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003);
Bengio & Grandvalet, "No Unbiased Estimator of the Variance of K-Fold Cross-Validation", JMLR 5 (2004).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit  # of scipy.stats, which takes a second to load: t.cdf and t.ppf

from grid.results.axes import with_axes

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
SIMULATED_PEOPLE = 20
"""The fewest people of the simulated grids: how often claims about fewer are false is not known, so none is made."""
FEW_PEOPLE = f"how often claims and intervals of fewer than {SIMULATED_PEOPLE} people are wrong is not known"
WIDER = ", by the wider standard error that holds where nothing was learned; the interval of a row above chance takes less"
"""After a p value against chance that stands beside an interval."""
ONE_OUT = 1.5
"""How many times the correction differences of two rows take where one person is left out at a time."""


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` people with its corrected standard error; `se`, `low`, `high` and `p` are NaN where it cannot be told.

    It cannot be told for fewer than two people, for values that are the same in everybody, and where the number of people in
    the training sides is not known. `null_se` is the standard error if there is nothing: p and `detectable` are of it.
    `exact`: the interval of values that are all at an end of their range (`of_everybody`).
    """

    mean: float
    se: float
    n: int
    null_se: float
    exact: tuple[float, float] | None = None

    def _half(self, level: float = LEVEL) -> float:
        return float(stdtrit(max(self.n - 1, 1), (1 + level) / 2)) * self.se

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.exact[0] if self.exact else self.mean - self._half()

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.exact[1] if self.exact else self.mean + self._half()

    @property
    def p(self) -> float:
        """Two-sided p of "the mean is zero"."""
        return float(2 * stdtr(self.n - 1, -abs(self.mean) / self.null_se)) if self.se > 0 else float("nan")

    def detectable(self, tests: int = 1) -> float:
        """The difference from zero that would be claimed with a probability of 80 % if `tests` share the error of 5 %."""
        if not self.se > 0:
            return float("nan")
        freedom = self.n - 1
        return float(stdtrit(freedom, 1 - ALPHA / (2 * max(tests, 1))) + stdtrit(freedom, POWER)) * self.null_se


def of_everybody(value: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a mean between 0 and 1 where each of `n` people has the same value, 0 or 1; else NaN.

    Clopper and Pearson's for n people of whom all are at that end: so many of a new sample are too with at least 0.025^(1/n),
    and the mean cannot lie further from the end than if all others were at the other one.
    """
    bound = ((1 - LEVEL) / 2) ** (1 / n) if n else float("nan")
    return (bound, 1.0) if value == 1 else (0.0, 1 - bound) if value == 0 else (float("nan"), float("nan"))


def chance_of_everybody(chance: float, n: int, n_train: float) -> float:
    """Two-sided p of `n` people who are all decided rightly where `chance` is expected: n as far as shared training leaves it."""
    return min(1.0, 2 * chance ** (1 / (1 / n + 1 / n_train))) if n and n_train >= 1 else float("nan")


def corrected(x_SR: np.ndarray, *, n_train: float, learned: Any = None) -> tuple[Any, Any, Any]:
    """Mean, standard error, and standard error if there is nothing, of values of people (last axis but one) on partitions (last).

    `learned`: what `learned` says of the row; None for differences of two rows. Leading axes stay. A person missing from a
    partition is NaN there. The standard errors are NaN where they cannot be told (see Estimate).
    """
    x_S = np.nanmean(x_SR, axis=-1)
    n = x_S.shape[-1]
    mean = x_S.mean(axis=-1)
    if n < 2 or not n_train >= 1:
        unknown = np.full(np.shape(mean), np.nan)
        return mean, unknown, unknown
    plain = x_S.var(axis=-1, ddof=1) / n
    one = np.nanmean(np.nanvar(x_SR, axis=-2, ddof=1), axis=-1) / n_train  # as from one partition
    if learned is None and n - 1.5 < n_train < n:
        one = one * ONE_OUT
    seen: Any = np.inf  # from several partitions
    if np.isfinite(x_SR).sum(axis=-1).max() > 1 and n_train < n:
        seen = np.nanmean(_variance(x_SR), axis=-1) / (n - n_train)  # K w² / S with K = S / (S - n_train)
    known = plain > 1e-18 / n
    null = np.where(known, np.sqrt(plain + np.minimum(one, seen)), np.nan)
    if learned is None:
        return mean, null, null
    return mean, np.where(known, np.sqrt(plain + np.minimum(one / (1 + learned), seen)), np.nan), null


def learned(x_SR: np.ndarray, *, n_train: float, chance: float) -> Any:
    """A floor of the power of what a row learned over that of luck, from accuracies: 0 where it is not clearly above chance.

    The accuracy of a linear rule lies z standard errors above chance with z² = (2/pi) n r² / (1 + r), n the directions of luck.
    z is taken at the lower end of the interval that allows for everything.
    """
    mean, _, null = corrected(x_SR, n_train=n_train, learned=0.0)
    x_S = np.nanmean(x_SR, axis=-1)
    n = x_S.shape[-1]
    if n < 2 or not n_train >= 1:
        return np.zeros(np.shape(mean))
    sure = np.nan_to_num(np.maximum(mean - chance - stdtrit(n - 1, (1 + LEVEL) / 2) * null, 0))
    q = np.pi / 2 * sure**2 / np.maximum(x_S.var(axis=-1, ddof=1) / n, 1e-300) / n_train
    return (q + np.sqrt(q * q + 4 * q)) / 2


def _variance(x_SR: np.ndarray) -> np.ndarray:
    """Variance of each person over partitions, NaN for one who is in one alone."""
    there = np.isfinite(x_SR).sum(axis=-1)
    squares = np.nansum((x_SR - np.nanmean(x_SR, axis=-1, keepdims=True)) ** 2, axis=-1)
    return np.where(there > 1, squares / np.maximum(there - 1, 1), np.nan)


def estimate(
    values: pd.DataFrame | pd.Series, *, n_train: float, chance: float | None = None, learned_r: float | None = None
) -> Estimate:
    """The mean of a table with a row a person and a column a partition (a Series: one partition); people without one left out.

    Accuracies of a row need `chance`, other values of a row `learned_r`, what `learned` says of it; differences of rows neither.
    """
    x_SR = _array(values)
    if not len(x_SR):
        return Estimate(float("nan"), float("nan"), 0, float("nan"))
    if chance is not None:
        learned_r = float(learned(x_SR, n_train=n_train, chance=chance))
    mean, se, null_se = corrected(x_SR, n_train=n_train, learned=learned_r)
    return Estimate(float(mean), float(se), len(x_SR), float(null_se))


def _array(values: pd.DataFrame | pd.Series) -> np.ndarray:
    x_SR = values.to_numpy(dtype=np.float64)
    x_SR = x_SR[:, None] if isinstance(values, pd.Series) else x_SR
    return x_SR[~np.isnan(x_SR).all(axis=1)]


class People(int):
    """How many people a scenario has. `train`: how many of them train in a fold; NaN: all but those that the fold tests."""

    train: float

    def __new__(cls, n: int, train: float = float("nan")) -> People:
        made = super().__new__(cls, n)
        made.train = train
        return made


def people_of(facts: Mapping[str, Any], protocols: Iterable[str]) -> People | None:
    """The people of a scenario by its part of run.json, for predictions of these protocols; None where it does not say them."""
    n, train = facts.get("subjects"), facts.get("training_people") or {}
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        return None
    known = [train[name] for name in protocols if name in train]
    return People(n, float(np.mean(known)) if known else float("nan"))


def training_people(predictions: pd.DataFrame, people: int | None = None) -> float:
    """How many people a training side holds on average: all but those that its fold tests; NaN where that cannot be told.

    `people` is how many the scenario has; without it, those that are tested in any fold. Where a person is tested in several
    folds of a partition (the protocol `sample`), every side holds everybody. What `people` says of the sides goes before.
    """
    if isinstance(people, People) and people.train >= 1:
        return people.train
    folds = with_axes(predictions)[["repeat", "fold", "subject_name"]].drop_duplicates()
    n = max(people or 0, folds["subject_name"].nunique())
    if folds.duplicated(["repeat", "subject_name"]).any():
        return float(n)
    trains = n - folds.groupby(["repeat", "fold"]).size().mean()
    return float(trains) if trains >= 1 else float("nan")
