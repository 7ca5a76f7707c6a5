"""The axes along which a row of the grid is repeated, folds, partitions and fit seeds, and the spread along each apart.

A row is trained and tested on each fold of each partition (`repeat`) from each fit seed (`seed`). Tables written before there
were partitions and seeds lack these two columns: theirs is partition 0 and seed 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

AXES = ("fold", "repeat", "seed")


def with_axes(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns `repeat` and `seed` after `fold`: 0 where they are missing."""
    for after, name in (("fold", "repeat"), ("repeat", "seed")):
        if name not in table:
            table = table.copy(deep=False)
            table.insert(list(table.columns).index(after) + 1, name, 0)
    return table


def spread(cells: pd.DataFrame, metric: str) -> dict[str, float]:
    """Of the cells of one row (columns AXES and `metric`): the mean of all, and three SDs in the metric's unit.

    `sd`: over folds, within a partition and a seed. `sd_repeats`: over partitions, of the mean over folds, within a seed.
    `sd_seeds`: over fit seeds, of the mean over folds, within a partition. Each is pooled over what it lies within (ddof 1), and
    NaN where there is one alone. Cells that do not define the metric are left out.
    """
    known = with_axes(cells).dropna(subset=[metric])
    run = [known[name] for name in ("repeat", "seed")]
    of_runs = known[metric].astype(float).groupby(run)
    means = of_runs.mean().reset_index()
    return {
        "mean": float(known[metric].astype(float).mean()),
        "sd": _pooled(of_runs.agg(["var", "count"])),
        "sd_repeats": _pooled(means.groupby("seed")[metric].agg(["var", "count"])),
        "sd_seeds": _pooled(means.groupby("repeat")[metric].agg(["var", "count"])),
    }


def _pooled(groups: pd.DataFrame) -> float:
    """One SD of groups with variances (ddof 1) and counts, weighted by their degrees of freedom; NaN where these are 0."""
    freedom = groups["count"].to_numpy() - 1
    several = freedom > 0
    if not several.any():
        return float("nan")
    return float(np.sqrt(np.average(groups["var"].to_numpy()[several], weights=freedom[several])))
