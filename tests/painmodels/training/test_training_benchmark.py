"""The way the grid trains (shared stages, cached activations) is the same mathematics as training each row from the pixels up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_sharing_and_caching_change_no_prediction() -> None:
    script = ROOT / "tests" / "benchmarks" / "training.py"
    sizes = ["--trials", "8", "--steps", "4", "--epochs", "2", "--physiological-epochs", "3", "--width", "64"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, script, "--json", *sizes], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["rows"] == 8
    assert found["fits"] == {"ours": 9, "naive": 22}
    assert found["largest_difference_of_predictions"] < 1e-4
    assert found["spread_of_predictions"] > 1e-3  # they are not all alike
