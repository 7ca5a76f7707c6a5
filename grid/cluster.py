"""The Ray executor: actors prepare videos into the object store, one Ray Tune run fits (grid/schedule.py).

An actor returns its block, it never puts it: the driver then owns it. The object store is a cache of the durable store:
a block that is lost with a node is read from its artefact. Nothing here enters a key.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Decided when Ray is imported or starts its workers. Without the second, workers without a GPU share would see every GPU.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayError

from grid.config import Execution
from grid.inprocess import Prepared, Tick, reason_of, take_signals, video_defect
from grid.plan import Plan
from grid.prepare import SignalsJob, VideoJob, run_signals, run_video
from grid.results import write_json
from grid.schedule import run_fits
from grid.stages import Blocks, read_tracks
from grid.store import Store

QUEUED_PER_ACTOR = 2
"""Videos handed to an actor ahead of time: it never waits, and the driver never floods the object store."""


class RayBlocks:
    """Features by reference into the object store, from the durable store where a reference is lost; signals with the object."""

    def __init__(
        self, store: Store, refs: Mapping[str, Any], videos: Sequence[VideoJob], signals: Mapping[str, np.ndarray]
    ) -> None:
        self.store, self.refs, self.signal_arrays = store, dict(refs), dict(signals)
        self.stages = {v.trial.trial_id: v.stage for v in videos}
        self.tracks = {v.trial.trial_id: v.track for v in videos}

    def video(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Features of each trial, float16 (n_steps, F), zero-copy and read-only where they are in this node's store."""
        wanted = list(trial_ids)
        here = [t for t in wanted if t in self.refs]
        try:
            blocks = dict(zip(here, ray.get([self.refs[t] for t in here], timeout=300), strict=True))
        except RayError:
            blocks = {}
        return [blocks[t] if t in blocks else self.store.arrays(self.stages[t])["features"] for t in wanted]

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""
        return [self.signal_arrays[t] for t in trial_ids]

    def faces(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Face track of each trial, float32 (n_steps, 15), from the durable store: they are small."""
        return read_tracks(self.store, [self.tracks[t] for t in trial_ids])


@ray.remote
class Preparer:
    """Prepares one video at a time; detector and trunk stay loaded."""

    def __init__(self, store: Store, device: str) -> None:
        self.store, self.device = store, device

    @ray.method(num_returns=2)
    def video(self, job: VideoJob) -> tuple[str, np.ndarray | None]:
        """('', features), or the reason why there are none."""
        try:
            return "", run_video(job, self.store, self.device)
        except Exception as error:
            return reason_of(error), None


@ray.remote
def _signals(job: SignalsJob, store: Store) -> Any:
    return run_signals(job, store)


class Cluster:
    """A Ray cluster: the one at `address`, or one started on this machine with its dashboard off and its logs kept to itself."""

    def __init__(self, store: Store, execution: Execution, *, address: str | None, logs: Path) -> None:
        self.store, self.execution, self.logs = store, execution, logs
        if not ray.is_initialized():
            options: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
            ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **options)
        have = ray.cluster_resources()
        self.cpus, self.gpus = int(have.get("CPU", 1)), int(have.get("GPU", 0))

    @property
    def description(self) -> str:
        """Nodes, processors and GPUs, for people."""
        return f"{len([n for n in ray.nodes() if n['Alive']])} node(s), {self.cpus} CPUs, {self.gpus} GPUs"

    def write_targets(self, path: Path) -> None:
        """Say where each node's figures can be scraped, as Prometheus reads it (dashboards/live.py)."""
        nodes = [n for n in ray.nodes() if n["Alive"] and n.get("MetricsExportPort")]
        targets = [f"{n['NodeManagerAddress']}:{n['MetricsExportPort']}" for n in nodes]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, [{"labels": {"job": "ray"}, "targets": targets}])

    def prepare(self, videos: Sequence[VideoJob], signals: Sequence[SignalsJob], tick: Tick) -> Prepared:
        """Make the artefacts of all jobs, or read them; a bad recording becomes a defect. Keeps references to the blocks."""
        out = Prepared()
        self.refs: dict[str, Any] = {}
        for block in ray.get([_signals.options(max_retries=3).remote(job, self.store) for job in signals]):
            take_signals(out, block)
            tick()
        if videos:
            self._prepare_videos(videos, out, tick)
        return out

    def _prepare_videos(self, videos: Sequence[VideoJob], out: Prepared, tick: Tick) -> None:
        share = {"num_gpus": 1 / self.execution.prepares_per_gpu} if self.gpus else {}
        n_actors = min(len(videos), self.gpus * self.execution.prepares_per_gpu if self.gpus else self.cpus)
        actor = Preparer.options(  # type: ignore[attr-defined]
            num_cpus=1, max_restarts=-1, max_task_retries=self.execution.retries, **share
        )
        device = "cuda" if self.gpus else "cpu"
        pool = [actor.remote(self.store, device) for _ in range(max(1, n_actors))]
        waiting = list(reversed(videos))
        running: dict[Any, tuple[VideoJob, Any, Any]] = {}

        def hand_out(worker: Any) -> None:
            if waiting:
                job = waiting.pop()
                status, block = worker.video.remote(job)
                running[status] = (job, block, worker)

        for _ in range(QUEUED_PER_ACTOR):
            for worker in pool:
                hand_out(worker)
        while running:
            (status,), _ = ray.wait(list(running), num_returns=1)
            job, block, worker = running.pop(status)
            hand_out(worker)
            try:
                reason = ray.get(status)
            except RayError as error:
                reason = f"the worker died {self.execution.retries + 1} times while preparing it ({type(error).__name__})"
            if reason:
                out.defects.append(video_defect(job, reason))
            else:
                out.videos.add(job.trial.trial_id)
                self.refs[job.trial.trial_id] = block
            tick(failed=bool(reason), running=min(len(running), len(pool)))
        for worker in pool:  # idle actors would keep every CPU from the fits
            ray.kill(worker)

    def blocks(self, prepared: Prepared, videos: Sequence[VideoJob]) -> Blocks:
        """Access to what was prepared, small enough to travel to every worker."""
        return RayBlocks(self.store, self.refs, videos, prepared.signals)

    def fit(self, plan: Plan, keys: Sequence[str], blocks: Blocks, tick: Tick) -> dict[str, str]:
        """Run these fits and the predictions made with them in one Ray Tune run; returns the reason of each that failed."""
        share = {"CPU": 1.0, "GPU": 1 / self.execution.fits_per_gpu} if self.gpus else {"CPU": 1.0}
        return run_fits(
            plan, keys, blocks, self.store, resources=share, retries=self.execution.retries, logs=self.logs, tick=tick
        )

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        ray.shutdown()
