"""The report's section on other windows: what each row's main metric becomes if its windows begin at other seconds of a trial."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboards.claims import plural
from dashboards.results import Panel, Results
from grid.experiment.cells import base_of
from grid.results.stats import compare, over_people


def section(results: Results) -> list[dict[str, Any]]:
    """A table a panel: `title`, `onsets` (seconds, the panel's own first) and `rows` of (row, value, differences from it).

    A difference is a comparison of grid/results/stats.py, paired over the trials that both windows tested; None where none is.
    """
    found = []
    for panel in results.panels:
        mine = results.further[results.further["protocol"].astype(str) == panel.protocol]
        names = mine["scenario"].astype(str)
        scenarios = [name for name in dict.fromkeys(names) if base_of(name) == panel.scenario]
        if not scenarios:
            continue
        parts = {name: mine[names == name] for name in sorted(scenarios, key=lambda name: _onset(results, name))}
        rows = [
            (row, _value(results, panel, row), [_against(results, panel, row, part) for part in parts.values()])
            for row in panel.rows
        ]
        onsets = [_onset(results, panel.scenario), *(_onset(results, name) for name in parts)]
        found.append({"title": panel.title, "onsets": onsets, "rows": [row for row in rows if any(row[2])]})
    return found


def counted(results: Results) -> str:
    """How many cells with other windows have scores, for the sentence on the run; empty without any."""
    scores = results.further_scores
    if scores.empty:
        return ""
    done = int(scores[results.task.main.name].notna().sum())
    return f"With other windows: {done} of {plural(len(scores), 'cell')}, in a table of their own."


def _onset(results: Results, scenario: str) -> float:
    return float(results.scenarios.get(scenario, {}).get("skip_s", float("nan")))


def _value(results: Results, panel: Panel, row: str) -> Any:
    return over_people(panel.of_row(row), people=results.people(panel), task=panel.task)


def _against(results: Results, panel: Panel, row: str, other: pd.DataFrame) -> dict[str, Any] | None:
    """The row with the other window minus the row; None where it has no prediction there."""
    part = other[other["modality"].astype(str) == row]
    if part.empty:
        return None
    named = (("own", panel.of_row(row)), ("other", part))
    both = pd.concat([table.astype({"modality": str}).assign(modality=name) for name, table in named], ignore_index=True)
    table = compare(both, [("own", "other")], people=results.people(panel), task=panel.task)
    return {str(k): v for k, v in table.to_dict("records")[0].items()} if len(table) else None
