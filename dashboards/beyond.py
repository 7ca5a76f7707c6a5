"""Beside accuracy: the calibration line, the spread between people, and the decision curve of each row."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from dashboards import marks
from dashboards.drawings import Drawing, drawing, slug
from dashboards.figures import INK, LINES, RULE, SERIES, STYLE, panel_axes
from dashboards.results import Panel, Results
from grid.results import mixed
from grid.results.calibration import net_benefit
from grid.results.inference import SIMULATED_PEOPLE, Estimate, training_people
from grid.results.stats import calibration_line, intervals
from grid.results.tables import in_order

THRESHOLDS = np.linspace(0.05, 0.95, 91)


def tables(results: Results) -> list[dict[str, Any]]:
    """A table a panel: of each row the spread between people and, of probabilities, the calibration line."""
    return [
        {
            "title": panel.title,
            "rows": [_row(results, panel, row) for row in panel.rows],
            "few": len(panel.by_subject) < SIMULATED_PEOPLE,
        }
        for panel in results.panels
    ]


def _row(results: Results, panel: Panel, row: str) -> dict[str, Any]:
    main, part = panel.task.main, panel.of_row(row)
    value_S = main.sign * main.scale * panel.by_subject[row].dropna().sort_values()
    worst = value_S[: max(1, round(len(value_S) / 10))]  # errors have a minus here: the largest come first
    found: dict[str, Any] = {"row": row, "sd": value_S.std(), "worst": abs(worst.mean()), "n_worst": len(worst)}
    found["mixed"] = mixed.of_row(part, n_train=training_people(panel.predictions, results.people(panel)), task=panel.task)
    found["not_modelled"] = "" if found["mixed"] or main.name != "accuracy" else _not_modelled(part, panel.by_subject[row])
    if "roc" in panel.task.sections:
        found |= calibration_line(part, people=results.people(panel))
    return found


def _not_modelled(part: pd.DataFrame, value_S: pd.Series) -> str:
    """Why a row has no mixed model."""
    if part["frame"].notna().any():
        return "of frames"
    if value_S.min() == 1:
        return "every decision is right"
    return (
        "the same in everybody"
        if value_S.nunique() == 1
        else "too few people"
        if len(value_S.dropna()) < SIMULATED_PEOPLE
        else "too few trials"
    )


CALIBRATED = (
    ("ece", "ECE", 100, 1),
    ("slope", "slope", 1, 2),
    ("intercept", "intercept", 1, 2),
    ("accuracy", "accuracy", 100, 1),
)
"""Of a recalibration: names of estimates, in words, what they are multiplied by to be shown, and digits."""


def recalibration(results: Results) -> list[dict[str, Any]]:
    """A table a panel with recalibrated rows: of each, the estimates before and after. Empty where nothing was recalibrated."""
    found = []
    for panel in results.panels:
        was = results.uncalibrated
        was = was[(was["scenario"] == panel.scenario) & (was["protocol"] == panel.protocol)]
        rows = []
        for row in dict.fromkeys(was["modality"].astype(str)):
            parts = {"before": was[was["modality"] == row], "after": panel.of_row(row)}
            rows.append(
                {"row": row} | {when: _calibration(part, results.people(panel), panel) for when, part in parts.items()}
            )
        if rows:
            found.append({"title": panel.title, "rows": rows})
    return found


def _calibration(part: pd.DataFrame, people: int | None, panel: Panel) -> list[dict[str, Any]]:
    """What is shown of a row's calibration: an estimate each, with its scale and digits."""
    line = calibration_line(part, people=people)
    values = intervals(part, ["ece", "accuracy"], people=people, task=panel.task) | line
    return [
        _shown(values[name], title, scale, digits, least=-np.inf if name in line else 0.0)
        for name, title, scale, digits in CALIBRATED
        if name in values
    ]


def _shown(estimate: Estimate, title: str, scale: int, digits: int, *, least: float) -> dict[str, Any]:
    ends = [max(scale * value, least) for value in (estimate.mean, estimate.low, estimate.high)]
    return {"name": title, "digits": digits, **dict(zip(("mean", "low", "high"), ends, strict=True))}


def curves(results: Results) -> list[tuple[str, Drawing]]:
    """The decision curve of each row, of tasks of pain or no pain."""
    found = []
    for i, row in enumerate(in_order([row for panel in results.panels for row in panel.rows], ())):
        parts = {panel.title: panel.of_row(row) for panel in results.panels}
        benefit = {title: net_benefit(part, THRESHOLDS) for title, part in parts.items() if len(part)}
        told = {panel.title: marks.symbols(results, panel, row) for panel in results.panels}
        numbers = [
            pd.DataFrame({"series": title, "threshold": THRESHOLDS, "net_benefit": b, "marks": told[title]})
            for title, b in benefit.items()
        ]
        fig = _figure(row, parts, benefit, told)
        name = f"decision-{i}-{slug(row)}"
        found.append(
            (row, drawing(fig, name, label=f"Decision curve of {row}", numbers=pd.concat(numbers, ignore_index=True)))
        )
    return found


def _figure(row: str, parts: dict[str, pd.DataFrame], benefit: dict[str, np.ndarray], told: dict[str, str]) -> Any:
    with matplotlib.rc_context(STYLE):
        fig, ax = panel_axes(2.1, 2.1)
        ax.axhline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
        for i, (title, part) in enumerate(parts.items()):
            if title in benefit:
                share = float(part["y_true"].mean())
                ax.plot(THRESHOLDS, share - (1 - share) * THRESHOLDS / (1 - THRESHOLDS), color=RULE, lw=1)
                ax.plot(
                    THRESHOLDS,
                    benefit[title],
                    color=SERIES[i % len(SERIES)][0],
                    lw=1.3,
                    ls=LINES[i % 2],
                )
                place: Any = {"transform": ax.transAxes, "ha": "right", "fontsize": 6.5, "color": SERIES[i % len(SERIES)][0]}
                ax.text(0.98, 0.9 - 0.1 * i, told[title], **place)
        ax.set(xlim=(0, 1), ylim=(-0.1, 0.6), xlabel="threshold", ylabel="net benefit", title=row)
    return fig
