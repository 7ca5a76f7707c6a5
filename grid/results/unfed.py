"""Rows that the data cannot feed: no cell of theirs is possible in a scenario, such as rows with video where nothing was filmed.

They are named once with their reason, and are no gap in the grid. A row of which some cells are possible is none of them.
"""

from __future__ import annotations

import pandas as pd

KEY = ["modality", "scenario", "protocol"]
IMPOSSIBLE = "impossible"


def unfed(scores: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """KEY and `reason` of every such row, in the order of `scores` (a line a cell). `failures` is the table of failures.csv.

    A row of which any cell has another status, or none, is not in it. Reasons that differ between cells are joined.
    """
    cells = scores.groupby(KEY, observed=True, sort=False).size()
    impossible = failures[failures["status"].astype(str) == IMPOSSIBLE]
    grouped = impossible.astype(dict.fromkeys(KEY, str)).groupby(KEY, sort=False)
    found = {group: (len(part), "; ".join(dict.fromkeys(part["reason"].astype(str)))) for group, part in grouped}
    rows = []
    for group, n in cells.items():
        key = tuple(map(str, group)) if isinstance(group, tuple) else (str(group),)
        count, reason = found.get(key, (0, ""))
        if count >= n:
            rows.append((*key, reason))
    return pd.DataFrame(rows, columns=[*KEY, "reason"])


def without(scores: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The cells of all other rows."""
    names = set(rows[KEY].itertuples(index=False, name=None))
    mine = [tuple(map(str, key)) in names for key in scores[KEY].itertuples(index=False, name=None)]
    return scores[~pd.Series(mine, index=scores.index, dtype=bool)].reset_index(drop=True)


def sentences(rows: pd.DataFrame) -> list[str]:
    """A sentence a reason: which rows are not there, and in which scenarios."""
    return [_sentence(str(reason), part) for reason, part in rows.groupby("reason", sort=False)]


def _sentence(reason: str, part: pd.DataFrame) -> str:
    by_scenarios: dict[str, list[str]] = {}
    for row, mine in part.groupby("modality", sort=False, observed=True):
        by_scenarios.setdefault(", ".join(dict.fromkeys(mine["scenario"].astype(str))), []).append(str(row))
    told = "; ".join(f"{', '.join(names)} in {where}" for where, names in by_scenarios.items())
    return f"Not in this grid, since {reason}: {told}."
