"""Result folders made up for tests: every file of the contract, written from a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grid.experiment.cells import PAPER_ROWS
from grid.results.tables import scores_table

SKILL = {
    "frame": 0.25,
    "video": 0.7,
    "ecg": 0.8,
    "eda": 1.9,
    "eda+video": 2.0,
    "ecg+video": 0.9,
    "eda+ecg": 1.95,
    "eda+ecg+video": 2.0,
}
PEOPLE = [f"{101 + s:06d}_{'mw'[s % 2]}_{20 + s % 45}" for s in range(87)]
SCENARIOS = {"all87": PEOPLE, "expressive67": [name for name in PEOPLE if int(name[-2:]) < 54][:67]}


def fake_predictions(
    *,
    rows: tuple[str, ...] = PAPER_ROWS,
    scenarios: dict[str, list[str]] = SCENARIOS,
    folds: int = 10,
    trials: int = 40,
    frames: int = 3,
    protocol: str = "subject",
) -> pd.DataFrame:
    """Logits of a subject's trials scatter about +-skill; a subject's own offset makes subjects differ. `frames` a trial."""
    rng = np.random.default_rng(7)
    parts = []
    for scenario, subjects in scenarios.items():
        s, i = (a.ravel() for a in np.meshgrid(np.arange(len(subjects)), np.arange(trials), indexing="ij"))
        for row in rows:
            repeat = frames if row == "frame" else 1
            y, sub, trial = (np.repeat(a, repeat) for a in (i % 2, s, i))
            ability = rng.normal(1, 0.35, len(subjects))[sub]
            logit = SKILL.get(row, 1.0) * ability * (2 * y - 1) + rng.normal(0, 1.4, len(y))
            part = pd.DataFrame(
                {"modality": row, "scenario": scenario, "protocol": protocol, "fold": sub % folds}, index=range(len(y))
            )
            part["subject_name"] = np.array(subjects)[sub]
            part["sample_name"] = part["subject_name"] + "-" + pd.Series(trial).astype(str)
            part["frame"] = pd.array(np.tile(np.arange(repeat), len(s)), dtype="Int64") if row == "frame" else pd.NA
            parts.append(part.assign(y_true=y, p_pain=1 / (1 + np.exp(-logit))).astype({"frame": "Int64"}))
    return pd.concat(parts, ignore_index=True)


def fake_run(**changes: Any) -> dict[str, Any]:
    """run.json of a full run on real data with nothing to warn of; `changes` replace its top-level entries."""
    run: dict[str, Any] = {
        "experiment": {"name": "paper", "axes": {"modality": list(PAPER_ROWS)}, "epochs": {"spatial": 30}},
        "command": "python -m grid.launch --experiment paper",
        "data": {
            "name": "biovid",
            "title": "BioVid Part A",
            "path": "/data/PartA",
            "fingerprint": "9f2c",
            "subjects": 87,
            "trials": 3480,
        },
        "protocol": "subject",
        "folds": 10,
        "scenarios": {
            "all87": {"subset": "all", "skip_s": 0.0, "subjects": 87, "folds": 10, "not_the_papers": ""},
            "expressive67": {"subset": "expressive", "skip_s": 2.0, "subjects": 67, "folds": 10, "not_the_papers": ""},
        },
        "trunk": {"name": "alexnet-fer-bn", "provenance": "file", "random": False, "fingerprint": "ab12"},
        "signals": {"normalise": "trial"},
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "commit": "0123abc",
        "hardware": {"cpus": 16, "gpus": 1},
        "stages": [{"stage": "prepare", "count": 3480, "done": 3480, "reused": 0, "failed": 0, "seconds": 4210.5}],
        "started": "2026-01-02T03:04:05Z",
        "seconds": 20000.0,
        "notes": [],
    }
    run["data"]["synthetic"] = False
    return {**run, **changes}


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """make_folder(predictions, run=…, failures=…, quarantine=…, curves=…, cells=…) writes a result folder and returns it."""

    def write(predictions: pd.DataFrame, *, run: dict[str, Any] | None = None, **tables: Any) -> Path:
        folder = tmp_path / "result"
        folder.mkdir()
        predictions.to_parquet(folder / "predictions.parquet")
        scores_table(predictions, cells=tables.pop("cells", ())).to_csv(folder / "scores.csv", index=False)
        (folder / "run.json").write_text(json.dumps(fake_run() if run is None else run))
        for name, table in tables.items():
            if name == "curves":
                table.to_parquet(folder / "curves.parquet")
            else:
                table.to_csv(folder / f"{name}.csv", index=False)
        return folder

    return write


@pytest.fixture
def predict() -> Callable[..., pd.DataFrame]:
    """`fake_predictions`, for tests that need other grids than the full one."""
    return fake_predictions


@pytest.fixture
def run_record() -> Callable[..., dict[str, Any]]:
    """`fake_run`."""
    return fake_run
