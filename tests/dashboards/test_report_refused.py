"""What is no result folder, or a broken one, is refused in one line that names the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dashboards.report import main

pytestmark = pytest.mark.slow

MakeFolder = Callable[..., Path]
Predict = Callable[..., pd.DataFrame]
FEW = {"all87": [f"071309_{'mw'[i % 2]}_{20 + 4 * i}" for i in range(10)]}


def test_a_folder_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dashboards.report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "predictions.parquet" in done.stderr
    assert str(tmp_path) in done.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[1]"),
        ("scores.csv", "a,b\n1,2\n"),
        ("scores.csv", "modality,scenario\n"),
        ("predictions.parquet", "not parquet"),
        ("failures.csv", "x\n1\n"),
        ("curves.parquet", "not parquet"),
    ],
)
def test_a_broken_file_is_named(
    make_folder: MakeFolder, predict: Predict, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    folder = make_folder(predict(rows=("eda",), scenarios=FEW))
    (folder / name).write_text(content)
    assert main([str(folder)]) == 2
    assert name in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_predictions_that_are_no_probabilities_are_refused(
    make_folder: MakeFolder, predict: Predict, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions = predict(rows=("eda",), scenarios=FEW)
    folder = make_folder(predictions)
    predictions.assign(p_pain=7.0).to_parquet(folder / "predictions.parquet")
    assert main([str(folder)]) == 2
    assert "7.0" in capsys.readouterr().err
