"""The rows and folds of a result folder as MLflow runs, with the stages and searches that they came from.

A fold's run has its scores, and its learning curves with at most CHILD_POINTS epochs each (cell_facts.py), so that folds can be
set side by side where they are; every epoch is in the run of the stage, once, however many cells it serves.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from mlflow.tracking import MlflowClient

from dataprep.records import SYNTHETIC
from grid.experiment.cells import CELL, row
from grid.results.axes import AXES, with_axes
from grid.results.learned import Mark
from grid.store.artefacts import Store
from grid.store.identity import digest
from grid.tracking.cell_facts import CellFacts
from grid.tracking.overview import PAGE, mirror_report, page
from grid.tracking.pictures import row_picture
from grid.tracking.row_facts import RowFacts, found_out, warnings_of
from grid.tracking.runs import PLAIN, VIEWED, Entry, Runs
from grid.tracking.search_runs import mirror_search
from grid.tracking.stage_runs import VERSIONS, manifests, mirror_stage
from grid.tracking.work_times import around, of_stage
from painmodels.tasks import Task, task_of_run


class Mirror:
    """One result folder and one tracking server or database. Every method may raise MlflowException."""

    def __init__(self, out: Path, uri: str) -> None:
        self.out = out
        self.run = json.loads((out / "run.json").read_text(encoding="utf-8"))
        self.task = task_of_run(self.run)
        cells = json.loads((out / "cells.json").read_text(encoding="utf-8"))
        self.cells = [{"repeat": 0, "seed": 0, **cell} for cell in cells]
        self.scores = with_axes(pd.read_csv(out / "scores.csv"))
        predictions = out / "predictions.parquet"
        self.predictions = pd.read_parquet(predictions) if predictions.exists() else None
        self.client = MlflowClient(uri, registry_uri=uri)  # MLFLOW_REGISTRY_URI would take models elsewhere
        self.writers = 1 if uri.startswith("sqlite") else 4  # a database file takes one at a time
        self.name: str = self.run["experiment"]["name"]
        self.apart = _apart(self.run["experiment"], out)
        self.facts = RowFacts(self.run, self.task, self.scores, self.predictions)
        self.marks: dict[tuple[str, str], Mark] = {}
        self.found: dict[tuple[str, str], dict[str, Any]] = {}
        """Of each row and scenario: values, the claim against chance, and whether it is marked."""
        self.place = None if uri.startswith("http") else (out / "mlartifacts").resolve().as_uri()
        self.runs = Runs(self.client, self.name, self.place)
        self.known = CellFacts(self.run)
        self.row_ids: list[str] = []
        self.fold_ids: dict[tuple[str, int, int], str] = {}
        """Run of a cell, by the key of its predictions, its repeat and its fold."""

    def sync(self) -> dict[str, int]:
        """Mirror everything; how many runs were made, updated and found as they should be."""
        every = [self.runs]
        self.known.stages = manifests(self.cells, Store(self.out / "store"))
        with ThreadPoolExecutor(self.writers) as pool:  # a server answers while another request is on its way
            if self.known.stages:
                every.append(stage_runs := Runs(self.client, f"{self.name} stages", self.place))
                keys = list(self.known.stages)
                ids = _all(pool, lambda key: mirror_stage(stage_runs, self.known.stages[key], self.known.common()), keys)
                self.known.stage_ids = dict(zip(keys, ids, strict=True))
                self.known.stage_experiment = stage_runs.experiment
            rows: dict[tuple[str, str], list[dict]] = defaultdict(list)
            for cell in self.cells:
                if cell["status"] != "impossible":
                    rows[cell["modality"], cell["scenario"]].append(cell)
            self.marks = {name: self.known.mark(cells) for name, cells in rows.items()}
            self.row_ids = _all(pool, lambda found: self._row(*found), [(*key, cells) for key, cells in rows.items()])
            if searches := _read_searches(self.out):
                every.append(search_runs := Runs(self.client, f"{self.name} searches", self.place))
                ended_s = (self.out / "searches.json").stat().st_mtime
                _all(pool, lambda search: mirror_search(search_runs, search, self.known.common(), ended_s), searches)
        report = self._report()
        for runs in every:
            runs.settle()
        for runs in every[1:]:
            runs.describe()
        mine = f"#/experiments/{self.runs.experiment}/runs"
        table = f"{mine}/{report}/artifacts/{PAGE}?{PLAIN}"
        self.runs.describe(
            f"{_of_no_pain(self.run, self.task)}A run per row and scenario, below it a run per fold. "
            f"[{self.task.main.title} of all rows]({table}) · "
            f"[Table of the rows]({mine}?{VIEWED}) · [Compare the rows]({compare_page(self)}) · "
            + " · ".join(f"[{runs.name}](#/experiments/{runs.experiment}/runs?{PLAIN})" for runs in every[1:])
        )
        return {what: sum(runs.count[what] for runs in every) for what in self.runs.count}

    def _report(self) -> str:
        """The run with all rows on one page, and the report where the files stay in the result folder; its id."""
        rows = {name: self.found[name] for name in self.marks}
        span = around(of_stage(stage) for stage in self.known.stages.values())
        report = self.out / "report.html" if self.place else None
        return mirror_report(self.runs, page(self.name, self.task.main, rows), self.known.common(), span, report)

    def _row(self, modality: str, scenario: str, cells: list[dict]) -> str:
        parent = self._parent(modality, scenario, cells)
        for cell in cells:
            self._child(cell, parent)
        return parent

    def _parent(self, modality: str, scenario: str, cells: list[dict]) -> str:
        facts = {"modality": modality, "method": row(modality).method, "scenario": scenario, **self.known.common()}
        settings = self.known.settings(cells)
        apart = ("code_version", "data", "method")
        key = digest(["row", {k: v for k, v in facts.items() if k not in apart}, settings])
        values = self.facts.values(modality, scenario)
        if self.apart:
            facts |= {name: str(value) for name, value in self.apart.items()}
            key = digest([key, self.apart])
        tags_of_learning, counts = self.known.learned(cells)
        marked = {m for (m, s), mark in self.marks.items() if s == scenario and mark.marked}
        mark = self.marks[modality, scenario]
        found, p_value = found_out(self.facts, modality, scenario, values=values, mark=mark, marked=marked)
        values |= counts | p_value
        self.found[modality, scenario] = {"values": values, "claim": found["claim"], "marked": mark.marked}
        predictions = self.facts.of(modality, scenario)
        picture = not predictions.empty
        if picture:
            found["mlflow.note.content"] += "\n\n![folds, confusion, ROC](get-artifact?path=row.png&run_uuid={run_id})"
        failed = [c for c in cells if c["status"] == "failed"]
        tags = {**facts, "kind": "row", "mlflow.runName": f"{modality} · {scenario}", "failed_folds": str(len(failed))}
        tags |= tags_of_learning | found | warnings_of(self.run, cells)
        mine = self.scores[(self.scores.modality == modality) & (self.scores.scenario == scenario)]
        folds = mine[self.task.main.name].tolist()
        return self.runs.write(
            Entry(
                key,
                tags,
                _params(facts, settings),
                [(m, v, 0) for m, v in values.items()],
                failed=bool(failed),
                span=around(of_stage(self.known.stages.get(fit["key"])) for cell in cells for fit in cell["fits"]),
                files=(lambda: {"row.png": row_picture(predictions, folds, self.task)}) if picture else {},
            )
        )

    def _child(self, cell: dict, parent: str) -> None:
        facts = {**{k: str(cell[k]) for k in ("modality", "scenario", *AXES)}, **self.known.common()}
        facts["method"] = row(cell["modality"]).method
        params = _params(facts, self.known.settings([cell])) | {
            "n_train": str(cell["n_train"]),
            "n_test": str(cell["n_test"]),
        }
        tags = {
            **facts,
            "kind": "fold",
            "mlflow.parentRunId": parent,
            "mlflow.runName": " · ".join([cell["modality"], cell["scenario"], *_place(cell)]),
        }
        tags["stages"] = " ".join(f"{f['stage']}/{f['key']}" for f in cell["fits"])
        tags |= self.known.links(cell) | warnings_of(self.run, [cell])
        searches = dict.fromkeys(f["search"] for f in cell["fits"] if f.get("search"))
        if searches:
            tags["searches"] = " ".join(searches)
        tags["predictions"] = f"predict/{cell['predict']}"
        metrics: list[tuple[str, float, int]] = []
        if cell["status"] == "done":
            score = self.scores
            for name in CELL:
                score = score[score[name] == cell[name]]
            metrics += [(m.name, float(score[m.name].iloc[0]), 0) for m in self.task.metrics]
            for fit in cell["fits"]:
                metrics += self.known.curve(fit)
            tags_of_learning, counts = self.known.learned([cell])
            tags |= tags_of_learning
            metrics += [(name, value, 0) for name, value in counts.items()]
        else:
            tags["reason"] = cell["reason"][:4000]
        # folds of two partitions that are the same trials share their predictions, and are runs of their own all the same
        others = [cell["repeat"], cell["fold"], self.apart] if cell["repeat"] or self.apart else []
        key = digest(["fold", cell["predict"], *others])
        span = around(of_stage(self.known.stages.get(fit["key"])) for fit in cell["fits"])
        run = self.runs.write(Entry(key, tags, params, metrics, failed=cell["status"] != "done", span=span))
        self.fold_ids[cell["predict"], cell["repeat"], cell["fold"]] = run


def compare_page(mirror: Mirror) -> str:
    """The address of MLflow's page that shows all rows side by side, without the server's name. Call after `sync`."""
    runs, experiments = (quote(json.dumps(ids)) for ids in (mirror.row_ids[:60], [mirror.runs.experiment]))
    return f"#/compare-runs?runs={runs}&experiments={experiments}&{PLAIN}"


def _params(facts: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Parameters whose alphabet puts modality, method, protocol and scenario before every setting: MLflow compares the first."""
    named = {VERSIONS.get(name, name): value for name, value in facts.items()}
    return {**named, **{f"settings.{name}": value for name, value in settings.items()}}


