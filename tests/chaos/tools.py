"""What the chaos tests share: runs as a user starts them, nodes on one machine, what must be left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.tracking import MlflowClient

from grid.tracking import sync
from grid.tracking.runs import KEY_TAG
from tests.processes import below

# As grid/execute/ray_executor.py sets it for the driver: a head that is started without a token could not call the driver back.
os.environ.setdefault("RAY_AUTH_MODE", "token")

ROOT = Path(__file__).parents[2]
SECONDS = 400


def command(data: Path, experiment: Path, out: Path, *more: str) -> list[str]:
    """The command line of a run."""
    launch = [sys.executable, "-m", "grid.launch", "--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    return [*launch, *more]


def start(arguments: list[str]) -> subprocess.Popen:
    """A run in the background."""
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def manifests(out: Path, pattern: str = "[!.]*") -> dict[Path, int]:
    """When each artefact was made."""
    found = {}
    for path in (out / "store").glob(f"{pattern}/*/manifest.json"):
        found[path] = path.stat().st_mtime_ns
    return found


def until(true: Callable[[], Any], run: subprocess.Popen) -> Any:
    """Wait for something while `run` goes on; gives what was waited for."""
    deadline = time.monotonic() + SECONDS
    while not (found := true()):
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    return found


def assert_whole(out: Path, undisturbed: Path) -> None:
    """The same bytes as undisturbed, the same searches, no cell lost or doubled, no run lost, doubled or left open."""
    assert (out / "predictions.parquet").read_bytes() == (undisturbed / "predictions.parquet").read_bytes()
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == len(pd.read_csv(undisturbed / "scores.csv"))
    assert not scores.duplicated(["modality", "scenario", "protocol", "fold"]).any()
    assert searched(out) == searched(undisturbed)
    runs, expected = (all_runs(sync.local_uri(place)) for place in (out, undisturbed))
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert sorted(r.data.tags[KEY_TAG] for r in runs) == sorted(r.data.tags[KEY_TAG] for r in expected)


def searched(out: Path) -> list[Any]:
    """searches.json without the times that it took."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k != "seconds"}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    path = out / "searches.json"
    return timeless(json.loads(path.read_text())) if path.exists() else []


def all_runs(uri: str) -> list:
    """Every run of every experiment in MLflow."""
    client = MlflowClient(uri)
    ids = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(ids, max_results=1000))


@contextmanager
def nodes_of_one_processor(number: int) -> Iterator[Any]:
    """A Ray of a head that takes no work and `number` nodes of one processor, each a raylet on this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SIZE, "include_dashboard": False})
    try:
        for _ in range(number):
            join(cluster)
        yield cluster
    finally:
        cluster.shutdown()


WORK = (".train", "Preparer.video")  # in what Ray calls a process that fits, and one that prepares
SIZE = {"object_store_memory": 100_000_000}


def join(cluster: Any) -> Any:
    """One more node of one processor."""
    return cluster.add_node(num_cpus=1, **SIZE)


def working_on(node: Any) -> list[int]:
    """The processes on a node that prepare or fit at this moment: half of a tenth of a second of a processor, or more."""
    raylet = node.all_processes["raylet"][0].process.pid
    mine = [pid for pid, line in below(raylet).items() if any(what in line for what in WORK)]
    before = {pid: _ticks(pid) for pid in mine}
    time.sleep(0.1)
    return [pid for pid in mine if _ticks(pid) - before[pid] >= 5]


def _ticks(pid: int) -> int:
    """Hundredths of a second of CPU time that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def kill(cluster: Any, node: Any) -> None:
    """SIGKILL for a node's raylet and everything that runs below it, as when a machine loses its power."""
    raylet = node.all_processes["raylet"][0].process.pid
    below_it = below(raylet)
    os.kill(raylet, signal.SIGKILL)
    for pid in below_it:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    cluster.remove_node(node, allow_graceful=False)
