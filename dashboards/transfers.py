"""The report's section on training on one data set and testing on another (protocol `transfer`).

Side by side: a row within the data set it is trained on, within the one it is tested on, and across. Where what is tested is no
pain (WESAD, Stress-Predict), how often the model calls it pain: a model of pain should call neither rest nor stress so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from dashboards import marks
from dashboards.results import Panel, Results
from dataprep.datasets.pooled import EVERYBODY
from dataprep.records import MARK
from grid.results.inference import Estimate, estimate
from grid.results.stats import over_people
from painmodels.tasks.task import Metric

ACROSS = "-to-"


def section(results: Results) -> list[dict[str, Any]]:
    """Of each crossing: `title`, `columns`, `rows` of estimates, `adapted` (how), and `calls`, {} but for arousal.

    Where each data set is left out in turn, there is one for each of them.
    """
    panels = {panel.scenario: panel for panel in results.panels if panel.protocol == "transfer"}
    crossings: dict[str, dict[str, Panel]] = {}  # scenario without its adaptation -> adaptation -> panel
    for name, panel in panels.items():
        facts = results.scenarios.get(name, {})
        if facts.get("subset") == EVERYBODY:
            how = str(facts.get("adapt") or "")
            crossings.setdefault(name.removesuffix(f"-{how}") if how else name, {})[how] = panel
    found = []
    for name, ways in crossings.items():
        if ACROSS in name:
            sides = [label for side in name.split(ACROSS) for label in side.split("+") if label in panels]
            found.append(_crossing(results, name.replace(ACROSS, " to "), ways, {label: panels[label] for label in sides}))
            continue
        tested = {label for panel in ways.values() for label in panel.predictions["subject_name"].map(_label)}
        for label in sorted(tested):
            within = {label: panels[label]} if label in panels else {}
            of_label = {how: _of(panel, label) for how, panel in ways.items()}
            found.append(_crossing(results, f"others to {label}", of_label, within))
    return found


def _label(subject: str) -> str:
    return str(subject).partition(MARK)[0]


def _of(panel: Panel, label: str) -> Panel:
    """The part of a panel that tests one data set."""
    mine = panel.predictions[panel.predictions["subject_name"].map(_label) == label]
    return replace(panel, predictions=mine, scores=panel.scores[panel.scores["fold"].isin(mine["fold"].unique())])


def _crossing(results: Results, title: str, ways: Mapping[str, Panel], within: Mapping[str, Panel]) -> dict[str, Any]:
    columns = [*((f"within {label}", panel) for label, panel in within.items())]
    columns += [(title if not how else f"{title}, adapted: {how}", panel) for how, panel in sorted(ways.items())]
    first = ways[min(ways)]
    rows = list(dict.fromkeys(row for panel in ways.values() for row in panel.rows))
    arousal = results.get("data", "pain") is False and first.task.kind == "binary"
    return {
        "title": title,
        "columns": [name for name, _ in columns],
        "rows": [(row, [_estimate(results, of, row) for _, of in columns]) for row in rows],
        "calls": {row: _calls(first, row) for row in first.rows} if arousal else {},
        "tested": int(first.predictions["subject_name"].nunique()),
        "adapted": sorted(how for how in ways if how),
    }


def _estimate(results: Results, panel: Panel, row: str) -> dict[str, Any] | None:
    """The main metric and its interval as Table 2 has them; None without the row."""
    if row not in panel.rows:
        return None
    found = over_people(panel.of_row(row), people=results.people(panel), task=panel.task)
    return {**shown_estimate(found, panel.task.main), "marks": marks.symbols(results, panel, row)}


def shown_estimate(found: Estimate, main: Metric) -> dict[str, float]:
    """An estimate of the main metric as it is shown, its interval cut where the metric ends."""
    low, high = max(found.low, main.low), min(found.high, main.high)
    return {"mean": main.scale * found.mean, "low": main.scale * low, "high": main.scale * high}


def _calls(panel: Panel, row: str) -> dict[str, dict[str, float]]:
    """The share of trials called pain, in percent, of those at rest and of the others: mean over people and interval."""
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
