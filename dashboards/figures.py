"""The figures of a report, drawn with matplotlib and returned as SVG text that follows the page's light or dark theme.

Series legend: a series is a panel (a scenario under a protocol), told apart by colour and by marker; the palette is Okabe and
Ito's, which colour-blind readers can tell apart. Text in the SVG stays text. All accuracies drawn are in percent.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from dataprep.rounding import rounded, rounded_number
from grid.results.axes import AXES, with_axes
from grid.results.calibration import bins_of
from grid.results.inference import Estimate
from grid.results.selection import symbols
from grid.results.tables import in_order
from painmodels.tasks import PAIN, Task
from painmodels.tasks.task import Metric

SERIES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
INK, RULE = "#121314", "#c9cacb"  # these and the colours of SERIES are replaced in the page by the theme's own
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "text.parse_math": False,  # names come from outside: a dollar sign is a dollar sign
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
}
LINES: Any = ("-", (0, (5, 1.5)))
FPR = np.linspace(0, 1, 101)


def marked(fig: Figure, mark: str) -> Figure:
    """The figure with `mark` at its lower edge; unchanged where the mark is empty."""
    if mark:
        with matplotlib.rc_context(STYLE):
            fig.supxlabel(mark, x=1.0, ha="right", fontsize=7, color=INK, fontstyle="italic")
    return fig


def to_svg(fig: Figure, name: str, *, label: str) -> str:
    """The figure as an <svg> element whose ids begin with `name`, so that many can stand in one page."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)
    for i, (colour, _) in enumerate(SERIES):
        text = text.replace(colour.lower(), f"var(--series-{i})")
    return text.replace(INK, "currentColor").replace(RULE, "var(--rule)")


def means_figure(
    table: pd.DataFrame, series: Sequence[tuple[str, str, str]], chance: Sequence[float], main: Metric
) -> Figure:
    """Figure 3: the mean of the main metric (accuracy) with its 95 % interval, a line a modality row, with the paper's value as
    a hollow diamond.

    The marks of a row (dashboards/marks.py) stand beside its mean.

    `table` is Table 2 (percent); `series` names (scenario, protocol, title); `chance` is what the best constant
    guess has in each series.
    """
    rows = in_order(table["modality"].astype(str), ())
    has_paper = "paper_accuracy" in table and bool(table["paper_accuracy"].notna().any())
    with matplotlib.rc_context(STYLE):
        fig, ax = _axes(4.9, 0.75 + 0.22 * len(rows) * max(len(series), 2))
        offsets = (np.arange(len(series)) - (len(series) - 1) / 2) * min(0.36, 0.8 / len(series))
        for i, ((scenario, protocol, title), dy) in enumerate(zip(series, offsets, strict=True)):
            colour, marker = SERIES[i % len(SERIES)]
            mine = table[(table["scenario"] == scenario) & (table["protocol"] == protocol)]
            y = np.array([rows.index(str(name)) for name in mine["modality"]]) + dy
            mean, low, high = (mine[f"{main.name}_{what}"] for what in ("mean", "low", "high"))
            ends = np.clip([mean - low, high - mean], 0, None)  # NaN, and no bar, where it cannot be told
            style: Any = {"fmt": marker, "ms": 4.5, "color": colour, "capsize": 2, "elinewidth": 1}
            ax.errorbar(mean, y, xerr=ends, label=title, **style)
            for x, at, mark in zip(mean, y, map(symbols, mine.to_dict("records")), strict=True):
                if mark:
                    ax.annotate(mark, (x, at), xytext=(5, 1), textcoords="offset points", color=colour, fontsize=8)
            if has_paper:
                ax.plot(mine["paper_accuracy"], y, "D", ms=5.5, mfc="none", mec=colour, mew=0.9)
        for share in sorted({rounded_number(main.scale * c, main.digits) for c in chance}):
            ax.axvline(share, color=INK, lw=0.8, ls=(0, (4, 3)))
        extra = [Line2D([], [], color=INK, lw=0.8, ls=(0, (4, 3)), label="chance")]
        if has_paper:
            extra.append(Line2D([], [], color=INK, marker="D", mfc="none", ls="", ms=5.5, label="Farmani et al."))
        handles = [*ax.get_legend_handles_labels()[0], *extra]
        fig.legend(handles=handles, loc="outside upper left", ncols=len(handles), handletextpad=0.4, columnspacing=1.2)
        drawn = [table[f"{main.name}_low"], table[f"{main.name}_mean"]]
        drawn += [table["paper_accuracy"]] if has_paper else []
        lowest = min(main.scale * min(chance), *(x.min() for x in drawn if x.notna().any()))
        limits: Any = (max(0, 10 * np.floor((lowest - 2) / 10)), 101.5) if main.unit == "%" else (0, None)
        ax.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), xlabel=_label(main))
        ax.set_yticks(range(len(rows)), rows)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color=RULE, lw=0.5)
        ax.set_axisbelow(True)
    return fig


