"""A method is one file: its parts are planned, trained, searched and stored like those of the paper's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from safetensors.numpy import load_file

from dataprep.datasets import dataset
from grid.experiment.cells import row
from grid.experiment.config import load
from grid.launch import main
from grid.plan.nodes import graph
from painmodels import methods as package
from painmodels.methods.graph import Input, Method, Part
from painmodels.registry import network

TWO_STEPS = Method(
    "two-steps",
    on=("eda", "ecg"),
    several=True,
    parts=lambda words, choice: (
        Part("summary", (Input("signals"),), trained=network("physiological", "lstm")),
        Part("verdict", (Input(part="summary"), Input(part="summary")), trained=network("fusion", "concat")),
    ),
)
SETTINGS = """
[methods.two-steps.summary]
hidden = 4
epochs = 1
[methods.two-steps.verdict]
epochs = 1
[methods.rf]
trees = 3
"""
SEARCH = """
[search]
trials = 3
inner_folds = 2
[search.methods.rf]
trees = [3, 5, 200]
leaf = [1, 3]
"""


@pytest.fixture
def with_two_steps(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = {**package.methods(), TWO_STEPS.name: TWO_STEPS}
    monkeypatch.setattr(package, "methods", lambda: found)
    return package


def test_a_method_of_two_parts(
    with_two_steps: ModuleType, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_experiment.read_text() + SETTINGS)
    base = ["--data", str(tiny_data), "--experiment", str(mine), "--scenarios", "all87", "--folds", "0", "--in-process"]
    out = tmp_path / "out"
    assert main([*base, "--modalities", "eda+ecg:two-steps", "--out", str(out)]) == 0
    (cell,) = json.loads((out / "cells.json").read_text())
    assert [fit["role"] for fit in cell["fits"]] == ["summary", "verdict"]
    assert [fit["stage"] for fit in cell["fits"]] == ["fit-two-steps-summary-eda+ecg", "fit-two-steps-verdict-eda+ecg"]
    assert len(pd.read_csv(out / "scores.csv")) > 0
    assert main([*base, "--modalities", "video:two-steps", "--out", str(tmp_path / "no")]) == 2
    assert "the method two-steps cannot see 'video'; it sees eda, ecg joined by +" in capsys.readouterr().err


@pytest.mark.slow
def test_an_estimator_is_searched_like_a_network(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_experiment.read_text() + SEARCH)
    base = ["--data", str(tiny_data), "--experiment", str(mine), "--scenarios", "all87", "--folds", "0", "--in-process"]
    out = tmp_path / "out"
    assert main([*base, "--modalities", "eda:rf", "--out", str(out)]) == 0
    (search,) = json.loads((out / "searches.json").read_text())
    assert {t["state"] for t in search["trials"]} == {"complete"}
    (cell,) = json.loads((out / "cells.json").read_text())
    chosen = cell["fits"][0]["settings"]["trees"]
    assert chosen in (3, 5, 200)
    (file,) = (out / "store").glob("fit-rf-eda/*/arrays.safetensors")
    assert load_file(file)["network.root"].shape == (chosen,)


def test_a_method_of_two_classes_is_no_row_of_three(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_experiment.read_text() + '\n[task]\nclasses = ["BL1", "PA1", "PA4"]\n')
    base = ["--data", str(tiny_data), "--experiment", str(mine), "--scenarios", "all87", "--folds", "0", "--in-process"]
    assert main([*base, "--modalities", "eda:argmax", "--out", str(tmp_path / "out")]) == 2
    assert (
        "the method argmax tells two classes apart and does no other task; this one is multiclass (BL1, PA1, PA4)"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("row_name", "steps", "reason"),
    [
        ("eda:painattn-native", (0, 240), "needs at least .* samples of signals_native, 60 s of stress-predict have 240"),
        ("eda:painattn", (0, 20), "needs at least .* steps of signals, 5 s of stress-predict have 20"),
        ("eda:cnn-lstm", (10, 13), "needs at least 4 steps of signals, 0.75 s of stress-predict have 3"),
        ("eda:cnn-lstm-native", (0, 240), ""),
        ("eda:painattn", (0, 240), ""),
        ("eda:rf", (0, 3), ""),
    ],
)
def test_a_window_that_is_too_short_for_a_network_is_refused_before_any_work(
    row_name: str, steps: tuple[int, int], reason: str
) -> None:
    (node,) = graph(load("methods-demo"), row(row_name))
    said = node.why_not(dataset("stress-predict"), steps)
    assert re.search(reason, said) if reason else not said


def test_more_inner_folds_than_people_are_told_by_their_key(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_experiment.read_text() + SEARCH.replace("inner_folds = 2", "inner_folds = 50"))
    what = ["--modalities", "eda:rf", "--scenarios", "all87", "--folds", "0", "--data", str(tiny_data), "--plan"]
    assert main([*what, "--experiment", str(mine), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert re.search(
        r"50 inner folds asked for, but \d people train in subject fold 0 of all87: lower \[search\] inner_folds", said
    )