def _apart(experiment: dict[str, Any], out: Path) -> dict[str, Any]:
    """The seeds that a grid begins with, where they are not 0, and how else its folds were made: what keeps it beside another of
    that name on a server."""
    protocol = experiment.get("protocol", {})
    begins: dict[str, Any] = {
        "partition_seed": protocol.get("seed", 0),
        "stratified_by": "+".join(protocol.get("stratify", ())),
        "folds_of_the_whole": int(protocol.get("inherit", False)),
        "folds_from": protocol.get("folds_from") and digest((out / "folds.csv").read_text(encoding="utf-8")),
        "first_fit_seed": experiment.get("fit", {}).get("seeds", [0])[0],
    }
    return {name: value for name, value in begins.items() if value}


def _place(cell: dict[str, Any]) -> list[str]:
    """The name of a cell's run within its row; the first partition and seed 0 are not named."""
    others = [f"{axis} {cell[axis]}" for axis in ("repeat", "seed") if cell[axis]]
    return [*others, f"fold {cell['fold']}"]


def _read_searches(out: Path) -> list[dict[str, Any]]:
    path = out / "searches.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _of_no_pain(run: Mapping[str, Any], task: Task) -> str:
    """What the experiment's description says first where the data are of nobody's pain."""
    if run["data"].get("synthetic"):
        return f"**{SYNTHETIC.capitalize()}: they say nothing about pain.** "
    if run["data"].get("pain") is False:
        return f"**Of {' and '.join(task.names)}, not of pain: they say nothing about pain.** "
    return ""


def _all(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Results of `work` for each item. Raises the first error, once what has begun is over; the rest is not begun."""
    waiting = [pool.submit(work, item) for item in items]
    try:
        return [w.result() for w in waiting]
    except BaseException:
        for w in waiting:
            w.cancel()
        raise