def save_figure3(fig: Figure, folder: Path) -> None:
    """Write figure3.svg and figure3.png (200 dpi) on white."""
    with matplotlib.rc_context(STYLE):
        for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 200})):
            fig.savefig(folder / f"figure3.{suffix}", facecolor="white", **options)


def roc_band(predictions: pd.DataFrame, task: Task = PAIN) -> tuple[np.ndarray, np.ndarray] | None:
    """ROC of one row averaged over folds at the false alarm rates FPR: mean and SD of the hit rate.

    Each fold of each partition and fit seed counts once; those that test one class only are left out, None if none is left.
    The SD is 0 where there is one.
    """
    hits = []
    for _, part in with_axes(predictions).groupby(list(AXES)):
        y_N, p_N = part["y_true"].to_numpy(), part[task.columns[0]].to_numpy()
        if y_N.min() == y_N.max():
            continue
        order = np.argsort(-p_N, kind="stable")
        last_of_tie = np.append(np.flatnonzero(np.diff(p_N[order])), len(p_N) - 1)
        tp, fp = (np.cumsum(y_N[order] == value)[last_of_tie] for value in (1, 0))
        hits.append(np.interp(FPR, np.append(0, fp / fp[-1]), np.append(0, tp / tp[-1])))
    return (np.mean(hits, axis=0), np.std(hits, axis=0, ddof=int(len(hits) > 1))) if hits else None


def roc_figure(
    row: str,
    series: Sequence[str],
    bands: Mapping[str, tuple[np.ndarray, np.ndarray]],
    areas: Mapping[str, Estimate],
    marks: Mapping[str, str],
) -> Figure:
    """ROC of one modality row: of each series its `roc_band`, its AUROC and its marks. The band is one SD over folds."""
    with matplotlib.rc_context(STYLE):
        fig, ax = panel_axes(2.1, 2.3)
        ax.plot([0, 1], [0, 1], color=RULE, lw=0.8)
        for i, title in enumerate(series):
            if title not in bands:
                continue
            mean, sd = bands[title]
            colour = SERIES[i % len(SERIES)][0]
            ax.fill_between(FPR, np.clip(mean - sd, 0, 1), np.clip(mean + sd, 0, 1), color=colour, alpha=0.18, lw=0)
            ax.plot(FPR, mean, color=colour, lw=1.4, ls=LINES[i % 2])
            _tell(ax, i, "AUROC", areas[title], marks.get(title, ""))
        ax.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="1 − specificity", ylabel="sensitivity", title=row, aspect="equal")
        _unit_ticks(ax)
    return fig


def _tell(ax: Axes, i: int, name: str, found: Estimate, marks: str) -> None:
    """A number with its interval and the marks of the row, in the colour of its series."""
    text = f"{name} {rounded(max(found.mean, 0), 2)}"
    if not np.isnan(found.low):
        text += f" ({rounded(max(found.low, 0), 2)}–{rounded(found.high if name == 'ECE' else min(found.high, 1), 2)})"
    text += f" {marks}" if marks else ""
    place: Any = {"transform": ax.transAxes, "ha": "right", "fontsize": 6.5}
    ax.text(0.98, 0.05 + 0.1 * i, text, color=SERIES[i % len(SERIES)][0], **place)


def calibration(predictions: pd.DataFrame, task: Task = PAIN) -> pd.DataFrame:
    """Ten equal bins of what is expected, the probability of pain: mean expected, mean of what was true (share of pain), n."""
    y_N, p_NC = task.of(predictions)
    p_N = task.expected(p_NC)
    table = pd.DataFrame({"bin": bins_of(p_N, task), "predicted": p_N, "observed": y_N, "n": 1})
    return table.groupby("bin").agg({"predicted": "mean", "observed": "mean", "n": "sum"})


def calibration_figure(
    row: str, series: Mapping[str, pd.DataFrame], errors: Mapping[str, Estimate], marks: Mapping[str, str], task: Task = PAIN
) -> Figure:
    """Calibration of one modality row, folds pooled. The area of a mark grows with the number of predictions in its bin."""
    low, high = task.expects.span
    with matplotlib.rc_context(STYLE):
        fig, ax = panel_axes(2.1, 2.3)
        ax.plot([low, high], [low, high], color=RULE, lw=0.8)
        for i, (title, part) in enumerate(series.items()):
            if part.empty:
                continue
            table = calibration(part, task)
            colour, marker = SERIES[i % len(SERIES)]
            ax.plot(table["predicted"], table["observed"], color=colour, lw=0.9, ls=LINES[i % 2])
            ax.scatter(
                table["predicted"], table["observed"], s=6 + 90 * table["n"] / len(part), color=colour, marker=marker, lw=0
            )
            _tell(ax, i, "ECE", errors[title], marks.get(title, ""))
        labels: Any = {"xlabel": task.expects.predicted, "ylabel": task.expects.observed}
        margin = 0.02 * (high - low)
        limits = (low - margin, high + margin)
        ax.set(xlim=limits, ylim=limits, title=row, aspect="equal", **labels)
        if (low, high) == (0.0, 1.0):
            _unit_ticks(ax)
    return fig


