"""Failures of workers on a real Ray: what fails is said, tried again, and never makes a training set smaller."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataprep.faults import Failure, failure
from grid.launch import main
from grid.plan.preparation import VideoJob
from grid.store.artefacts import Store
from grid.work.prepare import run_video

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def arguments(data: Path, experiment: Path, out: Path, rows: str = "eda") -> list[str]:
    named = ["--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    return ["--modalities", rows, "--scenarios", "all87", *named]


def scores(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "scores.csv").drop(columns=["n_test"])


def broken(marks: Path) -> type:
    """A worker that waits in its set-up until there are two, and then fails."""
    from grid.execute import ray_tune

    class Broken(ray_tune.Worker):
        def _set_up(self, *_: object) -> None:
            (marks / str(os.getpid())).touch()
            until = time.monotonic() + 60
            while len(list(marks.iterdir())) < min(2, os.cpu_count() or 1):
                if time.monotonic() > until:
                    raise RuntimeError("no other worker started meanwhile")
                time.sleep(0.05)
            raise RuntimeError("CUDA error: initialization error")

    return Broken


def test_workers_start_side_by_side_and_one_that_cannot_be_set_up_ends_the_run_with_the_reason(
    small_ray: None, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grid.execute import ray_dispatcher, ray_tune

    marks, out = tmp_path / "marks", tmp_path / "out"
    marks.mkdir()
    monkeypatch.setattr(ray_tune, "Worker", broken(marks))
    monkeypatch.setattr(ray_dispatcher, "STARTS", 2)
    assert main(arguments(tiny_data, tiny_experiment, out)) == 1
    reasons = pd.read_csv(out / "failures.csv").reason
    assert reasons.str.contains("no worker could be set up in 2 tries: RuntimeError: CUDA error").all()
    assert np.isnan(scores(out).accuracy).all()


def failing(how: str, trial: str, mark: Path) -> type:
    """An actor that prepares videos and fails at one of them."""
    import ray

    class Failing:
        def __init__(
            self, store: Store, device: str, limit_s: float, logs: Path, trunk: Any, detector: bytes | None
        ) -> None:
            self.store, self.device = store, device
            trunk[0].adopt(trunk[1])

        def ready(self) -> None:
            pass

        @ray.method(num_returns=2)
        def video(self, job: VideoJob) -> tuple[Failure, Any]:
            if job.trial.trial_id == trial:
                first = not mark.exists()
                mark.touch()
                if (how == "once" and first) or how == "always":
                    return failure(TimeoutError("the store did not answer")), None
                if how == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
            return Failure(), run_video(job, self.store, self.device)

    return Failing


@pytest.mark.parametrize(
    ("how", "code", "words"), [pytest.param("once", 0, "", marks=pytest.mark.long), ("killed", 1, "died alone")]
)
def test_a_preparation_that_fails_on_ray_is_tried_again_and_never_makes_a_set_smaller(
    how: str,
    code: int,
    words: str,
    small_ray: None,
    tiny_data: Path,
    tiny_experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    from grid.execute import ray_executor

    trial = sorted((tiny_data / "video").rglob("*.mp4"))[3].stem
    wanted = arguments(tiny_data, tiny_experiment, tmp_path / "out", "frame")
    died = Failure("machine", "died alone, too")
    monkeypatch.setattr(ray_executor, "Preparer", ray.remote(failing(how, trial, tmp_path / "tried")))
    monkeypatch.setattr(ray_executor, "prepare_alone", ray.remote(lambda job, store, limit_s, detector: died))
    assert main(wanted) == code
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
