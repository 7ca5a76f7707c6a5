"""Shared by all tests: a small synthetic data set, made once, and a small experiment on it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
if "PYTEST_XDIST_WORKER" in os.environ:  # workers of xdist share the processors
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of one would wait, turning, for those of another
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's own would stand back for the other worker's test

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


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Any]], Path]:
    """once(name, make) is what `make` wrote at the path that it was given: made by one worker of xdist, used by all."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], Any]) -> Path:
        path, complete = folder / name, folder / f".{name}.complete"
        with (folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                shutil.rmtree(path, ignore_errors=True)
                make(path)
                complete.touch()
        return path

    return made


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk() -> Iterator[None]:
    """What this process writes is not forced to the disk, artefacts and SQLite's commits alike: no test cuts the power."""
    from sqlalchemy import Engine, event

    def relax(connection: Any, record: Any) -> None:
        if type(connection).__module__ == "sqlite3":
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield
    event.remove(Engine, "connect", relax)


@pytest.fixture(scope="session", autouse=True)
def runs_end_sooner(once: Callable[[str, Callable[[Path], Any]], Path]) -> Iterator[None]:
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

    mirror = finish.mirror

    def make_tables(file: Path) -> None:
        from mlflow.tracking import MlflowClient

        MlflowClient(f"sqlite:///{file}").search_experiments()

    def into_a_copy(out: Path, uri: str | None) -> tuple[str, set[str]]:
        if uri is None and not (out / "mlflow.db").exists():
            shutil.copy(once("empty-mlflow.db", make_tables), out / "mlflow.db")
        return mirror(out, uri)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", write_report)
        patch.setattr(finish, "mirror", into_a_copy)
        yield


@pytest.fixture(scope="session")
def tiny_data(once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    """A synthetic data set of 5 subjects, one trial a class, with small frames. Not to be changed: copy it."""
    from dataprep.synthetic.dataset import write_synthetic

    return once("tiny-data", lambda path: write_synthetic(path, subjects=5, trials=1, size=(320, 240)))


@pytest.fixture(scope="session")
def tiny_experiment(once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    """An experiment file with all rows, two folds and hardly any training."""
    return once("tiny.toml", lambda path: path.write_text(TINY))


@pytest.fixture(scope="session")
def tiny_grid(tiny_data: Path, tiny_experiment: Path, once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    """The result folder of the whole tiny grid, computed in one process of two threads. Not to be changed: copy it."""
    import torch

    from grid.launch import main

    def make(out: Path) -> None:
        asked = ["--all", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out), "--in-process"]
        before = torch.get_num_threads()
        torch.set_num_threads(2)  # a worker of Ray has one, and gives the same bytes
        try:
            assert main(asked) == 0
        finally:
            torch.set_num_threads(before)

    return once("tiny-grid", make)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that needs the whole tiny grid is slow: `make quick` never computes one. Workers of xdist begin with slow files."""
    for item in items:
        if "tiny_grid" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        items[:] = slow_files_first(items)


def slow_files_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Files with a Ray and other slow files by turns, since a Ray leaves processors idle while it starts; then all others.

    Files go to whichever worker is free: a slow one that comes last would be waited for by all others.
    """
    slow: Counter[Path] = Counter()
    on_ray: Counter[Path] = Counter()
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if not marks & {"long", "chaos", "cluster"}:
            slow[item.path] += bool(marks & {"slow", "ray"})
            on_ray[item.path] += "ray" in marks
    with_ray = sorted((path for path, n in on_ray.items() if n), key=lambda path: -on_ray[path])
    others = sorted((path for path, n in slow.items() if n and not on_ray[path]), key=lambda path: -slow[path])
    turns = [path for path in chain(*zip_longest(with_ray, others)) if path is not None]
    rank = {path: at for at, path in enumerate(turns)}
    return sorted(items, key=lambda item: rank.get(item.path, len(rank)))
