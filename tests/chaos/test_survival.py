"""What the grid survives, each on a real Ray: processes and servers killed with SIGKILL, hung fits, no memory.

The yardstick is always the undisturbed run in one process: the same bytes. Minutes each, so not run by default:

    python -m pytest -m chaos tests/chaos
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.chaos.tools import ROOT, SECONDS, command, until
from tests.processes import below

pytestmark = [pytest.mark.chaos, pytest.mark.ray]


@pytest.fixture
def prepared(tiny_grid: Path, tmp_path: Path) -> Path:
    """A result folder in which everything is prepared and nothing fitted."""
    out = tmp_path / "out"
    for stage in ("faces", "features", "signals"):
        shutil.copytree(tiny_grid / "store" / stage, out / "store" / stage)
    return out


def varied(tiny_experiment: Path, place: Path, execution: str, **spatial: int) -> Path:
    text = tiny_experiment.read_text()
    for name, value in spatial.items():
        head, tail = text.split("[spatial]\n")
        old = next(line for line in tail.splitlines() if line.startswith(name))
        text = f"{head}[spatial]\n{tail.replace(old, f'{name} = {value}', 1)}"
    place.write_text(f"{text}\n[execution]\n{execution}\n")
    return place


def fit_workers(run: subprocess.Popen) -> list[int]:
    """The processes that fit for this driver."""
    return [pid for pid, line in below(run.pid).items() if line.startswith("ray::") and ".train" in line]


def test_a_hung_fit_and_a_killed_one(tiny_data: Path, tiny_experiment: Path, prepared: Path, tiny_grid: Path) -> None:
    """The CNN never ends: stopped, tried again, reported. A worker is shot at first sight: its fit gets a machine to itself."""
    path = varied(tiny_experiment, prepared / "slow.toml", "fit_limit_s = 15\nretries = 1", epochs=100_000_000)
    arguments = command(tiny_data, path, prepared, "--modalities", "frame,eda", "--scenarios", "all87", "--folds", "0")
    run = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    until(lambda: fit_workers(run), run)
    os.kill(fit_workers(run)[0], signal.SIGKILL)
    said, errors = run.communicate(timeout=SECONDS)
    assert run.returncode == 1, errors
    problems = pd.read_csv(prepared / "failures.csv")
    (reason,) = problems.reason
    assert "took longer than its limit of 15 s, 2 times; where it stood: " in reason
    log = Path(reason.rpartition(": ")[2])
    assert "painmodels" in log.read_text()
    assert set(problems.modality) == {"frame"}
    mine = pd.read_parquet(prepared / "predictions.parquet")
    whole = pd.read_parquet(tiny_grid / "predictions.parquet")
    expected = whole[(whole.modality == "eda") & (whole.scenario == "all87") & (whole.fold == 0)].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected)
    assert "1 fits computed" in said


WITHOUT_A_LOOK_AT_THE_DISK = """
import sys
from grid.launch import main
from grid.run import session

session.require = lambda *_: None
sys.exit(main(sys.argv[1:]))
"""
"""A run: a network that no memory holds would be refused for want of room on the disk."""


def test_out_of_memory_is_tried_again_alone_then_reported(
    tiny_data: Path, tiny_experiment: Path, prepared: Path, tiny_grid: Path
) -> None:
    """A first layer of terabytes, which no machine can allocate."""
    path = varied(tiny_experiment, prepared / "wide.toml", "retries = 0", width=10**10)
    arguments = command(tiny_data, path, prepared, "--modalities", "frame,video,eda", "--scenarios", "all87", "--folds", "0")
    arguments = [arguments[0], "-c", WITHOUT_A_LOOK_AT_THE_DISK, *arguments[3:]]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    assert "1 fits ran out of memory or died: once more, each with a machine to itself" in done.stdout
    problems = pd.read_csv(prepared / "failures.csv").set_index("modality")
    assert "allocate" in problems.reason["frame"]
    assert problems.reason["video"].startswith("needs ")
    assert set(pd.read_parquet(prepared / "predictions.parquet").modality) == {"eda"}
