"""Table 3: published studies on the same data, and this run's rows with what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboards.claims import plural, records
from dashboards.results import Results
from grid.experiment.cells import PAPER_ROWS
from grid.experiment.families import FRAME_MEAN
from grid.protocols import in_words
from grid.results.tables import in_order, is_the_papers, paper_table3, published_systems

OTHER_FOLDS = "other folds"
SCENARIO = {"accuracy_67": "expressive67", "accuracy_87": "all87"}


def table3(results: Results, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Published studies, where this run is of the same task, people and data, with this run's rows after those of their modality.

    Empty where no row may stand beside them and there is no row of another method. `table` is Table 2. A published number whose
    folds are others than the run's says so.
    """
    shown = [group for group in _groups(table) if group[0]["modality"] in PAPER_ROWS or _is_method(group)]
    beside = [group for group in shown if any(_the_papers(results, row) for row in group)]
    ours = [_ours(results, group) for group in shown if group in beside or _is_method(group)]
    validations = {_validation(str(group[0]["protocol"]), int(group[0]["folds"])) for group in beside}
    published = _published() if beside else []
    out: list[dict[str, Any]] = []
    for seen in in_order([row["modality"] for row in [*published, *ours]], ()):
        for row in published:
            if row["modality"] == seen:
                out.append({**row, "note": "" if row["validation"] in validations else OTHER_FOLDS})
        out += [row for row in ours if row["modality"] == seen]
    valued = any(row[name] == row[name] and row[name] is not None for row in out for name in SCENARIO)
    return out if valued else []  # of other scenarios than the table's there is nothing to set side by side


def _is_method(group: list[dict[str, Any]]) -> bool:
    return ":" in group[0]["modality"] and group[0]["modality"] != FRAME_MEAN


def _groups(table: pd.DataFrame) -> list[list[dict[str, Any]]]:
    """The rows of Table 2 by modality row and protocol: one list of scenarios each."""
    parts = table.groupby(["modality", "protocol"], observed=True, sort=False)
    return [records(part) for _, part in parts]


def _the_papers(results: Results, row: dict[str, Any]) -> bool:
    scored = results.scores
    for name in ("modality", "scenario", "protocol"):
        scored = scored[scored[name] == row[name]]
    facts = results.scenarios.get(str(row["scenario"]), {})
    return is_the_papers(facts, scored[scored[results.task.main.name].notna()], row.get("n_subjects"))


def _published() -> list[dict[str, Any]]:
    """The paper's Table 3, and the later systems that are no rows of it."""
    rows = [{**row, "row": "", "source": ""} for row in records(paper_table3())]
    known = {(row["study"], row["modality"]) for row in rows}
    for row in records(published_systems()):
        seen, _, method = row["row"].partition(":")
        if (row["study"], seen) not in known:
            rows.append({**row, "modality": seen, "method": method})
    return [{"parameters": None, "seconds": None, "ours": False, **row} for row in rows]


def _validation(protocol: str, n_folds: int) -> str:
    """A run's protocol in the words of the published tables."""
    return {"subject": f"{n_folds}-fold", "loso": "leave-one-subject-out"}.get(protocol, protocol)


def _ours(results: Results, rows: list[dict[str, Any]]) -> dict[str, Any]:
    modality, protocol = str(rows[0]["modality"]), str(rows[0]["protocol"])
    accuracy = {row["scenario"]: row[f"{results.task.main.name}_mean"] for row in rows}
    costs = results.costs
    costs = costs[(costs["modality"] == modality) & (costs["protocol"] == protocol)]
    seen, _, method = modality.partition(":")
    return {
        "study": "this run, synthetic data" if results.get("data", "synthetic") else "this run",
        "modality": seen if method else modality,
        "method": f"{method}, {in_words(protocol)}" if method else in_words(protocol),
        "validation": plural(int(max(row["folds"] for row in rows)), "fold"),
        "ours": True,
        "note": "",
        "source": "",
        "parameters": costs["parameters"].median() if costs["parameters"].notna().any() else None,
        "seconds": costs["seconds"].mean() if len(costs) else None,
        **{name: accuracy.get(scenario, np.nan) for name, scenario in SCENARIO.items()},
    }
