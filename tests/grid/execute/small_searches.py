"""Searches on signals so short that a fit takes milliseconds, for the tests of hyperparameter search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataprep.records import DataSet, SampleIndex
from grid.execute.executor import Prepared
from grid.execute.in_process_executor import InProcess
from grid.execute.scheduler import Scheduler
from grid.experiment import config
from grid.experiment.config_tables import Execution
from grid.plan.planner import Planner
from grid.plan.specs import Inputs
from grid.store.artefacts import Store

STEPS = 10
TOML = """
name = "small"
[axes]
modalities = ["eda"]
scenarios = ["everybody"]
[scenarios.everybody]
subset = "all"
[protocol]
folds = {folds}
seed = {seed}
[fit]
seeds = [{seed}]
[trunk]
name = "mini-xception-fer"
[signals]
normalise = "train"
[physiological]
hidden = 4
layers = 1
epochs = {epochs}
batch = 6
lr = {lr}
[search]
algorithm = "{algorithm}"
trials = {trials}
inner_folds = 2
scope = "{scope}"
prune = {prune}
[search.physiological]
lr = {{low = {low}, high = 1.0, log = true}}
{more}
"""


def experiment(tmp_path: Path, **values: Any) -> config.Experiment:
    defaults = {
        "seed": 0,
        "folds": 3,
        "epochs": 9,
        "lr": 1e-7,
        "low": 1e-7,
        "algorithm": "tpe",
        "trials": 4,
        "scope": "fold",
        "prune": "true",
        "more": "",
    }
    file = tmp_path / "small.toml"
    file.write_text(TOML.format(**{**defaults, **values}))
    return config.load(str(file))


def people(n: int, trials: int, *, planted: bool, seed: int = 0) -> tuple[SampleIndex, dict[str, np.ndarray]]:
    """`n` subjects with `trials` a class; a planted signal rises with pain."""
    rng = np.random.default_rng(seed)
    rows, x = [], {}
    for s in range(n):
        for y in (0, 1):
            for i in range(trials):
                name = f"s{s:02d}-{y}-{i}"
                rows.append((name, f"s{s:02d}", y))
                x[name] = (
                    rng.normal(size=(STEPS, 1)) + (planted and (2 * y - 1) * np.linspace(0, 2, STEPS)[:, None])
                ).astype("f4")
    ids, subjects, labels = zip(*rows, strict=True)
    return SampleIndex(ids, subjects, labels), x


def run(
    setup: config.Experiment,
    out: Path,
    index: SampleIndex,
    x: Mapping[str, np.ndarray],
    marks: Mapping[str, str] | None = None,
    folds: tuple[int, ...] | None = None,
) -> tuple[Planner, Store]:
    """The grid of an experiment on these signals, in this process."""
    work, failed = worked(setup, Store(out), index, x, marks, folds)
    assert failed == {}
    assert not work.planner.plan.waiting
    return work.planner, work.store


def worked(
    setup: config.Experiment,
    store: Store,
    index: SampleIndex,
    x: Mapping[str, np.ndarray],
    marks: Mapping[str, str] | None = None,
    folds: tuple[int, ...] | None = None,
) -> tuple[Scheduler, dict[str, str]]:
    """The same, whether it fails or not: the scheduler, and the reasons of what failed."""
    planner = planned(setup, store, index, marks, folds)
    work = Scheduler(planner, store, lambda **_: None)
    return work, InProcess(store, Execution()).work(work, Prepared({}, signals=dict(x)), {})


def planned(
    setup: config.Experiment,
    store: Store,
    index: SampleIndex,
    marks: Mapping[str, str] | None = None,
    folds: tuple[int, ...] | None = None,
) -> Planner:
    """The plan, as far as searches have ended in the store."""
    unread = lambda *_: None  # noqa: E731
    data = DataSet(
        name="small",
        title="small",
        clock_hz=25.0,
        n_steps=STEPS,
        channels=("eda",),
        classes={0: "no", 1: "yes"},
        negative=0,
        positive=1,
        recognise=unread,
        read_trials=unread,
        read_signals=unread,
    )  # type: ignore[arg-type]
    keys = {"eda": {t: (marks or {}).get(t, t) for t in index.trial_ids}, "video": {}}
    winner = lambda stage: store.facts(stage)["winner"] if store.has(stage) else None  # noqa: E731
    planner = Planner(setup, data, Inputs(index, keys), winner)
    planner.build(["eda"], ["everybody"], folds)
    return planner


def without_seconds(value: Any) -> Any:
    """Facts without what the clock says."""
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if k != "seconds"}
    return [without_seconds(v) for v in value] if isinstance(value, list) else value
