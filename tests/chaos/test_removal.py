"""A removal killed by SIGKILL at random moments: the same command ends it, and nobody else loses anything.

python -m pytest -m chaos tests/chaos/test_removal.py
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from grid.launch import main
from tests.chaos.tools import ROOT

MOMENTS = 20


def named(at: Path, subject: str) -> list[str]:
    """A search of its own, beside the one of the command: bytes of every file and its name, and the tables' columns."""
    found = []
    for path in at.rglob("*"):
        inside = path.is_file() and subject.encode() in path.read_bytes()
        if path.suffix == ".parquet":
            inside |= subject in pd.read_parquet(path).astype(str).to_numpy()
        if inside or subject in path.name:
            found.append(str(path))
    return found


def artefacts(out: Path) -> dict[str, bytes]:
    """Everything of all artefacts that are there."""
    files = [p for p in (out / "store").glob("[!.]*/*/*") if p.is_file()]
    return {str(p.relative_to(out)): p.read_bytes() for p in files}


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_killed_at_twenty_random_moments(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Moments are spread over the time that a removal takes, or come when some of the subject's artefacts are gone.

    The command that goes on is killed now and then, too.
    """
    subject = str(pd.read_parquet(tiny_grid / "predictions.parquet").subject_name.iloc[0])

    def start(out: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "grid.store", "forget", subject, "--out", str(out)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def begun(out: Path, run: subprocess.Popen) -> None:
        """Until it holds the folder: importing takes longer than removing."""
        held = f"process {run.pid} on"
        while run.poll() is None and held not in (out / ".lock").read_text():
            time.sleep(0.001)

    def until_gone(out: Path, run: subprocess.Popen, least: int) -> None:
        """Until so few files of artefacts are left: removing them takes a small part of the time."""
        while run.poll() is None:
            with suppress(FileNotFoundError):  # a folder went while it was listed
                if sum(1 for _ in (out / "store").glob("[!.]*/*/*")) <= least:
                    return

    out = Path(shutil.copytree(tiny_grid, tmp_path / "whole"))
    (out / ".lock").touch()
    run = start(out)
    begun(out, run)
    since = time.monotonic()
    assert run.wait() == 0
    takes_s = time.monotonic() - since
    others = artefacts(out)
    assert others
    killed, half_done, out = 0, 0, tmp_path / "again"
    for moment in range(MOMENTS):
        chance = random.Random(moment)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(tiny_grid, out)
        before = len(artefacts(out))
        (out / ".lock").touch()
        for _ in range(1 + (chance.random() < 1 / 3)):
            run = start(out)
            begun(out, run)
            if moment % 2:
                time.sleep(chance.random() * takes_s)
            else:
                until_gone(out, run, before - chance.randrange(1, before - len(others)))
            os.kill(run.pid, signal.SIGKILL)
            run.communicate()
            killed += run.returncode == -signal.SIGKILL
        half_done += len(others) < len(artefacts(out)) < before
        run = start(out)
        said, errors = run.communicate()
        assert run.returncode == 0, errors
        assert "finds nothing" in said
        assert named(out, subject) == []
        assert artefacts(out) == others, "what does not come from the subject stays, byte by byte"
    assert killed >= MOMENTS // 2
    assert half_done >= 3, "the kills have to meet the work"
    arguments = ["--all", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out), "--in-process"]
    assert main(arguments) == 0, capsys.readouterr().err
    assert (out / "predictions.parquet").read_bytes() == (tiny_grid / "predictions.parquet").read_bytes()
