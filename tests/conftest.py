"""Shared by all tests: a small synthetic data set, made once, and a small experiment on it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

TINY = """
name = "tiny"
title = "as small as it gets"
[axes]
modalities = ["frame", "video", "ecg", "eda", "eda+video", "ecg+video", "eda+ecg", "eda+ecg+video"]
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
[spatial]
width = 16
epochs = 1
batch = 256
lr = 1e-3
[temporal]
hidden = 8
epochs = 2
batch = 8
lr = 1e-2
[attention]
epochs = 2
batch = 8
lr = 1e-2
[physiological]
hidden = 8
epochs = 3
batch = 8
lr = 1e-2
[fusion]
width = 8
epochs = 2
batch = 8
lr = 1e-2
"""


@pytest.fixture(scope="session", autouse=True)
def runs_end_sooner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs of this process write their report here, too, and begin with a copy of an empty MLflow database.

    A process of its own takes 4 s to import what is here already, and MLflow 3 s to make its tables. A report that fails is
    written once more as a user's is. Commands that a test starts do as they do for a user.
    """
    from grid.run import finish

    in_its_own = finish.write_report

    def write_report(out: Path, compare: Path | None) -> tuple[str, set[str]]:
        from dashboards import report

        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            failed = report.main([str(out), *(["--compare", str(compare)] if compare else [])])
        return in_its_own(out, compare) if failed else ("", set())

    mirror, empty = finish.mirror, tmp_path_factory.mktemp("mlflow") / "mlflow.db"

    def into_a_copy(out: Path, uri: str | None) -> tuple[str, set[str]]:
        if uri is None and not (out / "mlflow.db").exists():
            from mlflow.tracking import MlflowClient

            if not empty.exists():
                MlflowClient(f"sqlite:///{empty}").search_experiments()
            shutil.copy(empty, out / "mlflow.db")
        return mirror(out, uri)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", write_report)
        patch.setattr(finish, "mirror", into_a_copy)
        yield


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic data set of 5 subjects, one trial a class, with small frames. Not to be changed: copy it."""
    from dataprep.synthetic.dataset import write_synthetic

    path = tmp_path_factory.mktemp("data") / "tiny"
    write_synthetic(path, subjects=5, trials=1, size=(320, 240))
    return path


@pytest.fixture(scope="session")
def tiny_experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment file with all rows, two folds and hardly any training."""
    path = tmp_path_factory.mktemp("experiment") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_grid(tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result folder of the whole tiny grid, computed in this process. Not to be changed: copy it."""
    from grid.launch import main

    out = tmp_path_factory.mktemp("out") / "tiny"
    assert (
        main(["--all", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out), "--in-process"])
        == 0
    )
    return out


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs the whole tiny grid is slow: `make quick` never computes one."""
    for item in items:
        if "tiny_grid" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
