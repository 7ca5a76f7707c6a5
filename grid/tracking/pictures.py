"""The picture of a row's run in MLflow: confusion, ROC and calibration of its predictions, and its folds as a box plot."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dataprep.rounding import rounded
from painmodels.tasks import Task

INK, BLUE = "#444444", "#0072b2"


def row_picture(predictions: pd.DataFrame, folds: Sequence[float], task: Task) -> bytes:
    """A PNG; `predictions` are those of one row, `folds` the main metric of its cells. Two panels where a task has no ROC."""
    y_N, p_NC = task.of(predictions)
    panels = ["folds", *(["confusion"] if "confusion" in task.sections else [])]
    panels += ["roc", "calibration"] if "roc" in task.sections else []
    figure = _figure(len(panels))
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.spines[["top", "right"]].set_visible(False)
        if panel == "folds":
            shown = [task.main.scale * value for value in folds if np.isfinite(value)]
            axes.boxplot(shown, widths=0.5, medianprops={"color": BLUE})
            axes.plot(np.linspace(0.9, 1.1, len(shown)), shown, "o", ms=4, color=INK, alpha=0.6)
            axes.set(title=f"{len(shown)} cells", ylabel=f"{task.main.title} {task.main.unit}", xticks=[])
        elif panel == "confusion":
            _confusion(axes, task.confusion(y_N, p_NC), task.names)
        elif panel == "roc":
            _roc(axes, y_N, p_NC)
        else:
            _calibration(axes, y_N, p_NC, task)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})  # `savefig` draws and lays out everything twice
    return content.getvalue()


def _figure(panels: int) -> Figure:
    """Panels of 3.2 inches each, with room left of and below each: a layout that measures takes as long as drawing."""
    left, right, below, above = 0.68, 0.12, 0.55, 0.35
    inner = 3.2 - left - right
    figure = Figure(figsize=(3.2 * panels, 3.2), dpi=90)
    figure.subplots_adjust(
        left / (3.2 * panels), below / 3.2, 1 - right / (3.2 * panels), 1 - above / 3.2, (left + right) / inner
    )
    return figure


def _confusion(axes: Axes, counts_KK: np.ndarray, names: Sequence[str]) -> None:
    share_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1)
    for (i, j), n in np.ndenumerate(counts_KK):
        axes.text(
            j,
            i,
            f"{n}\n{rounded(100 * share_KK[i, j])} %",
            ha="center",
            va="center",
            color="w" if share_KK[i, j] > 0.5 else INK,
        )
    axes.set(title="confusion", xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")


def _roc(axes: Axes, y_N: np.ndarray, p_NC: np.ndarray) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    p_N = p_NC.reshape(len(y_N), -1)[:, -1]
    auc = roc_auc_score(y_N, p_N) if len(set(y_N.tolist())) > 1 else float("nan")
    if np.isfinite(auc):
        axes.plot(*roc_curve(y_N, p_N)[:2], color=BLUE)
    axes.plot([0, 1], [0, 1], "--", lw=0.8, color=INK)
    axes.set(title=f"ROC, folds pooled: area {rounded(auc, 2)}", xlabel="1 - specificity", ylabel="sensitivity")


def _calibration(axes: Axes, y_N: np.ndarray, p_NC: np.ndarray, task: Task) -> None:
    p_N = p_NC.reshape(len(y_N), -1)[:, -1]
    bins_N = np.minimum((10 * p_N).astype(int), 9)
    means = [(p_N[bins_N == b].mean(), y_N[bins_N == b].mean()) for b in sorted(set(bins_N.tolist()))]
    axes.plot([0, 1], [0, 1], "--", lw=0.8, color=INK)
    axes.plot(*zip(*means, strict=True), "o-", ms=4, color=BLUE)
    labels = {"xlabel": task.expects.predicted, "ylabel": task.expects.observed}
    axes.set(title="calibration, folds pooled", xlim=(0, 1), ylim=(0, 1), **labels)
