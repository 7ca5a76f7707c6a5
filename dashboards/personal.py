"""The report's section on calibration trials of the tested person (protocol `personal`): each row with k of each class."""

from __future__ import annotations

from typing import Any

from dashboards import marks
from dashboards.results import Panel, Results
from dashboards.transfers import shown_estimate
from grid.results.inference import estimate, training_people
from grid.results.stats import over_people

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
    people, main = results.people(panel), panel.task.main
    out: dict[str, Any] = {"value": None, "change": None}
    found = over_people(panel.of_row(row), people=people, task=panel.task)
    out["value"] = {**shown_estimate(found, main), "marks": marks.symbols(results, panel, row)}
    if (none := panels.get(0)) and _k(panel) and row in none.rows:
        change = main.scale * (panel.by_subject[row] - none.by_subject[row]).dropna()
        more = estimate(change, n_train=training_people(panel.of_row(row), people))
        out["change"] = {"mean": more.mean, "low": more.low, "high": more.high}
    return out
