"""The axes along which a row of the grid is repeated, folds, partitions and fit seeds, and the spread along each apart.

A row is trained and tested on each fold of each partition (`repeat`) from each fit seed (`seed`). Tables written before there
were partitions and seeds lack these two columns: theirs is partition 0 and seed 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

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
    known = with_axes(cells)
    value_N = known[metric].to_numpy(dtype=np.float64, na_value=np.nan)
    runs: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for repeat, seed, value in zip(known["repeat"].tolist(), known["seed"].tolist(), value_N.tolist(), strict=True):
        if not np.isnan(value):
            runs[repeat, seed].append(value)
    of_seed: defaultdict[int, list[float]] = defaultdict(list)
    of_repeat: defaultdict[int, list[float]] = defaultdict(list)
    for (repeat, seed), values in runs.items():
        of_seed[seed].append(float(np.mean(values)))
        of_repeat[repeat].append(float(np.mean(values)))
    return {
        "mean": float(np.mean(value_N[~np.isnan(value_N)])) if runs else float("nan"),
        "sd": _pooled(runs.values()),
        "sd_repeats": _pooled(of_seed.values()),
        "sd_seeds": _pooled(of_repeat.values()),
    }


def _pooled(groups: Iterable[list[float]]) -> float:
    """One SD of groups of values, their variances (ddof 1) weighted by the degrees of freedom; NaN where these are 0."""
    several = [np.array(values) for values in groups if len(values) > 1]
    if not several:
        return float("nan")
    variances = [float(np.var(x_N - x_N[0], ddof=1)) for x_N in several]  # of equal values it is 0, not almost 0
    return float(np.sqrt(np.average(variances, weights=[len(x_N) - 1 for x_N in several])))
