"""What each held-out person adds to a metric: a value a person, whose mean over people is the metric's mean over folds.

So the mean of Table 2 and its interval are about one number, and so are differences of rows. A metric of a fold is a function of
the people it tests; a person's share in it is linearised (the influence function with the person as the unit, for AUROC the
placements of DeLong et al. 1988, summed over a person's trials as Obuchowski 1997 does). Folds count alike, however many people
they test; within a fold every trial (of the class in question) counts alike.

Legend: N trials or frames of a fold, S people of a fold, K folds. u_N: what each adds; its sum over a fold is 0.
Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988); Obuchowski, "Nonparametric Analysis of Clustered ROC Curve Data",
Biometrics 53 (1997).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from grid.results.axes import AXES, with_axes
from painmodels.tasks import PAIN, Task
from painmodels.tasks.binary import THRESHOLD
from painmodels.tasks.ranks import ranks

Shares = tuple[float, np.ndarray]
"""A metric of a fold (NaN where it is not defined), and u_N."""
_Fold = tuple[np.ndarray, float, np.ndarray]
"""The people of a fold (numbers), the metric, and the share of each: S times the sum of u over their trials."""


def _accuracy(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    return _mean((p_N > THRESHOLD) == (y_N == 1))


def _sensitivity(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    return _mean(p_N > THRESHOLD, y_N == 1)


def _specificity(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    return _mean(p_N <= THRESHOLD, y_N == 0)


def _balanced_accuracy(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    (pain, u_N), (rest, v_N) = _sensitivity(y_N, p_N), _specificity(y_N, p_N)
    return (pain + rest) / 2, (u_N + v_N) / 2


def _f1(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    called, pain = p_N > THRESHOLD, y_N == 1
    hits_N, all_N = 2.0 * (called & pain), called.astype(float) + pain
    if not all_N.any():
        return float("nan"), np.zeros(len(y_N))
    value = hits_N.sum() / all_N.sum()
    return float(value), (hits_N - value * all_N) / all_N.sum()


def _auroc(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    pain = y_N == 1
    n_pain, n_rest = int(pain.sum()), int((~pain).sum())
    u_N = np.zeros(len(y_N))
    if not n_pain or not n_rest:
        return float("nan"), u_N
    ranks_N = ranks(p_N)
    u_N[pain] = (ranks_N[pain] - ranks(p_N[pain])) / n_rest  # how much of the other class ranks below
    u_N[~pain] = 1 - (ranks_N[~pain] - ranks(p_N[~pain])) / n_pain
    value = float(u_N[pain].mean())
    u_N -= value
    return value, u_N / np.where(pain, n_pain, n_rest)


def _brier(y_N: np.ndarray, p_N: np.ndarray) -> Shares:
    return _mean((p_N - y_N) ** 2)


METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], Shares]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "auroc": _auroc,
    "balanced_accuracy": _balanced_accuracy,
    "brier": _brier,
}


def of_metrics(predictions: pd.DataFrame, names: Collection[str], task: Task = PAIN) -> dict[str, pd.DataFrame]:
    """Values of each named metric: a row a person, a column a partition; fit seeds are averaged, NaN where none is defined."""
    table = with_axes(predictions)
    y_N, p_NC = task.of(table)
    people_N = table["subject_name"].astype(str).to_numpy()
    return _of(table, {name: _shares_of(name, task, y_N, p_NC, people_N) for name in names})


def _shares_of(
    name: str, task: Task, y_N: np.ndarray, p_NC: np.ndarray, people_N: np.ndarray
) -> Callable[[np.ndarray], Shares]:
    """How a metric of a fold depends on its people: linearised where that is written down, else by leaving each out."""
    if name == task.main.name:
        merit_N = task.merit(y_N, p_NC)
        return lambda at: _mean(merit_N[at])
    if task.kind == PAIN.kind and name in METRICS:
        return lambda at: METRICS[name](y_N[at], p_NC[at, 0])
    return lambda at: _left_out(name, task, y_N[at], p_NC[at], people_N[at])


def _left_out(name: str, task: Task, y_N: np.ndarray, p_NC: np.ndarray, people_N: np.ndarray) -> Shares:
    whole, u_N = task.score(y_N, p_NC)[name], np.zeros(len(y_N))
    people, at_N, count_S = np.unique(people_N, return_inverse=True, return_counts=True)
    if len(people) > 1 and not np.isnan(whole):
        without_S = np.array([task.score(y_N[at_N != s], p_NC[at_N != s])[name] for s in range(len(people))])
        without_S = np.where(np.isnan(without_S), whole, without_S)
        share_S = (len(people) - 1) * (without_S.mean() - without_S) / len(people)
        u_N = (share_S / count_S)[at_N]
    return whole, u_N


def of_column(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The same of the mean of a column over trials, such as the difference of two rows."""
    x_N = table[column].to_numpy(dtype=np.float64)
    return _of(table, {column: lambda at: _mean(x_N[at])})[column]


def _of(table: pd.DataFrame, metrics: Mapping[str, Callable[[np.ndarray], Shares]]) -> dict[str, pd.DataFrame]:
    table = with_axes(table)
    if table.empty:
        return {name: pd.DataFrame(dtype=float) for name in metrics}
    code_N, names = pd.factorize(table["subject_name"].astype(str), sort=True)
    runs: dict[str, dict[tuple[int, int], list[_Fold]]] = {name: {} for name in metrics}
    cells: dict[Any, Any] = dict(table.groupby(list(AXES), observed=True).indices)
    for (_, repeat, seed), at in cells.items():
        people, where_N = np.unique(code_N[at], return_inverse=True)
        for name, shares in metrics.items():
            value, u_N = shares(at)
            if not np.isnan(value):
                share_S = len(people) * np.bincount(where_N, weights=u_N)
                runs[name].setdefault((repeat, seed), []).append((people, value, share_S))
    return {name: _table(found, names) for name, found in runs.items()}


def _table(runs: Mapping[tuple[int, int], list[_Fold]], names: pd.Index) -> pd.DataFrame:
    """A row a person, a column a partition, from the folds of each partition and fit seed."""
    repeats = sorted({repeat for repeat, _ in runs})
    total_SR, count_SR = (np.zeros((len(names), len(repeats))) for _ in range(2))
    for (repeat, _), folds in runs.items():
        tested = np.unique(np.concatenate([people for people, _, _ in folds]))
        mean, column = float(np.mean([value for _, value, _ in folds])), repeats.index(repeat)
        total_SR[tested, column] += mean
        count_SR[tested, column] += 1
        for people, value, share_S in folds:
            total_SR[people, column] += len(tested) / (len(folds) * len(people)) * (value + share_S - mean)
    values_SR = np.where(count_SR > 0, total_SR / np.maximum(count_SR, 1), np.nan)
    there_S = np.flatnonzero(~np.isnan(values_SR).all(axis=1))
    return pd.DataFrame(values_SR[there_S], index=pd.Index(names[there_S], name="subject_name"), columns=repeats)


def _mean(x_N: np.ndarray, among: np.ndarray | None = None) -> Shares:
    """Of the trials `among`, by default of all."""
    among = np.ones(len(x_N), bool) if among is None else among
    n = int(among.sum())
    if not n:
        return float("nan"), np.zeros(len(x_N))
    value = float(x_N[among].mean())
    return value, np.where(among, x_N - value, 0.0) / n
