"""Whether the classes of the training sides run against those of the tested people, as where one person is left out at a time.

A row that learns nothing but which class is more frequent names it: where that class is the rarer one among the tested people,
the row falls below chance. Counted from the predictions: in a grid with all folds, a fold's training side is what the others
test.
"""

from __future__ import annotations

import pandas as pd

from dashboards.results import Panel
from dataprep.rounding import rounded
from grid.results.axes import with_axes
from painmodels.tasks import Task

UNKNOWN = "Why is not known."
BY_PEOPLE = ("subject", "loso")
"""Protocols under which everybody outside a fold trains in it."""


def against_the_tested(panel: Panel, row: str, folds: object) -> str:
    """What the run's own trials say of a row below chance: its training sides' balance, or that the reason is not known.

    `folds`: how many a partition has in all; the training sides are known where all of them were tested.
    """
    part = with_axes(panel.of_row(row))
    whole = bool((part.groupby(["repeat", "seed"])["fold"].nunique() == folds).all())
    if panel.protocol not in BY_PEOPLE or not whole or not panel.task.n_classes:
        return UNKNOWN
    sides = _sides(part, panel.task)
    if sides.empty:
        even = "In every fold the training side has as many trials of one class as of another, so its balance is no reason."
        return f"{even} {UNKNOWN}"
    usual, hits, n = 100 * sides["usual"].mean(), 100 * sides["hits"].mean(), len(sides)
    rarer = int(sides["rarer"].sum())
    told = (
        f"Naming the class that is more frequent in the training side would be right in {rounded(hits, 1)}\u00a0% of trials "
        f"(mean of the {n} folds in which one is; in {rarer} of them it is the rarer one of the tested people), and "
        f"{row} named it in {rounded(usual, 1)}\u00a0% of its trials"
    )
    if rarer > n / 2 and hits < 50 <= usual:
        return f"{told}: their balance explains a value of {rounded(hits, 1)}\u00a0%."
    return f"{told}: that does not explain the value. {UNKNOWN}"


def _sides(part: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Of each fold whose training side has one most frequent class: how often the row names it (`usual`), how often that would be
    right (`hits`), and whether it is rarer among the tested than another (`rarer`)."""
    rows = []
    for _, mine in part.groupby(["repeat", "seed"]):
        units = mine.drop_duplicates(["fold", "sample_name"])
        for fold, tested in mine.groupby("fold"):
            counts = units.loc[units["fold"] != fold, "y_true"].value_counts()
            if len(counts) < 2 or counts.iloc[0] == counts.iloc[1]:
                continue
            usual = counts.index[0]
            y_N, p_NC = task.of(tested)
            here = pd.Series(y_N).value_counts()
            named = float(task.merit(0 * y_N + usual, p_NC).mean())
            rows.append((named, float((y_N == usual).mean()), here.get(usual, 0) < here.max()))
    return pd.DataFrame(rows, columns=["usual", "hits", "rarer"])
