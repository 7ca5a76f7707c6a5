"""Preparation on a real Ray: blocks and weights are shared; a small object store spills; a dead worker's clip is redone."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dataprep.records import Trial
from grid.experiment.config import load
from grid.experiment.config_tables import Execution
from grid.plan.inventory import read_inventory
from grid.plan.preparation import TrunkSpec, VideoJob
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.prepare import run_video
from painmodels.trunks.trunk import Shared

pytestmark = [pytest.mark.ray, pytest.mark.slow]
N_STEPS, WIDTH = 138, 4096  # a trial of FC-6 activations: 1.1 MB


@pytest.fixture(scope="module", autouse=True)
def known_to_workers(small_ray: None) -> None:
    """Workers do not know the folder of the tests."""
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def tiny_jobs(tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> list[VideoJob]:
    memory = tmp_path_factory.mktemp("memory") / "fingerprints.json"
    return read_inventory(tiny_data, load(str(tiny_experiment)), rows=["video"], scenarios=["all87"], memory=memory).videos


def stored_jobs(like: VideoJob, store: Store, n: int) -> list[VideoJob]:
    """`n` jobs whose artefacts are in the store already, of the size that the paper's trunk gives."""
    rng = np.random.default_rng(0)
    jobs = []
    for i in range(n):
        stage = Stage("features", 1, {"i": i})
        store.write(stage, {"features": rng.random((N_STEPS, WIDTH), dtype=np.float32).astype(np.float16)}, {})
        trial = Trial(trial_id=f"t{i}", subject="s", class_id=0, class_name="BL1", video="unused.mp4")
        jobs.append(dataclasses.replace(like, trial=trial, made={"features": stage}))
    return jobs


