"""Statistics over subjects: trials of one person are no independent evidence, so they are collapsed to a mean first.

Legend: S subjects, K folds, M tests. Accuracies are fractions. Every random draw comes from the given seed.
Several predictions of a trial, on other partitions or from other fit seeds, are no further evidence about people either.
Sources: percentile cluster bootstrap (Efron & Tibshirani 1993, ch. 13); sign-flip permutation test of paired differences
(Good 2005); Holm 1979; Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003);
for repeated folds Bouckaert & Frank, "Evaluating the Replicability of Significance Tests", PAKDD 2004.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from grid.results.axes import with_axes
from grid.results.metrics import THRESHOLD

N_RESAMPLES = 10_000
EXACT_UP_TO = 13  # subjects; 2^13 sign patterns are fewer than N_RESAMPLES, so they are all tried


@dataclass(frozen=True)
class Interval:
    """A mean over subjects and its interval; `low` and `high` are NaN for fewer than two subjects."""

    mean: float
    low: float
    high: float
    n: int


def mean_accuracy(predictions: pd.DataFrame, *, unit: str | Sequence[str] = "subject_name") -> pd.DataFrame:
    """Accuracy of each `unit` (rows) in each modality row (columns, first seen first); NaN where there is none.

    `predictions` needs modality, y_true, p_pain and `unit`, a column or several, and should hold one scenario and one protocol.
    A trial that was predicted on several partitions or from several fit seeds counts as the mean of these: they are no further
    trials, and a subject is one subject however often it was tested.
    """
    units = [unit] if isinstance(unit, str) else list(unit)
    order = predictions["modality"].unique().tolist()
    right = (predictions["p_pain"].to_numpy() > THRESHOLD) == (predictions["y_true"].to_numpy() == 1)
    frame = predictions[[*units, "modality"]].assign(right=right.astype(float))
    table = frame.groupby([*units, "modality"], observed=True)["right"].mean().unstack()
    table.columns = pd.Index(table.columns.tolist(), name="modality")
    if isinstance(unit, str):  # no categories
        table.index = pd.Index(table.index.tolist(), name=unit)
    return table.reindex(columns=order)


def bootstrap_interval(
    values_S: Sequence[float] | np.ndarray, *, level: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Mean of the subjects' values and its percentile interval, subjects drawn with replacement; NaN values are left out."""
    x_S = _finite(values_S)
    if len(x_S) < 2:
        return Interval(float(x_S.mean()) if len(x_S) else float("nan"), float("nan"), float("nan"), len(x_S))
    drawn = np.random.default_rng(seed).integers(0, len(x_S), size=(n_resamples, len(x_S)))
    low, high = np.quantile(x_S[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(x_S.mean()), float(low), float(high), len(x_S))


def sign_flip_test(differences_S: Sequence[float] | np.ndarray, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> float:
    """Two-sided p of "the mean paired difference is zero": exact for few subjects, by random sign patterns for more.

    NaN differences are left out; no difference at all gives NaN. The observed pattern counts among the random ones: p > 0.
    """
    d_S = _finite(differences_S)
    n = len(d_S)
    if n == 0:
        return float("nan")
    if n <= EXACT_UP_TO:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=(n_resamples, n), dtype=np.int8)
    observed = abs(d_S.sum())
    extreme = int((np.abs(signs @ d_S) >= observed - 1e-9).sum())  # sums that only rounding sets apart count as equal
    return extreme / len(signs) if n <= EXACT_UP_TO else (extreme + 1) / (n_resamples + 1)


def effect_size(differences_S: Sequence[float] | np.ndarray) -> float:
    """Cohen's d of paired values: mean difference over the SD of differences. NaN where they do not vary."""
    d_S = _finite(differences_S)
    sd = float(d_S.std(ddof=1)) if len(d_S) > 1 else 0.0
    return float(d_S.mean()) / sd if sd > 1e-12 else float("nan")


def holm(p_M: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p values, in the order given. NaN stays NaN and is not counted as a test."""
    p_M = np.asarray(p_M, dtype=np.float64)
    adjusted = np.full(p_M.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p_M))
    order = tested[np.argsort(p_M[tested], kind="stable")]
    steps = p_M[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def corrected_t_test(differences_K: Sequence[float] | np.ndarray, *, n_train: float, n_test: float) -> tuple[float, float]:
    """Nadeau & Bengio's corrected resampled t statistic over folds and its two-sided p (K - 1 degrees of freedom).

    K counts the folds of every partition; `n_train` and `n_test` are the sizes of the sides of one fold. The folds' training
    sets overlap, so the variance is taken times 1/K + n_test/n_train instead of 1/K: more partitions make the first part
    smaller, and leave the second (Bouckaert & Frank 2004).
    (NaN, NaN) for fewer than two folds or differences that do not vary. Raises ValueError for counts that are not above 0.
    """
    if not (n_train > 0 and n_test > 0):
        raise ValueError(f"n_train and n_test are {n_train} and {n_test}; expected numbers above 0")
    d_K = _finite(differences_K)
    variance = float(d_K.var(ddof=1)) if len(d_K) > 1 else 0.0
    if variance < 1e-24:
        return float("nan"), float("nan")
    t = float(d_K.mean()) / np.sqrt((1 / len(d_K) + n_test / n_train) * variance)
    return float(t), float(2 * student_t.sf(abs(t), df=len(d_K) - 1))


def compare_rows(predictions: pd.DataFrame, *, seed: int = 0, marked: Collection[str] = ()) -> pd.DataFrame:
    """Every pair of modality rows of one scenario and protocol, paired over the subjects that both rows tested.

    Columns: a, b, n_subjects, difference (b - a, mean over subjects), low, high (95 % subject bootstrap), p (sign flip),
    p_holm (over all pairs of this table), marked (one of the two is in `marked`: a row with fits that did not learn, with which
    nothing is claimed; it counts with p = 1), effect_size, t_folds, p_folds (corrected t test over the folds of all partitions
    that both rows have, accuracies averaged over fit seeds first: a seed is no further fold).
    Where only some of the folds were run, n_train is underestimated, which makes the test over folds more careful.
    """
    by_subject = mean_accuracy(predictions)
    by_fold = mean_accuracy(with_axes(predictions), unit=("repeat", "fold"))
    n_folds = predictions["fold"].nunique()
    rows = []
    for a, b in combinations(by_subject.columns, 2):
        d_S = (by_subject[b] - by_subject[a]).to_numpy()
        interval = bootstrap_interval(d_S, seed=seed)
        t, p_folds = float("nan"), float("nan")
        if n_folds > 1:
            t, p_folds = corrected_t_test((by_fold[b] - by_fold[a]).to_numpy(), n_train=n_folds - 1, n_test=1)
        rows.append(
            {
                "a": a,
                "b": b,
                "n_subjects": interval.n,
                "difference": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "p": 1.0 if a in marked or b in marked else sign_flip_test(d_S, seed=seed),
                "marked": a in marked or b in marked,
                "effect_size": effect_size(d_S),
                "t_folds": t,
                "p_folds": p_folds,
            }
        )
    columns = ["a", "b", "n_subjects", "difference", "low", "high", "p", "marked", "effect_size", "t_folds", "p_folds"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(columns.index("p") + 1, "p_holm", holm(table["p"].to_numpy(dtype=np.float64)))
    return table


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    x = np.asarray(values, dtype=np.float64).ravel()
    return x[~np.isnan(x)]
