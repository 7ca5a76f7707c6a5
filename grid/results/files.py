"""From stored predictions to tables. Held-out labels meet predictions here and nowhere before.

Everything in the result folder can be written again from the store at any time; each file is replaced atomically.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dataprep.outputs import drafted, shown
from dataprep.records import SYNTHETIC, Defect
from grid.experiment.cells import CELL, Cell, is_signal
from grid.plan.specs import Fit, Plan, Search, fits_of
from grid.results import cards, learned, tables
from grid.results.axes import AXES
from grid.results.scaling import sees_test_side
from grid.results.stored_fits import costs_table, learning_table
from grid.results.table2_files import write_table2
from grid.store.artefacts import Store
from painmodels.methods import PAPER
from painmodels.methods.calibrate import ROLE as CALIBRATION
from painmodels.methods.calibrate import UNCALIBRATED
from painmodels.registry import said
from painmodels.tasks import Task


def predictions(plan: Plan, store: Store, targets: Mapping[str, float], task: Task, *, before: bool = False) -> pd.DataFrame:
    """A row per held-out trial and cell (per frame in the `frame` row, where `frame` counts from the trial's start).

    `targets` are what was to be learnt of each trial; `y_true` and the columns of a prediction are as the task says. `before`:
    of cells that were recalibrated, and as it was before that.
    """
    parts = []
    for cell in plan.cells:
        predict = plan.predicts.get(cell)
        if predict is None or not store.has(predict.stage):
            continue
        if before and predict.fit.role != CALIBRATION:
            continue
        p = store.arrays(predict.stage)[UNCALIBRATED if before else task.stored]
        per_frame = p.ndim > (1 if len(task.columns) == 1 else 2)
        per_trial = p.shape[1] if per_frame else 1
        first = predict.fit.steps[0]
        frames = np.tile(np.arange(first, first + per_trial), len(p)) if per_frame else [pd.NA] * len(p)
        ids = np.repeat(predict.test.trial_ids, per_trial)
        read_NC = task.read(p)
        parts.append(
            pd.DataFrame(
                {
                    **{name: getattr(cell, name) for name in CELL},
                    "subject_name": np.repeat(predict.test.subjects, per_trial),
                    "sample_name": ids,
                    "frame": pd.array(frames, dtype="Int64"),
                    "y_true": np.repeat([task.truth(targets[t]) for t in predict.test.trial_ids], per_trial),
                    **{name: read_NC[:, c] for c, name in enumerate(task.columns)},
                }
            )
        )
    columns = tables.prediction_columns(task)
    if not parts:
        kinds: dict[str, Any] = {
            "fold": int,
            "repeat": int,
            "seed": int,
            "frame": "Int64",
            "y_true": int if task.n_classes else float,
        }
        return pd.DataFrame(columns=columns).astype({**kinds, **dict.fromkeys(task.columns, float)})
    return pd.concat(parts, ignore_index=True)[columns]


def statuses(
    plan: Plan, store: Store, failed: Mapping[str, str], earlier: Mapping[Cell, tuple[str, str]] | None = None
) -> dict[Cell, tuple[str, str]]:
    """Per cell 'done', 'failed' or 'impossible', and the reason; `earlier` are those of cells that were not asked for now."""
    out = {}
    for cell in plan.cells:
        there = cell in plan.predicts and store.has(plan.predicts[cell].stage)
        if earlier and cell in earlier and not there:
            out[cell] = earlier[cell]
        elif cell in plan.impossible:
            out[cell] = ("impossible", plan.impossible[cell])
        elif cell in plan.predicts and not there and plan.lacks_test(plan.predicts[cell]):
            out[cell] = ("failed", plan.lacks_test(plan.predicts[cell]))
        elif cell in plan.waiting:
            out[cell] = ("failed", failed.get(plan.waiting[cell], "its hyperparameter search has not ended"))
        elif there:
            out[cell] = ("done", "")
        else:
            out[cell] = ("failed", failed.get(plan.predicts[cell].fit.stage.key, "not run"))
    return out


def write(
    out: Path,
    *,
    plan: Plan,
    store: Store,
    targets: Mapping[str, float],
    task: Task,
    failed: Mapping[str, str],
    defects: list[Defect],
    odd: list[Defect],
    earlier: Mapping[Cell, tuple[str, str]],
    run: Mapping[str, Any],
    people: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Write every table of the result folder; returns scores.csv's table. `people`: file name -> table (people_tables.py)."""
    table = predictions(plan, store, targets, task)
    state = statuses(plan, store, failed, earlier)
    learning = learning_table(plan, store)
    scores = tables.scores_table(table, cells=[astuple(c) for c in plan.cells], task=task)
    scores = tables.with_learning(scores, learning)
    data = _data(run)
    problems = [(*astuple(c), *s) for c, s in state.items() if s[0] != "done"]
    problems += [
        ("", "", "", -1, 0, 0, "preparation failed", f"{t} ({part}): {why}") for (part, t), why in plan.unprepared.items()
    ]
    failures = pd.DataFrame(problems, columns=[*CELL, "status", "reason"])
    _replace(out / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
    (out / "uncalibrated.parquet").unlink(missing_ok=True)
    if any(p.fit.role == CALIBRATION for p in plan.predicts.values()):
        was = predictions(plan, store, targets, task, before=True)
        _replace(out / "uncalibrated.parquet", lambda p: was.to_parquet(p, index=False))
    write_csv(out / "scores.csv", scores, data=data)
    if "people" in task.sections:
        write_csv(out / "subject_scores.csv", tables.subject_table(table, task), data=data)
    write_csv(out / "failures.csv", failures, data=data)
    for name, rows in people.items():
        write_csv(out / name, rows, data=data)
    write_quarantine(out, defects, data=data)
    write_quarantine(out, odd, data=data, name="odd.csv")
    _replace(out / "curves.parquet", lambda p: _curves(plan, store).to_parquet(p, index=False))
    _replace(out / "attention.parquet", lambda p: attention(plan, store, targets, task).to_parquet(p, index=False))
    write_csv(out / "costs.csv", costs_table(plan, store), data=data)
    write_csv(out / "learning.csv", learning, data=data)
    summary = tables.table2(scores, table, learned.marks(learning), run, task=task)
    write_table2(summary, out, task=task, data=data)
    write_json(out / cards.FILE, cards.cards(run, task, scores, table, learned.marks(learning)))
    write_json(out / "cells.json", [cell_record(plan, c, *state[c]) for c in plan.cells])
    write_json(out / "searches.json", [search_record(s, store) for s in _in_order(plan.decided.values())])
    write_json(out / "run.json", dict(run))
    return scores


def write_quarantine(out: Path, defects: Iterable[Defect], *, data: str, name: str = "quarantine.csv") -> None:
    """Write quarantine.csv: the recordings left out, and why; or odd.csv: those used although something is odd.

    `channels`: those at fault, where others of the file are used.
    """
    rows = [{**vars(d), "channels": " ".join(d.channels)} for d in _ordered(defects)]
    table = pd.DataFrame(rows, columns=["trial_id", "subject", "part", "file", "reason", "channels"])
    write_csv(out / name, table, data=data)


def write_csv(path: Path, table: pd.DataFrame, *, data: str) -> None:
    """Replace a table in one step. Its last column, `data`, says what the numbers are of, so that no table is without it."""
    _replace(path, lambda p: table.assign(data=data).to_csv(p, index=False, errors="backslashreplace"))


def _data(run: Mapping[str, Any]) -> str:
    """The mark of a run's data set (dataprep.records.DataSet.mark)."""
    return SYNTHETIC if run["data"]["synthetic"] else str(run["data"]["name"])


def _ordered(defects: Iterable[Defect]) -> list[Defect]:
    """In one order, whether they were met now or are known from an earlier run."""
    return sorted(defects, key=lambda d: (d.part, d.trial_id, d.file, d.reason))


def search_record(search: Search, store: Store) -> dict[str, Any]:
    """A search that has ended: what and where it searched, the experiment's own values, and the facts that it stored."""
    space = {k: v if isinstance(v, list) else v.model_dump() for k, v in search.space.items()}
    seen = search.part.words
    return {
        "stage": search.stage.name,
        "key": search.stage.key,
        "role": search.role if search.part.method == PAPER else search.part.method,
        "signals": list(filter(is_signal, seen)),
        "scope": search.options.scope,
        "scenario": search.scenario,
        "fold": search.fold,
        "repeat": search.repeat,
        "space": space,
        "own": {name: search.own[name] for name in space},
        **store.facts(search.stage),
    }


def _in_order(searches: Iterable[Search]) -> list[Search]:
    """By name, scenario, partition and fold: the order in which searches end differs from run to run."""
    return sorted(searches, key=lambda s: (s.stage.name, s.scenario, s.repeat, s.fold, s.stage.key))


def cell_record(plan: Plan, cell: Cell, status: str, reason: str) -> dict[str, Any]:
    """The facts of a cell that the MLflow mirror needs."""
    record: dict[str, Any] = {**vars(cell), "status": status, "reason": reason, "predict": "", "fits": []}
    if cell in plan.predicts:
        predict = plan.predicts[cell]
        record["predict"] = predict.stage.key
        record["fits"] = [_fit_record(f) for f in fits_of(predict.fit)]
        record["n_train"] = len(predict.fit.train.trial_ids)
        record["n_test"] = len(predict.test.trial_ids)
        record["scaling_sees_test_side"] = sees_test_side(predict.fit)
        record |= {"adapt": predict.adapt} if predict.adapt else {}
    return record


def _fit_record(fit: Fit) -> dict[str, Any]:
    settings = {"network": fit.part.network, **said(fit.settings)}
    record = {"stage": fit.stage.name, "key": fit.stage.key, "role": fit.role, "settings": settings, "search": fit.search}
    return {**record, "normalise": fit.normalise}


def _curves(plan: Plan, store: Store) -> pd.DataFrame:
    """Learning curves of every stored fit: a row per epoch."""
    rows = []
    for fit in plan.fits.values():
        if store.has(fit.stage):
            name = fit.stage.name.removeprefix("fit-")
            where = {"scenario": fit.scenario, "fold": fit.fold, "repeat": fit.repeat, "seed": fit.seed}
            rows += [{"stage": name, **where, **point} for point in store.facts(fit.stage)["curve"]]
    columns = ["stage", "scenario", *AXES, "epoch", "loss", "accuracy", "gradient_norm", "lr"]
    return pd.DataFrame(rows, columns=columns)


def attention(plan: Plan, store: Store, targets: Mapping[str, float], task: Task) -> pd.DataFrame:
    """Mean attention by what was true: a row per cell that ends in the attention, `y_true` and step (from the trial's start).

    `weight` is times the number of steps: 1 is what a blind mean would give each of them.
    """
    rows = []
    for cell, predict in plan.predicts.items():
        if predict.fit.part.keeps != "attention" or not store.has(predict.stage):
            continue
        weights_NT = store.arrays(predict.stage).get("attention")
        if weights_NT is None:  # made before attention was kept
            continue
        y_N = np.array([task.truth(targets[t]) for t in predict.test.trial_ids])
        for value in np.unique(y_N):
            mean_T = weights_NT[y_N == value].mean(axis=0) * weights_NT.shape[1]
            steps = np.arange(len(mean_T)) + predict.fit.steps[0]
            rows.append(pd.DataFrame({**vars(cell), "y_true": value, "step": steps, "weight": mean_T}))
    columns = [*CELL, "y_true", "step", "weight"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    with drafted(path) as draft:
        write(draft)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    _replace(path, lambda p: p.write_text(json.dumps(_encodable(value), indent=1), encoding="utf-8"))


def _encodable(value: Any) -> Any:
    """The same with every text shown as it can be written: a path may hold bytes that are no UTF-8."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {_encodable(k): _encodable(v) for k, v in value.items()}
    return [_encodable(v) for v in value] if isinstance(value, list | tuple) else value
