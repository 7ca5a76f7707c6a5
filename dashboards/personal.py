"""The report's section on calibration trials of the tested person (protocol `personal`): each row with k of each class."""

from __future__ import annotations

from typing import Any

from dashboards.results import Panel, Results
from grid.results.inference import estimate

PREFIX = "personal-"


def section(results: Results) -> list[dict[str, Any]]:
    """For each scenario: `title`, `ks`, and `rows`: of each k the value and, but for k = 0, the change; means and intervals."""
    found = []
    for scenario in dict.fromkeys(panel.scenario for panel in results.panels):
        panels = {_k(p): p for p in results.panels if p.scenario == scenario and p.protocol.startswith(PREFIX)}
        if not panels:
            continue
        first = panels[min(panels)]
        rows = {row: [_cells(results, panels[k], panels, row) for k in sorted(panels)] for row in first.rows}
        people = int(first.predictions["subject_name"].nunique())
        found.append({"title": scenario, "ks": sorted(panels), "rows": rows, "people": people})
    return found


def _k(panel: Panel) -> int:
    return int(panel.protocol.removeprefix(PREFIX))


def _cells(results: Results, panel: Panel, panels: dict[int, Panel], row: str) -> dict[str, Any]:
    """The main metric of a row with a k, and what it is more than without calibration: of the same people and trials."""
    if row not in panel.rows:
        return {"value": None, "change": None}
    scale = panel.task.main.scale
    values = scale * panel.by_subject[row].dropna()
    out = {"value": _shown(results, values), "change": None}
    if (none := panels.get(0)) and _k(panel) and row in none.rows:
        out["change"] = _shown(results, (values - scale * none.by_subject[row]).dropna())
    return out


def _shown(results: Results, values: Any) -> dict[str, float]:
    """A mean over people with its interval. Of a person's group nobody else trains: the training side is that of `subject`."""
    folds = results.get("experiment", "protocol", "folds")
    n_train = len(values) * (1 - 1 / folds) if isinstance(folds, int) and folds > 1 else float("nan")
    found = estimate(values, n_train=n_train)
    return {"mean": found.mean, "low": found.low, "high": found.high}
