"""The grid finds a planted signal where it is, and nothing where there is none.

Chance is judged over trials: the mean accuracy may differ from one half by 2.6 standard errors of a coin (99 %).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.synthetic.dataset import write_synthetic
from grid.launch import main

TRIALS = 2
SET = {"subjects": 20, "trials": TRIALS, "size": (160, 120)}


@pytest.fixture(scope="module")
def eda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` in which EDA alone carries the label, and the `store` of a grid on it."""
    root = tmp_path_factory.mktemp("eda")
    write_synthetic(root / "data", signal="eda", **SET)
    return root


def accuracies(data: Path, out: Path, store: Path, names: str) -> pd.Series:
    """Mean accuracy over five folds of 20 subjects, by row, with the demo's settings."""
    experiment = out.parent / "five.toml"
    experiment.write_text('name = "five"\ntitle = "five folds"\nbase = "demo"\n[protocol]\nfolds = 5\n')
    rows = ["--modalities", names, "--scenarios", "all87", "--protocol", "subject"]
    places = ["--data", str(data), "--store", str(store), "--out", str(out)]
    assert main([*rows, *places, "--experiment", str(experiment), "--in-process"]) == 0
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 5 * len(names.split(","))
    return scores.groupby("modality").accuracy.mean()


def chance(n: int) -> float:
    """How far from one half a coin's accuracy over n tosses stays, 99 times in 100."""
    return 2.6 * float(np.sqrt(0.25 / n))


@pytest.mark.slow
def test_a_signal_in_eda_is_found_in_eda_and_nowhere_else(eda: Path, tmp_path: Path) -> None:
    found = accuracies(eda / "data", tmp_path / "out", eda / "store", "eda,ecg,video,frame")
    assert found["eda"] >= 0.85
    for row in ("ecg", "video", "frame"):
        assert abs(found[row] - 0.5) <= chance(20 * 2 * TRIALS), f"{row}: {found[row]:.3f}"


@pytest.mark.long
def test_without_a_signal_every_row_stays_within_chance(eda: Path, tmp_path: Path) -> None:
    """The videos of the test before carry no label either, and stay within chance there."""
    data = tmp_path / "data"
    write_synthetic(data, signal="none", videos=False, **SET)
    found = accuracies(data, tmp_path / "out", eda / "store", "eda,ecg")
    assert (abs(found - 0.5) <= chance(20 * 2 * TRIALS)).all(), found.to_dict()
