"""Figures of hyperparameter searches. Drawn in the report's own style, so that they follow the page's light or dark theme.

`rows` is a table of trials: search (0, 1, … one an outer fold), trial, state, score (the best it reported), winner (bool) and
a column `param.NAME` per hyperparameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dashboards.figures import INK, RULE, SERIES, STYLE

BLUE, ORANGE = SERIES[0][0], SERIES[1][0]


def history_figure(title: str, rows: pd.DataFrame) -> Figure:
    """Best score so far over the trials of each search (a line each); dots are trials, hollow where they were stopped early."""
    with matplotlib.rc_context(STYLE):
        fig, ax = _axes(f"{title}: best so far")
        for _, mine in rows.sort_values("trial").groupby("search"):
            ax.step(mine["trial"], mine["score"].cummax(), where="post", color=BLUE, lw=1.1, alpha=0.7)
        for state, fill in (("complete", ORANGE), ("pruned", "none")):
            mine = rows[rows["state"] == state]
            ax.plot(mine["trial"], mine["score"], "o", ms=3, mfc=fill, mec=ORANGE, mew=0.8, ls="", label=state)
        ax.set(xlabel="trial", ylabel="inner score")
        ax.xaxis.get_major_locator().set_params(integer=True)
        fig.legend(loc="outside lower center", ncols=2)
    return fig


def importance_figure(title: str, shares: pd.DataFrame) -> Figure:
    """Mean importance of each hyperparameter over the searches (rows of `shares`); a dot is one search."""
    with matplotlib.rc_context(STYLE):
        fig, ax = _axes(f"{title}: importance")
        order = shares.mean().sort_values().index
        ax.barh(range(len(order)), shares[order].mean(), height=0.55, color=BLUE, alpha=0.6)
        for i, name in enumerate(order):
            ax.plot(shares[name], [i] * len(shares), "o", ms=3, color=ORANGE, alpha=0.8)
        ax.set_yticks(range(len(order)), list(order))
        ax.set(xlim=(0, 1.02), xlabel="share of the variance of complete trials' scores")
    return fig


def parallel_figure(title: str, rows: pd.DataFrame, logs: Sequence[str]) -> Figure:
    """Parallel coordinates: an axis per hyperparameter and one for the score, a line per trial, winners in orange.

    Parameters in `logs` have a logarithmic axis; choices stand at equal distances.
    """
    names = [c.removeprefix("param.") for c in rows.columns if c.startswith("param.")]
    with matplotlib.rc_context(STYLE):
        fig, ax = _axes(f"{title}: all trials")
        places = []
        for i, name in enumerate([*names, "score"]):
            values = rows["score" if name == "score" else f"param.{name}"]
            heights, ticks = _scaled(values, log=name in logs)
            places.append(heights)
            ax.axvline(i, color=RULE, lw=0.8)
            for height, text in ticks:
                ax.annotate(text, (i, height), xytext=(3, 0), textcoords="offset points", fontsize=6.5, va="center")
        heights_PN = np.array(places)
        for wins, style in ((False, (BLUE, 0.7, 0.35)), (True, (ORANGE, 1.5, 0.95))):
            colour, width, alpha = style
            for j in np.flatnonzero(rows["winner"].to_numpy() == wins):
                ax.plot(range(len(places)), heights_PN[:, j], color=colour, lw=width, alpha=alpha)
        ax.set_xticks(range(len(places)), [*names, "score"])
        ax.set(yticks=[], ylim=(-0.06, 1.06), xlim=(-0.15, len(places) - 0.6))
        ax.spines["left"].set_visible(False)
    return fig


def _scaled(values: pd.Series, *, log: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights from 0 to 1, and the labels of the axis with their heights."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        kinds = sorted(set(map(str, values)))
        step = 1 / max(1, len(kinds) - 1)
        return np.array([kinds.index(str(v)) * step for v in values]), [(i * step, kind) for i, kind in enumerate(kinds)]
    x = np.log(values.to_numpy(float)) if log else values.to_numpy(float)
    low, high = x.min(), x.max()
    if low == high:
        return np.full(len(x), 0.5), [(0.5, f"{values.iloc[0]:.3g}")]
    return (x - low) / (high - low), [(0.0, f"{values.min():.3g}"), (1.0, f"{values.max():.3g}")]


def _axes(title: str) -> tuple[Figure, Any]:
    fig = Figure(figsize=(3.9, 2.5), layout="constrained")
    ax = fig.subplots()
    ax.set_title(title)
    ax.tick_params(colors=INK)
    return fig, ax
