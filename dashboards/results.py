"""Reading a result folder: the tables of one run of the grid, checked, and cut into panels.

A folder holds predictions.parquet, scores.csv and run.json, and may hold failures.csv, quarantine.csv, odd.csv, folds.csv,
trials.csv, learning.csv, curves.parquet and attention.parquet (and searches.json, see dashboards/searches.py).
Nothing else is read. A panel is one scenario under one protocol: the unit within which rows are compared.
Metrics are computed again from the predictions, so that the report shows what was predicted, not what was written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboards.tables_of_folder import (
    as_numbers,
    attention_of,
    axes_of,
    check_columns,
    curves_of,
    parquet_of,
    read_json,
    table_of,
)
from dataprep.records import SYNTHETIC, InputError
from dataprep.rounding import rounded_number
from grid.experiment.cells import CELL, is_further
from grid.experiment.families import FRAME_MEAN, ROW_ORDER, place_of_group
from grid.results import learned
from grid.results.axes import AXES
from grid.results.columns import COSTS, FOLDS, TRIALS
from grid.results.inference import people_of
from grid.results.stats import mean_by
from grid.results.tables import (
    SCENARIOS,
    in_order,
    prediction_columns,
    score_columns,
    scores_table,
    subject_table,
    with_frame_mean,
)
from grid.results.unfed import unfed, without
from painmodels.tasks import Task, task_of_run

REQUIRED = ("run.json", "scores.csv", "predictions.parquet")
FAILURE_COLUMNS = [*CELL, "status", "reason"]
OLD_LEARNING = [name for name in learned.COLUMNS if name != "epochs"]
"""Of learning.csv; epochs are not in those of older versions."""
QUARANTINE_COLUMNS = ["trial_id", "subject", "part", "file", "reason"]


@dataclass(frozen=True)
class Panel:
    """One scenario under one protocol. `predictions` and `scores` hold its rows of the tables, in canonical order.

    The predictions have the row `frame:mean` too, a reading of those of `frame`, which is no cell and has no scores.
    """

    scenario: str
    protocol: str
    title: str
    predictions: pd.DataFrame
    scores: pd.DataFrame
    task: Task

    @cached_property
    def by_subject(self) -> pd.DataFrame:
        """The main metric (accuracy), a subject a row and a modality row a column."""
        return mean_by(self.predictions, task=self.task)

    @property
    def rows(self) -> list[str]:
        """The modality rows that have predictions."""
        return list(self.by_subject.columns)

    @property
    def chances(self) -> list[float]:
        """The main metric of the best constant guess, lowest first: several values where rows tested different trials."""
        found = [self.of_row(row)["y_true"].to_numpy() for row in self.rows]
        merits = [self.task.merit(y_N, np.tile(self.task.constant(y_N), (len(y_N), 1))).mean() for y_N in found]
        shown = {rounded_number(self.task.main.scale * float(x), self.task.main.digits) for x in merits}  # alike is the same
        return sorted(x / self.task.main.scale for x in shown)

    def each_metric(self) -> list[tuple[str, list[tuple[float, float, int]]]]:
        """Row -> mean and SD over people of every metric of a person's own predictions, and how many people define it."""
        table, found = subject_table(self.predictions, self.task), []
        for row in self.rows:
            mine = table[table["modality"].astype(str) == row]
            values = [mine[m.name].astype(float) * m.scale for m in self.task.metrics]
            found.append((row, [(float(v.mean()), float(v.std()), int(v.notna().sum())) for v in values]))
        return found

    def of_row(self, modality: str) -> pd.DataFrame:
        """The predictions of one modality row."""
        return self.predictions[self.predictions["modality"] == modality]


@dataclass(frozen=True)
class Results:
    """All data of a report. `disagreements`: cells whose scores.csv differs from the scores of the predictions.

    `unfed`: rows that the data cannot feed, with the reason (grid/results/unfed.py); `scores` has no cell of these.

    `uncalibrated`: predictions as they were before a recalibration. `further`, `further_scores`: those of scenarios with
    other windows (a sensitivity analysis), which no other table has.
    """

    folder: Path
    run: Mapping[str, Any]
    task: Task
    predictions: pd.DataFrame
    scores: pd.DataFrame
    unfed: pd.DataFrame
    failures: pd.DataFrame
    quarantine: pd.DataFrame
    odd: pd.DataFrame
    curves: pd.DataFrame
    attention: pd.DataFrame
    folds: pd.DataFrame
    trials: pd.DataFrame
    learning: pd.DataFrame
    costs: pd.DataFrame
    disagreements: int
    panels: tuple[Panel, ...]
    uncalibrated: pd.DataFrame
    further: pd.DataFrame
    further_scores: pd.DataFrame

    def get(self, *keys: str) -> Any:
        """A value inside run.json, None where any of the keys is missing."""
        found: Any = self.run
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    @property
    def mark(self) -> str:
        """What stands in every figure and heading: 'synthetic data' where a program made the recordings, else empty."""
        return SYNTHETIC if self.get("data", "synthetic") is True else ""

    @cached_property
    def marks(self) -> dict[tuple[str, ...], learned.Mark]:
        """(modality, scenario, protocol) -> what its fits learned; nothing for rows without fits that have epochs."""
        return learned.marks(self.learning)

    def marked(self, panel: Panel) -> set[str]:
        """The rows of a panel with fits that did not learn, or collapsed."""
        mine = (panel.scenario, panel.protocol)
        rows = {row for (row, *place), mark in self.marks.items() if tuple(place) == mine and mark.marked}
        return rows | ({FRAME_MEAN} if "frame" in rows else set())

    @property
    def scenarios(self) -> dict[str, dict[str, Any]]:
        """Scenario -> what run.json says of it (grid/run/scenario_facts.py); nothing of those that it does not know."""
        found = self.get("scenarios")
        known = found.items() if isinstance(found, Mapping) else ()
        return {str(name): dict(facts) for name, facts in known if isinstance(facts, Mapping)}

    def people(self, panel: Panel) -> int | None:
        """How many subjects the panel's scenario has in these data, tested or not; None where that is not recorded."""
        found = self.get("scenarios", panel.scenario)
        return people_of(found, [panel.protocol]) if isinstance(found, Mapping) else None