def own_mb() -> float:
    """Anonymous memory of this process: what it allocated itself, without what it maps of the object store."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024


class _Reader:
    """Reads every block, as a fit does, keeps hold of them all, and says how much memory of its own that took."""

    def __init__(self, blocks: object, ids: list[str]) -> None:
        self.blocks, self.ids = blocks, ids
        self.held: list[np.ndarray] = []

    def warm(self) -> int:
        float(np.asarray(self.blocks.of_video("features", self.ids[:1])[0], dtype=np.float32).sum())  # type: ignore[attr-defined]
        return os.getpid()

    def start(self, name: str) -> dict[str, np.ndarray]:
        return self.blocks.start(name)  # type: ignore[attr-defined]

    def read(self) -> tuple[float, float]:
        before = own_mb()
        self.held = self.blocks.of_video("features", self.ids)  # type: ignore[attr-defined]
        total = sum(float(block[:, ::64].sum(dtype=np.float64)) for block in self.held)  # touches every page
        return own_mb() - before, total


def test_readers_on_a_node_share_one_copy(small_ray: None, tiny_jobs: list[VideoJob], tmp_path: Path) -> None:
    import ray

    from grid.execute.ray_blocks import RayBlocks
    from grid.execute.ray_executor import Cluster

    store = Store(tmp_path / "store")
    jobs = stored_jobs(tiny_jobs[0], store, 60)
    cluster = Cluster(store, Execution(), address=None, logs=tmp_path / "logs")
    prepared = cluster.prepare(jobs, [], lambda **_: None)
    ids = [job.trial.trial_id for job in jobs]
    assert prepared.videos == set(ids)
    start = {"features.0.0.weight": np.arange(1_000_000, dtype=np.float32)}  # read by the driver: a worker has no file of it
    blocks = RayBlocks(store, prepared, {"a file": start})
    data_mb = 60 * N_STEPS * WIDTH * 2 / 1024**2
    grown_mb: dict[int, list[float]] = {}
    readers: list[object] = []
    for n in (1, 2, 4):
        readers += [ray.remote(_Reader).options(num_cpus=0).remote(blocks, ids) for _ in range(n - len(readers))]
        ray.get([reader.warm.remote() for reader in readers])  # type: ignore[attr-defined]
        results = ray.get([reader.read.remote() for reader in readers])  # type: ignore[attr-defined]
        grown_mb[n] = [own for own, _ in results]
        assert len({total for _, total in results}) == 1
    print(f"{data_mb:.0f} MB of features; own memory of each reader, MB:", grown_mb)
    found = ray.get(readers[0].start.remote("a file"))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found["features.0.0.weight"], start["features.0.0.weight"])
    for reader in readers:
        ray.kill(reader)
    # A copy of its own would be 65 MB each, 259 MB for the four of them.
    assert max(max(own) for own in grown_mb.values()) < data_mb / 8
    assert sum(grown_mb[4]) < data_mb / 4


def test_a_store_too_small_spills_and_loses_nothing(small_ray: None, tiny_jobs: list[VideoJob], tmp_path: Path) -> None:
    import ray
    from ray._private.internal_api import memory_summary

    from grid.execute.ray_executor import Cluster

    store = Store(tmp_path / "store")
    jobs = stored_jobs(tiny_jobs[0], store, 240)  # 259 MB through 100 MB
    cluster = Cluster(store, Execution(), address=None, logs=tmp_path / "logs")
    prepared = cluster.prepare(jobs, [], lambda **_: None)
    assert len(prepared.videos) == 240
    assert not prepared.defects
    assert "Spilled" in memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)  # others may run a Ray here
    for job in jobs[::7]:  # by reference, not from the durable store
        block = ray.get(prepared.refs[job.trial.trial_id], timeout=120)
        np.testing.assert_array_equal(block, store.arrays(job.stage)["features"])


class _Holder:
    """A process that takes the trunk, from others or by itself, uses it, and says how much memory of its own that took."""

    def use(self, spec: TrunkSpec, shared: Shared | None) -> tuple[float, bytes]:
        before = own_mb()
        if shared is not None:
            spec.adopt(shared)
        features = spec.load()(np.zeros((4, 227, 227, 3), np.uint8))
        return own_mb() - before, features.tobytes()


def test_weights_from_the_object_store_take_no_memory_of_a_process(small_ray: None) -> None:
    import ray

    spec = TrunkSpec.of(load("paper", trunk={"name": "alexnet-fer-bn", "random": True, "weights": ""}))
    shared = ray.put(spec.load().shared())
    holders = [ray.remote(_Holder).options(num_cpus=0).remote() for _ in range(2)]
    with_mb, features = ray.get(holders[0].use.remote(spec, shared))  # type: ignore[attr-defined]
    alone_mb, same = ray.get(holders[1].use.remote(spec, None))  # type: ignore[attr-defined]
    for holder in holders:
        ray.kill(holder)
    print(f"own memory: {with_mb:.0f} MB with weights from the object store, {alone_mb:.0f} MB without")
    assert features == same
    assert alone_mb - with_mb > 120  # FC-6 alone is 151 MB


def test_actors_take_less_than_600_mb_and_give_what_one_process_gives(
    small_ray: None, tiny_jobs: list[VideoJob], tmp_path: Path
) -> None:
    from grid.execute.ray_executor import Cluster
    from tests.benchmarks.memory import Watch

    spec = TrunkSpec.of(load("paper", trunk={"name": "alexnet-fer-bn", "random": True, "weights": ""}))
    jobs = [
        dataclasses.replace(job, trunk=spec, made={"features": Stage("features", 1, {"i": i})})
        for i, job in enumerate(tiny_jobs[:2])
    ]
    cluster = Cluster(Store(tmp_path / "ray"), Execution(), address=None, logs=tmp_path / "logs")
    watch = Watch()
    watch.start()
    prepared = cluster.prepare(jobs, [], lambda **_: None)
    watch.over.set()
    watch.join()
    assert not prepared.defects
    assert watch.peaks
    own_mb = max(own for own, _, _ in watch.peaks.values())
    assert own_mb < 600
    alone = run_video(jobs[0], Store(tmp_path / "alone"))
    assert Store(tmp_path / "ray").arrays(jobs[0].stage)["features"].tobytes() == alone.tobytes()


def test_the_clip_of_a_dead_worker_is_done_again(
    small_ray: None, tiny_jobs: list[VideoJob], tiny_grid: Path, tmp_path: Path
) -> None:
    from grid.execute.ray_executor import Cluster

    store = Store(tmp_path / "store")
    cluster = Cluster(store, Execution(), address=None, logs=tmp_path / "logs")
    killed: list[int] = []

    def kill_one_at_work() -> None:
        deadline = time.monotonic() + 120
        while not killed and time.monotonic() < deadline:
            for pid, name in descendants(os.getpid()):
                if name.startswith("ray::Preparer.video"):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    break
            time.sleep(0.005)

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    prepared = cluster.prepare(tiny_jobs, [], lambda **_: None)
    killer.join()
    assert len(killed) == 1
    assert prepared.videos == {job.trial.trial_id for job in tiny_jobs}
    assert not prepared.defects
    undisturbed = Store(tiny_grid / "store")
    for job in tiny_jobs:
        for stage in (job.stage, job.track):
            there, here = undisturbed.arrays(stage), store.arrays(stage)
            assert {k: v.tobytes() for k, v in there.items()} == {k: v.tobytes() for k, v in here.items()}


def descendants(pid: int) -> list[tuple[int, str]]:
    """(pid, title) of every process below this one: only what was started here is ever touched."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
                titles[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return [(p, titles[p]) for p in sorted(below - {pid}) if p in titles]
