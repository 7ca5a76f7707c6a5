"""The Ray executor: actors prepare videos into the object store, one Ray Tune run fits (grid/execute/ray_tune.py).

An actor returns its block, it never puts it: the driver then owns it. The object store is a cache of the durable store:
a block that is lost with a node is read from its artefact. Nothing here enters a key. A Ray that is started here listens
on loopback alone; one that is joined is joined with its token.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

# Decided when Ray is imported or starts its workers. Without the second, workers without a GPU share would see every GPU.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9/")  # Ray would report there that it reports nothing
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray._private import ray_constants, services, utils
from ray.exceptions import RayError

from dataprep.faults import MACHINE, Failure, failure
from dataprep.video.retinaface import weights_to_carry
from grid.execute.executor import Node, Prepared, Tick, Where
from grid.execute.interrupts import held_back, take_sigterm_back, unless_noted
from grid.execute.ray_addresses import probe, short_folder
from grid.execute.ray_blocks import RayBlocks
from grid.execute.ray_mailbox import mailbox
from grid.execute.ray_pool import Pool, say_if_full
from grid.execute.ray_preparer import Preparer, ask_for_a_node, log_of, prepare_alone, prepare_signals
from grid.execute.ray_tune import run_work
from grid.execute.scheduler import Scheduler
from grid.experiment.config_tables import Execution
from grid.plan.preparation import SignalsJob, VideoJob, of_trials
from grid.results.files import write_json
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.blocks import Starts
from grid.work.limits import crash_reason, hung

ASK_AHEAD = 100
"""On a cluster, which may grow: how many workers wait for a place at most. An autoscaler sees them; they end with the driver."""


def _start(start: Callable[..., Any], command: Any, process_type: str, *rest: Any, **options: Any) -> Any:
    """Start a process of Ray: its keeper of usage statistics, even of none, asks the services of clouds where it is."""
    if process_type == ray_constants.PROCESS_TYPE_DASHBOARD:
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9/") | dict.fromkeys(
            ("no_proxy", "NO_PROXY"), ""
        )
        options["env_updates"] = {**(options.get("env_updates") or {}), **proxies}
    return start(command, process_type, *rest, **options)


class Cluster:
    """A Ray cluster: the one at `address`, or one started on this machine with its dashboard off and its logs kept to itself."""

    def __init__(self, store: Store, execution: Execution, *, address: str | None, logs: Path) -> None:
        self.store, self.execution, self.logs = store, execution, logs
        if address:
            check(address)
        if not ray.is_initialized():
            # "local": never the Ray that somebody else happens to run on this machine
            options: dict[str, Any] = {"address": address or "local"}
            if not address:
                options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1", **short_folder()}
                options |= {"num_cpus": min(execution.cpus, os.cpu_count() or 1)} if execution.cpus else {}
                # Ray would put this machine's outer address in place of 127.0.0.1, and listen on every interface
                services.resolve_ip_for_localhost = lambda host: host
                services.start_ray_process = partial(_start, services.start_ray_process)
            utils.set_sigterm_handler = unless_noted(utils.set_sigterm_handler)  # Ray's ends the process without a word
            try:
                with held_back():
                    ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **options)
            except KeyboardInterrupt:
                ray.shutdown()
                raise
            take_sigterm_back()
        self.ahead = ASK_AHEAD if address else 0
        self.box = mailbox()
        self._wait_for_nodes()

    def _wait_for_nodes(self) -> None:
        """Wait for the first node that takes work: an autoscaled cluster may begin with a head alone."""
        until = time.monotonic() + self.execution.nodes_wait_s
        asked = None
        while not ray.cluster_resources().get("CPU", 0):
            if asked is None:
                print("no node takes work yet: asking for one and waiting …", flush=True)
                asked = ask_for_a_node.remote()  # what waits is what an autoscaler starts nodes for
            if time.monotonic() > until:
                raise TimeoutError(
                    f"no node that takes work came within execution.nodes_wait_s = {self.execution.nodes_wait_s:g}"
                )
            time.sleep(2)
        have = ray.cluster_resources()
        self.cpus, self.gpus = int(have["CPU"]), int(have.get("GPU", 0))

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
        """Make the artefacts of all jobs, or read them; a bad recording becomes a defect, anything else a failure.

        Its outcome holds references to the blocks.
        """
        out = Prepared(of_trials(videos, signals))
        e = self.execution
        if self.ahead:  # a Ray of its own has no others
            say_if_full({"CPU": 1.0} if signals or not self.gpus else {"CPU": 1.0, "GPU": 1 / e.prepares_per_gpu})
        asked = {}
        for job in signals:
            task = prepare_signals.options(max_retries=e.retries, memory=self._memory(e.prepare_memory_mb))
            asked[job] = task.remote(job, self.store, e.prepare_limit_s, self.logs, e.retries)
        for job, answer in asked.items():
            try:
                said, block = ray.get(answer)
            except RayError as error:
                said, block = self._died(job.stage, error), None
            out.take_signals(job, said, block)
            tick(failed=bool(said.kind))
        if videos:
            self._prepare_videos(videos, out, tick)
        return out

    def _memory(self, mb: int) -> int:
        """Bytes to reserve for one piece of work: never more than the smallest node could give."""
        nodes = [n["Resources"].get("memory", 0) for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        return int(min([mb * 1e6, *nodes]))

    def _died(self, stage: Stage, error: RayError) -> Failure:
        """What is known of a piece of preparation whose process ended, or could not be asked, in every round."""
        if isinstance(error, ray.exceptions.RayTaskError):
            return failure(error.cause if isinstance(error.cause, Exception) else error)
        log, limit_s = log_of(self.logs, stage), self.execution.prepare_limit_s
        return Failure(MACHINE, crash_reason(log, limit_s, self.execution.retries + 1)[0])

    def _alone(self, job: VideoJob, detector: Any) -> Failure:
        """A video whose process died in every round, once more with a node to itself, where it may crash its own process."""
        most = max(n["Resources"].get("CPU", 0) for n in ray.nodes() if n["Alive"])
        limit_s = self.execution.prepare_limit_s
        try:
            return ray.get(prepare_alone.options(num_cpus=most, max_retries=0).remote(job, self.store, limit_s, detector))
        except RayError as error:
            return self._died(job.stage, error)

    def _prepare_videos(self, videos: Sequence[VideoJob], out: Prepared, tick: Tick) -> None:
        e = self.execution
        share = {"num_gpus": 1 / e.prepares_per_gpu} if self.gpus else {}
        actor = Preparer.options(num_cpus=1, memory=self._memory(e.prepare_memory_mb), **share)  # type: ignore[attr-defined]

        def capacity() -> int:
            have = ray.cluster_resources()
            places = int(have.get("GPU", 0)) * e.prepares_per_gpu if self.gpus else int(have.get("CPU", 0))
            return places + self.ahead

        device = "cuda" if self.gpus else "cpu"
        (spec,) = {job.trunk for job in videos}
        trunk = ray.put((spec, spec.load().shared()) if spec else None)
        detector = ray.put(weights_to_carry(videos[0].settings.detector))
        pool = Pool(lambda: actor.remote(self.store, device, e.prepare_limit_s, self.logs, trunk, detector), capacity)
        died = []
        for done in pool.run(videos, lambda a, job: a.video.remote(job), rounds=e.retries + 1):
            if done.error and not hung(log_of(self.logs, done.job.stage)):
                died.append(done.job)  # judged when nothing else is being prepared
                continue
            said = self._died(done.job.stage, done.error) if done.error else done.status
            if not said.kind and "features" in done.job.made:
                out.refs[done.job.trial.trial_id] = done.block
            out.take_video(done.job, said, self.store)
            tick(failed=bool(said.kind), running=done.running)
        for job in died:
            said = self._alone(job, detector)
            out.take_video(job, said, self.store)
            tick(failed=bool(said.kind))

    def work(self, work: Scheduler, prepared: Prepared, starts: Starts) -> dict[str, str]:
        """Run all fits and searches in one Ray Tune run; returns the reason of each fit that failed."""
        blocks = RayBlocks(self.store, prepared, starts)
        share = {"CPU": 1.0, "GPU": 1 / self.execution.fits_per_gpu} if self.gpus else {"CPU": 1.0}
        if self.ahead:
            say_if_full(share)
        share["memory"] = self._memory(self.execution.fit_memory_mb)
        most = max(n["Resources"].get("CPU", 0) for n in ray.nodes() if n["Alive"])
        alone = {"CPU": most, **({"GPU": 1.0} if self.gpus else {})}
        places = (self.gpus * self.execution.fits_per_gpu if self.gpus else self.cpus) + self.ahead
        ask: dict[str, Any] = {"execution": self.execution, "logs": self.logs, "box": self.box, "places": places}
        return run_work(work, blocks, self.store, shares=(share, alone), **ask)

    def close(self) -> None:
        """Disconnect from the cluster, and stop it if it was started here."""
        ray.shutdown()


def check(address: str) -> None:
    """Raises InputError if no Ray answers there."""
    probe(address, running=services.find_gcs_addresses)


def nodes(address: str) -> list[Node]:
    """The nodes of the cluster there that take work now."""
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        shares = [n["Resources"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        return [Node(int(n["CPU"]), int(n.get("GPU", 0)), int(n.get("memory", 0))) for n in shares]
    finally:
        ray.shutdown()


def start(where: Where) -> Cluster:
    """Ray on this machine, or the cluster at the address that was named."""
    logs = where.out / "logs"
    print(f"starting Ray{f' at {where.address}' if where.address else ' on this machine'} …", flush=True)
    cluster = Cluster(where.store, where.execution, address=where.address, logs=logs)
    cluster.write_targets(where.out / "live" / "ray.json")
    print(f"Ray: {cluster.description}; logs of failed work go to {logs}", flush=True)
    return cluster
