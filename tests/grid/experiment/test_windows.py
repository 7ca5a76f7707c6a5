"""Which part of a trial a scenario uses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dataprep.datasets import dataset
from dataprep.records import InputError
from grid.experiment.config import load
from grid.experiment.scenarios import window
from grid.launch import main
from painmodels.export import from_run

BIOVID = dataset("biovid")


@pytest.mark.parametrize(
    ("table", "steps"),
    [
        ({}, (0, 138)),
        ({"skip_s": 2.0}, (50, 138)),
        ({"end_s": 4.0}, (0, 100)),
        ({"skip_s": 1.0, "end_s": 3.0}, (25, 75)),
    ],
)
def test_a_window_begins_and_ends_where_the_scenario_says(table: dict, steps: tuple[int, int]) -> None:
    mine = load("paper", scenarios={"all87": {"subset": "all", **table}})
    assert window(BIOVID, mine.scenario("all87")) == steps


@pytest.mark.parametrize("table", [{"end_s": 9.0}, {"skip_s": 3.0, "end_s": 3.0}, {"skip_s": 3.0, "end_s": 1.0}])
def test_a_window_that_a_trial_has_not_is_refused(table: dict) -> None:
    mine = load("paper", scenarios={"all87": {"subset": "all", **table}})
    with pytest.raises(InputError, match=r"scenario all87: found end_s .* expected above skip_s .* at most 5\.52 s"):
        window(BIOVID, mine.scenario("all87"))


@pytest.mark.slow
def test_a_row_sees_its_window_alone(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """In training, in the grid's predictions and in a trained row in use; what is of a trial to its end is refused."""
    text = tiny_experiment.read_text()
    assert text.count("skip_s = 2.0") == 1
    (tmp_path / "mine.toml").write_text(text.replace("skip_s = 2.0", "skip_s = 1.0\nend_s = 3.0"))
    out = tmp_path / "out"
    shutil.copytree(tiny_grid / "store", out / "store")
    what = ["--modalities", "eda,emg:rf", "--scenarios", "expressive67", "--folds", "0", "--data", str(tiny_data)]
    main([*what, "--experiment", str(tmp_path / "mine.toml"), "--out", str(out), "--in-process"])
    cells = {cell["modality"]: cell for cell in json.loads((out / "cells.json").read_text())}
    assert "the scenario ends before (end_s)" in cells["emg:rf"]["reason"]
    fits = [json.loads(p.read_text()) for p in (out / "store" / "fit-physiological-eda").glob("*/manifest.json")]
    assert [25, 75] in [fit["stage"]["params"]["steps"] for fit in fits]
    model = from_run(out, "eda/expressive67/fold0")
    of_grid = pd.read_parquet(out / "predictions.parquet")
    of_grid = of_grid[of_grid.modality == "eda"].set_index("sample_name")
    for trial in list(of_grid.index)[:2]:
        file = next((tiny_data / "biosignals_filtered").rglob(f"{trial}_bio.csv"))
        assert model.predict(signals=file).p_pain == pytest.approx(of_grid.loc[trial, "p_pain"], abs=1e-4)
