"""Failures of workers on a real Ray: what fails is said, tried again, and never makes a training set smaller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def arguments(data: Path, experiment: Path, out: Path, rows: str = "eda") -> list[str]:
    named = ["--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    return ["--modalities", rows, "--scenarios", "all87", *named]


def scores(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "scores.csv").drop(columns=["n_test"])


BROKEN_WORKER = """
import os
import sys
import time
from pathlib import Path
import grid.execute.ray_executor
import grid.execute.ray_dispatcher
from grid.execute import ray_tune
from grid.launch import main

class Broken(ray_tune.Worker):
    def _set_up(self, *_):
        here = Path(os.environ["MARKS"])
        (here / str(os.getpid())).touch()
        until = time.monotonic() + 60
        while len(list(here.iterdir())) < min(2, os.cpu_count()):
            if time.monotonic() > until:
                raise RuntimeError("no other worker started meanwhile")
            time.sleep(0.05)
        raise RuntimeError("CUDA error: initialization error")

ray_tune.Worker = Broken
grid.execute.ray_dispatcher.STARTS = 2
sys.exit(main(sys.argv[1:]))
"""


def test_workers_start_side_by_side_and_one_that_cannot_be_set_up_ends_the_run_with_the_reason(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """Each waits in its set-up until there are two, and then fails."""
    marks, out = tmp_path / "marks", tmp_path / "out"
    marks.mkdir()
    wanted = arguments(tiny_data, tiny_experiment, out)
    command = [sys.executable, "-c", BROKEN_WORKER, *wanted]
    environment = {**os.environ, "MARKS": str(marks)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 1, done.stderr[-2000:]
    reasons = pd.read_csv(out / "failures.csv").reason
    assert reasons.str.contains("no worker could be set up in 2 tries: RuntimeError: CUDA error").all()
    assert np.isnan(scores(out).accuracy).all()


PREPARERS = """
import os, signal, sys
import grid.execute.ray_executor
import ray
from dataprep.faults import Failure, failure
from grid.launch import main
from grid.work.prepare import run_video
from grid.execute.ray_preparer import adopt_weights

HOW = os.environ["HOW"]


class Failing:
    def __init__(self, store, device, limit_s, logs, trunk, detector):
        self.store, self.device = store, device
        trunk[0].adopt(trunk[1])

    def ready(self):
        pass

    @ray.method(num_returns=2)
    def video(self, job):
        if job.trial.trial_id == os.environ["TRIAL"]:
            first = not os.path.exists(os.environ["MARK"])
            open(os.environ["MARK"], "a").close()
            if HOW == "once" and first or HOW == "always":
                return failure(TimeoutError("the store did not answer")), None
            if HOW == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if HOW == "bug":
                return failure(KeyError("planted")), None
        return Failure(), run_video(job, self.store, self.device)


grid.execute.ray_executor.Preparer = ray.remote(Failing)
grid.execute.ray_executor.prepare_alone = ray.remote(lambda job, store, limit_s, detector: Failure("machine", "died alone, too"))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("how", "code", "words"), [pytest.param("once", 0, "", marks=pytest.mark.long), ("killed", 1, "died alone")]
)
def test_a_preparation_that_fails_on_ray_is_tried_again_and_never_makes_a_set_smaller(
    how: str, code: int, words: str, tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    trial = sorted((tiny_data / "video").rglob("*.mp4"))[3].stem
    wanted = arguments(tiny_data, tiny_experiment, tmp_path / "out", "frame")
    environment = {**os.environ, "HOW": how, "TRIAL": trial, "MARK": str(tmp_path / "tried")}
    command = [sys.executable, "-c", PREPARERS, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == code, done.stdout + done.stderr[-2000:]
    assert pd.read_csv(tmp_path / "out" / "quarantine.csv").empty
    assert (tmp_path / "tried").exists()
    failures = pd.read_csv(tmp_path / "out" / "failures.csv")
    if not code:
        assert failures.empty
        return
    failed = failures[failures.status == "preparation failed"]
    assert failed.reason.str.contains(trial).all()
    assert failed.reason.str.contains(words).all()
    assert len(failures[failures.status == "failed"]) == 2  # in one fold the subject trains, in the other it is tested
    assert np.isnan(scores(tmp_path / "out").accuracy).all()