def subject_figure(by_subject: pd.DataFrame, main: Metric = PAIN.main) -> Figure:
    """A strip a modality row and a column a subject, the best last; `by_subject` holds the main metric, NaN left blank."""
    order = (main.sign * by_subject.mean(axis=1)).sort_values(kind="stable").index
    values = main.scale * by_subject.loc[order].to_numpy(dtype=float).T
    with matplotlib.rc_context(STYLE):
        fig, ax = _axes(4.9, 1.0 + 0.2 * len(values))
        scale: Any = {"vmin": 40, "vmax": 100} if main.unit == "%" else {"vmin": 0}
        mesh = ax.pcolormesh(np.ma.masked_invalid(values), cmap="cividis", lw=0, **scale)
        ax.set_yticks(np.arange(len(values)) + 0.5, [str(name) for name in by_subject.columns])
        ax.invert_yaxis()
        ax.set_xlabel(f"{len(order)} subjects, from the least to the best recognised on average")
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        bar = fig.colorbar(mesh, ax=ax, extend="min" if main.unit == "%" else "neither", fraction=0.04, pad=0.02)
        bar.set_label(_label(main))
        bar.outline.set_visible(False)
    return fig


def curves_figure(stage: str, series: Mapping[str, pd.DataFrame]) -> Figure:
    """Training accuracy (%) of one sub-network by epoch, mean over folds, with the range of the folds as a band."""
    with matplotlib.rc_context(STYLE):
        fig, ax = panel_axes(2.1, 1.95)
        for i, part in enumerate(series.values()):
            by_epoch = 100 * part.groupby("epoch")["accuracy"].agg(["mean", "min", "max"])
            colour = SERIES[i % len(SERIES)][0]
            ax.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], color=colour, alpha=0.18, lw=0)
            ax.plot(by_epoch.index, by_epoch["mean"], color=colour, lw=1.3, ls=LINES[i % 2])
        ax.set(ylim=(None, 101), xlabel="epoch", ylabel="training accuracy (%)", title=stage)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        ax.grid(axis="y", color=RULE, lw=0.5)
    return fig


def attention_figure(title: str, by_class: Mapping[str, pd.DataFrame]) -> Figure:
    """Attention over a trial by class: mean over folds, with their range as a band. 1 is an even look at every step."""
    with matplotlib.rc_context(STYLE):
        fig, ax = panel_axes(3.4, 2.25)
        ax.axhline(1.0, color=INK, lw=0.8, ls=(0, (4, 3)))
        for i, (name, course) in enumerate(by_class.items()):
            colour = SERIES[i % len(SERIES)][0]
            ax.fill_between(course["second"], course["low"], course["high"], color=colour, alpha=0.18, lw=0)
            ax.plot(course["second"], course["mean"], color=colour, lw=1.4, ls=LINES[i % 2], label=name)
        ax.set(xlabel="seconds from the start of the trial", ylabel="attention", title=title, ylim=(0, None))
        highest = max(course["high"].max() for course in by_class.values())
        if highest > 5:  # a look at one instant would press all others to the floor
            lowest = min(course["low"].clip(lower=0.05).min() for course in by_class.values())
            ax.set_yscale("log")
            ax.set(ylim=(0.8 * lowest, 1.25 * highest), ylabel="attention, log scale")
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.legend(loc="best")
    return fig


def _label(main: Metric) -> str:
    return f"{main.title} ({main.unit})" if main.unit else main.title


def _axes(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    fig = Figure(figsize=(width_in, height_in), layout="constrained")
    return fig, fig.add_subplot()


def panel_axes(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Axes with fixed margins, for panels of which a report has dozens: to work out a layout takes as long as to draw."""
    fig = Figure(figsize=(width_in, height_in))
    left, right, lower, upper = 0.5, 0.13, 0.55, 0.24  # with room for the mark at the lower edge
    box = (left / width_in, lower / height_in, 1 - (left + right) / width_in, 1 - (lower + upper) / height_in)
    return fig, fig.add_axes(box)


def _unit_ticks(ax: Axes) -> None:
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