def read_results(folder: Path) -> Results:
    """Read and check a result folder. Raises InputError, naming the file, for a folder that is none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a result folder with {', '.join(REQUIRED)}")
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: no result folder, {', '.join(missing)} not found; expected {', '.join(REQUIRED)}")
    run = read_json(folder / "run.json")
    try:
        task = task_of_run(run)
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / 'run.json'}: {error}") from error
    predictions = _predictions(folder / "predictions.parquet", task)
    numbers = [metric.name for metric in task.metrics]
    written = table_of(folder / "scores.csv", score_columns(task), numbers=numbers)
    try:
        wanted = [(*map(str, cell[:3]), *map(int, cell[3:])) for cell in written[CELL].itertuples(index=False)]
        scores = scores_table(predictions, cells=wanted, task=task)
    except ValueError as error:
        raise InputError(f"{folder}: predictions.parquet or scores.csv cannot be used: {error}") from error
    before, failures = folder / "uncalibrated.parquet", table_of(folder / "failures.csv", FAILURE_COLUMNS, optional=True)
    lacking = unfed(_own(scores), failures)
    own = without(_own(scores), lacking)
    return Results(
        folder=folder,
        run=run,
        task=task,
        predictions=_own(predictions),
        scores=own,
        unfed=lacking,
        failures=failures,
        quarantine=table_of(folder / "quarantine.csv", QUARANTINE_COLUMNS, optional=True, more=("channels",)),
        odd=table_of(folder / "odd.csv", QUARANTINE_COLUMNS, optional=True),
        curves=_own(curves_of(folder / "curves.parquet")),
        attention=_own(attention_of(folder / "attention.parquet")),
        folds=as_numbers(table_of(folder / "folds.csv", FOLDS, optional=True), "age", "trials"),
        trials=as_numbers(table_of(folder / "trials.csv", TRIALS, optional=True), "y_true", "place"),
        learning=_own(table_of(folder / "learning.csv", OLD_LEARNING, optional=True, more=("epochs",))).astype(
            dict.fromkeys(AXES, int)
        ),
        costs=table_of(folder / "costs.csv", COSTS, optional=True, numbers=("parameters", "seconds")),
        disagreements=_disagreements(scores, written, numbers),
        panels=_panels(with_frame_mean(_own(predictions), task), own, task),
        uncalibrated=_own(_predictions(before, task)) if before.is_file() else predictions.iloc[:0],
        further=_own(predictions, further=True),
        further_scores=_own(scores, further=True),
    )


def _own(table: pd.DataFrame, *, further: bool = False) -> pd.DataFrame:
    """The lines of the scenarios that the grid asks for; `further`: of those with other windows."""
    return table[table["scenario"].astype(str).map(is_further).astype(bool) == further].reset_index(drop=True)


def _predictions(path: Path, task: Task) -> pd.DataFrame:
    """The predictions in canonical row order, names as categories (a full grid has 720,000 rows)."""
    table = axes_of(parquet_of(path))
    columns = prediction_columns(task)
    check_columns(path, table, columns)
    table = table[columns].astype({**dict.fromkeys(AXES, int), **dict.fromkeys(task.columns, float)})
    table = table.astype(dict.fromkeys(["modality", "scenario", "protocol", "subject_name", "sample_name"], "category"))
    order = in_order(sorted(table["modality"].cat.categories, key=place_of_group), ROW_ORDER)
    table["modality"] = table["modality"].cat.reorder_categories(order)
    return table.sort_values("modality", kind="stable", ignore_index=True)


def _panels(predictions: pd.DataFrame, scores: pd.DataFrame, task: Task) -> tuple[Panel, ...]:
    protocols = list(dict.fromkeys(scores["protocol"].astype(str)))
    panels = []
    for scenario in in_order(scores["scenario"].astype(str), SCENARIOS):
        for protocol in protocols:
            mine = predictions[(predictions["scenario"] == scenario) & (predictions["protocol"] == protocol)]
            if len(mine):
                title = scenario if len(protocols) == 1 else f"{scenario}, protocol {protocol}"
                cells = scores[(scores["scenario"] == scenario) & (scores["protocol"] == protocol)]
                of = {"scenario": scenario, "protocol": protocol, "title": title}
                panels.append(Panel(**of, predictions=mine, scores=cells, task=task))
    return tuple(panels)


def _disagreements(scores: pd.DataFrame, written: pd.DataFrame, metrics: list[str]) -> int:
    both = scores.merge(written, on=CELL, suffixes=("", "_written"), how="left")
    ours, theirs = (both[[f"{m}{end}" for m in metrics]].to_numpy(dtype=float) for end in ("", "_written"))
    return int((~np.isclose(ours, theirs, atol=1e-4, equal_nan=True)).any(axis=1).sum())
