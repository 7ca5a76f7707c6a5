"""A grid on a data set by a table: scenarios and rows speak of its subsets and channels; its model reads its files."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dataprep.datasets import dataset, recognise
from dataprep.manifest.command import EXAMPLE
from grid.experiment.cells import row
from grid.experiment.config import load
from grid.experiment.scenarios import named_for
from grid.launch import main
from grid.plan.inventory import read_inventory
from grid.run.result_folder import write
from grid.run.session import Session
from painmodels.export import from_run

SMALL = """
name = "small"
[axes]
modalities = ["eda"]
scenarios = ["all87", "expressive67"]
[scenarios.all87]
subset = "all"
[scenarios.expressive67]
subset = "expressive"
skip_s = 2.0
[protocol]
folds = 2
[trunk]
name = "mini-xception-fer"
[physiological]
epochs = 2
hidden = 8
dropout = 0.0
lr = 0.02
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("any")
    shutil.copytree(EXAMPLE, at / "data")
    with open(at / "data" / "dataset.toml", "a") as stream:
        stream.write('[subsets]\nyoung = ["p1", "p3"]\n')
    (at / "small.toml").write_text(SMALL)
    experiment = named_for(load(str(at / "small.toml")), recognise(at / "data"))
    what: dict[str, Any] = {"rows": ["eda+resp"], "scenarios": ["young"]}
    inventory = read_inventory(at / "data", experiment, **what, memory=at / "f.json")
    session = Session(experiment, inventory, at / "out", **what, folds=[0])
    session.run("in-process")
    write(session)
    return at


def test_scenarios_and_rows_are_those_of_the_data(grid: Path) -> None:
    scores = pd.read_csv(grid / "out" / "scores.csv")
    assert scores[["modality", "scenario"]].values.tolist() == [["eda+resp", "young"]]
    predictions = pd.read_parquet(grid / "out" / "predictions.parquet")
    assert set(predictions.subject_name) < {"p1", "p3"}
    other = named_for(load("paper"), recognise(grid / "data"))
    assert other.axes.scenarios == ("all", "young")
    assert other.scenario("all").skip_s == 0
    assert named_for(load("paper"), dataset("stress-predict")).axes.scenarios == ("all",)
    assert named_for(load("paper"), dataset("biovid")).axes.scenarios == ("all87", "expressive67")


def test_a_trained_row_reads_files_of_the_same_kind_whole(grid: Path, tmp_path: Path) -> None:
    model = from_run(grid / "out", "eda+resp/young/fold0")
    assert model.channels == ("eda", "resp")
    model.save(tmp_path / "model")
    read = model.native_signals(grid / "data" / "recordings" / "p1.csv")
    assert {name: (len(x), rate_hz) for name, (x, rate_hz) in read.items()} == {"eda": (256, 8.0), "resp": (256, 8.0)}
    assert 0 <= model.predict(signals=str(grid / "data" / "recordings" / "p1.csv")).p_pain <= 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("eda+rsp", "unknown modality 'eda+rsp'"),
        (
            "rsep",
            "did you mean 'resp'? A row is frame, or some of eda, ecg, emg, resp, hr, eda_phasic, emg_envelope, video joined",
        ),
        ("eda+Resp", "unknown modality 'eda+Resp'"),
    ],
)
def test_a_word_that_is_no_channel_of_the_data_is_refused_with_those_there_are(grid: Path, capsys, rows, words) -> None:
    arguments = ["--modalities", rows, "--experiment", str(grid / "small.toml"), "--data", str(grid / "data"), "--plan"]
    assert main([*arguments, "--out", str(grid / "none")]) == 2
    assert words in capsys.readouterr().err


def test_words_are_in_one_order_and_a_channel_has_one_word() -> None:
    assert row("video+temp+bvp+ecg").name == "ecg+bvp+temp+video"
    assert row("emg_trapezius+eda").name == "eda+emg"
