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


def accuracies(tmp_path: Path, signal: str) -> pd.Series:
    """Mean accuracy over ten folds of 20 subjects, by row, with the demo's settings."""
    data = tmp_path / "data"
    write_synthetic(data, subjects=20, trials=TRIALS, signal=signal, size=(320, 240))
    rows = ["--modalities", "eda,ecg,video,frame", "--scenarios", "all87", "--protocol", "subject"]
    out = tmp_path / "out"
    assert main([*rows, "--data", str(data), "--experiment", "demo", "--out", str(out), "--in-process"]) == 0
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 40
    return scores.groupby("modality").accuracy.mean()


def chance(n: int) -> float:
    """How far from one half a coin's accuracy over n tosses stays, 99 times in 100."""
    return 2.6 * float(np.sqrt(0.25 / n))


@pytest.mark.slow
def test_a_signal_in_eda_is_found_in_eda_and_nowhere_else(tmp_path: Path) -> None:
    found = accuracies(tmp_path, "eda")
    assert found["eda"] >= 0.85
    for row in ("ecg", "video", "frame"):
        assert abs(found[row] - 0.5) <= chance(20 * 2 * TRIALS), f"{row}: {found[row]:.3f}"


@pytest.mark.slow
def test_without_a_signal_every_row_stays_within_chance(tmp_path: Path) -> None:
    found = accuracies(tmp_path, "none")
    assert (abs(found - 0.5) <= chance(20 * 2 * TRIALS)).all(), found.to_dict()
