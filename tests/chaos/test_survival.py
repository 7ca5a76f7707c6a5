"""What the grid survives, each on a real Ray: nodes, drivers and servers killed with SIGKILL, hung fits, no memory.

The yardstick is always the undisturbed run in one process: the same bytes. Minutes each, so not run by default:

    python -m pytest -m chaos tests/chaos
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from grid import tracking
from tests.processes import below

# As grid/cluster.py sets it for the driver: a head that is started without a token could not call the driver back.
os.environ.setdefault("RAY_AUTH_MODE", "token")

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.chaos, pytest.mark.ray]
SECONDS = 400
MOMENTS = 3


def command(data: Path, experiment: Path, out: Path, *more: str) -> list[str]:
    launch = [sys.executable, "-m", "grid.launch", "--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    return [*launch, *more]


def manifests(out: Path, pattern: str = "[!.]*") -> dict[Path, int]:
    """When each artefact was made."""
    found = {}
    for path in (out / "store").glob(f"{pattern}/*/manifest.json"):
        found[path] = path.stat().st_mtime_ns
    return found


def until(true: Callable[[], Any], run: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)


def assert_whole(out: Path, tiny_grid: Path) -> None:
    """The same bytes as undisturbed, no cell lost or doubled, no run left open."""
    assert (out / "predictions.parquet").read_bytes() == (tiny_grid / "predictions.parquet").read_bytes()
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 32
    assert not scores.duplicated(["modality", "scenario", "protocol", "fold"]).any()
    runs = all_runs(tracking.local_uri(out))
    assert len(runs) == 84  # 16 rows, 32 folds, 36 stages
    assert {r.info.status for r in runs} == {"FINISHED"}


def all_runs(uri: str) -> list:
    client = MlflowClient(uri)
    ids = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(ids, max_results=1000))


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A Ray of several nodes on this machine, each a raylet of one processor; the first is the head."""
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(**size)
        yield cluster
    finally:
        cluster.shutdown()


def test_nodes_killed_during_preparation_and_during_fits(
    nodes: Any, tiny_data: Path, tiny_experiment: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = command(tiny_data, tiny_experiment, out, "--all", "--address", nodes.address)
    run = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    one, two = nodes.list_all_nodes()[1:]
    until(lambda: len(manifests(out, "features")) >= 2, run)
    nodes.remove_node(one, allow_graceful=False)
    until(lambda: len(manifests(out, "fit-*")) >= 5, run)
    nodes.remove_node(two, allow_graceful=False)
    said, errors = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, errors
    assert "Ray: 3 node(s), 3 CPUs" in said
    assert "36 fits computed, 0 reused, 0 failed" in said
    assert_whole(out, tiny_grid)


def test_the_driver_killed_at_random_moments(
    nodes: Any, tiny_data: Path, tiny_experiment: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = command(tiny_data, tiny_experiment, out, "--all", "--address", nodes.address)
    whole = len(manifests(tiny_grid))
    kept: dict[Path, int] = {}
    for moment in sorted(random.Random(7).sample(range(1, whole - 3), MOMENTS)):
        run = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        until(lambda moment=moment: len(manifests(out)) >= moment, run)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        kept |= manifests(out)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    now = manifests(out)
    assert {p: now[p] for p in kept} == kept  # nothing that was stored was made again: what was lost was in flight
    assert len(now) == whole
    assert_whole(out, tiny_grid)
    assert not list((out / "store").glob(".tune-*"))
    assert not list((out / "store/.checkpoints").iterdir())


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


def test_out_of_memory_is_tried_again_alone_then_reported(
    tiny_data: Path, tiny_experiment: Path, prepared: Path, tiny_grid: Path
) -> None:
    """A first layer of terabytes, which no machine can allocate."""
    path = varied(tiny_experiment, prepared / "wide.toml", "retries = 0", width=10**10)
    arguments = command(tiny_data, path, prepared, "--modalities", "frame,video,eda", "--scenarios", "all87", "--folds", "0")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    assert "1 fits ran out of memory or died: once more, each with a machine to itself" in done.stdout
    problems = pd.read_csv(prepared / "failures.csv").set_index("modality")
    assert "allocate" in problems.reason["frame"]
    assert problems.reason["video"].startswith("needs ")
    assert set(pd.read_parquet(prepared / "predictions.parquet").modality) == {"eda"}
