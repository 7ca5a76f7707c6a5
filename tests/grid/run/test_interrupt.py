"""One Ctrl-C or SIGTERM ends a run soon, says what is kept, and leaves no process; the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import TINY
from tests.processes import below, hears_interrupts

SECONDS = 30
"""A run ends within 10 s on a machine of its own; tests share theirs."""
LONG = TINY.replace("hidden = 8\nepochs = 3", "hidden = 8\nepochs = 3000")


def prepared(out: Path) -> int:
    """How many recordings are stored."""
    return len(list(out.glob("store/features/*/manifest.json")))


def fitted(out: Path) -> bool:
    """Whether a fit is stored."""
    return any((out / "store").glob("fit-*/*/manifest.json"))


MOMENTS: dict[str, Callable[[Path, str], bool]] = {
    "Ray starts": lambda out, said: "starting Ray" in said,
    "preparation": lambda out, said: prepared(out) > 0,
    "fits": lambda out, said: "fitting: " in said and fitted(out),
}


def until(true: Callable[[], bool], run: subprocess.Popen) -> None:
    deadline = time.monotonic() + 200
    while not true():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "moment", "number"),
    [
        ("in-process", "preparation", signal.SIGINT),
        ("in-process", "fits", signal.SIGTERM),
        pytest.param("ray", "Ray starts", signal.SIGINT, marks=[pytest.mark.ray, pytest.mark.long]),
        pytest.param("ray", "Ray starts", signal.SIGTERM, marks=pytest.mark.ray),
        pytest.param("ray", "preparation", signal.SIGINT, marks=[pytest.mark.ray, pytest.mark.long]),
        pytest.param("ray", "preparation", signal.SIGTERM, marks=[pytest.mark.ray, pytest.mark.long]),
        pytest.param("ray", "fits", signal.SIGINT, marks=pytest.mark.ray),
        pytest.param("ray", "fits", signal.SIGTERM, marks=[pytest.mark.ray, pytest.mark.long]),
    ],
)
def test_one_signal_ends_a_run_and_the_same_command_goes_on(
    executor: str, moment: str, number: int, tiny_data: Path, tmp_path: Path
) -> None:
    out, experiment, log = tmp_path / "out", tmp_path / "long.toml", tmp_path / "log.txt"
    experiment.write_text(LONG)
    rows = ["--modalities", "frame,video,eda", "--scenarios", "all87", "--executor", executor]
    asked = [sys.executable, "-m", "grid.launch", "--data", str(tiny_data), "--experiment", str(experiment)]
    with log.open("w") as said:  # a session of its own: as from a terminal, every process of it gets the signal
        how = {"stdout": said, "stderr": said, "start_new_session": True, "preexec_fn": hears_interrupts}
        run = subprocess.Popen([*asked, *rows, "--out", str(out)], **how)  # type: ignore[call-overload]
    until(lambda: MOMENTS[moment](out, log.read_text()), run)
    started = below(run.pid)
    if number == signal.SIGINT:
        os.killpg(run.pid, number)
    else:  # of a scheduler: to the driver alone
        os.kill(run.pid, number)
    assert run.wait(timeout=SECONDS) == 128 + number
    assert "Traceback" not in log.read_text()
    assert "interrupted: what was finished is kept; the same command goes on from here" in log.read_text()
    assert not (out / "report.html").exists()
    until_gone = time.monotonic() + SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < until_gone
        time.sleep(0.05)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("store/[!.]*/*/manifest.json")}
    assert bool(kept) == (moment != "Ray starts")
    if executor == "in-process":
        again = [*asked, "--modalities", "frame", "--scenarios", "all87", "--executor", executor, "--out", str(out)]
        assert subprocess.run(again, capture_output=True, check=False).returncode == 0
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert len(pd.read_csv(out / "scores.csv")) == 2
