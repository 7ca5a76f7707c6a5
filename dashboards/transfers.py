"""The report's section on training on one data set and testing on another (protocol `transfer`).

Side by side: a row within the data set it is trained on, within the one it is tested on, and across. Where what is tested is no
pain (WESAD, Stress-Predict), how often the model calls it pain: a model of pain should call neither rest nor stress so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboards.results import Panel, Results
from grid.results.inference import estimate, training_people

ACROSS = "-to-"


def section(results: Results) -> list[dict[str, Any]]:
    """For each scenario that crosses data sets: `title`, `columns`, `rows` of estimates, and `calls`, {} but for arousal."""
    panels = {panel.scenario: panel for panel in results.panels if panel.protocol == "transfer"}
    return [_crossing(results, panel, panels) for name, panel in panels.items() if ACROSS in name]


def _crossing(results: Results, panel: Panel, panels: Mapping[str, Panel]) -> dict[str, Any]:
    sides = [label for side in panel.scenario.split(ACROSS) for label in side.split("+") if label in panels]
    columns = [*((f"within {label}", panels[label]) for label in sides), (panel.scenario.replace(ACROSS, " to "), panel)]
    rows = [(row, [_estimate(results, of, row) for _, of in columns]) for row in panel.rows]
    arousal = results.get("data", "pain") is False and panel.task.kind == "binary"
    return {
        "title": panel.title,
        "columns": [title for title, _ in columns],
        "rows": rows,
        "calls": {row: _calls(panel, row) for row in panel.rows} if arousal else {},
        "tested": int(panel.predictions["subject_name"].nunique()),
    }


def _estimate(results: Results, panel: Panel, row: str) -> dict[str, float] | None:
    """Mean and interval of the main metric over the people that the panel tests, as it is shown; None without the row."""
    if row not in panel.rows:
        return None
    n_train = training_people(panel.of_row(row), results.people(panel))
    found = estimate(panel.task.main.scale * panel.by_subject[row].dropna(), n_train=n_train)
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _calls(panel: Panel, row: str) -> dict[str, dict[str, float]]:
    """The share of windows called pain, in percent, of those at rest and of the others: mean over people and interval."""
    predictions = panel.of_row(row)
    y_N, p_NC = panel.task.of(predictions)
    called = pd.Series(panel.task.called(p_NC) == 1, index=predictions.index)
    out = {}
    for name, place in (("rest", 0), ("aroused", 1)):
        those = y_N == place
        by_person = 100 * called[those].groupby(predictions.loc[those, "subject_name"]).mean()
        found = estimate(
            by_person, n_train=float("inf")
        )  # of the model that was trained: it is the same for everybody tested
        out[name] = {"mean": found.mean, "low": found.low, "high": found.high}
    return out
