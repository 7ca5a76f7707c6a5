"""What prepares recordings on Ray: an actor for videos, a task for signals. They import little: a machine with many
processors runs many of them.

The weights of the trunk, and of a detector that does not ship, arrive through the object store: a node holds them once,
however many actors it runs, and needs no file of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ray

from dataprep.faults import Failure, failure
from dataprep.video.retinaface import adopt_weights
from grid.plan.preparation import SignalsJob, TrunkSpec, VideoJob
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.attempts import in_own_process, tried
from grid.work.limits import time_limit
from grid.work.prepare import SignalsBlock, run_signals, run_video
from painmodels.trunks.trunk import Shared


@ray.remote
class Preparer:
    """Prepares one video at a time; detector and trunk stay loaded."""

    def __init__(
        self,
        store: Store,
        device: str,
        limit_s: float,
        logs: Path,
        trunk: tuple[TrunkSpec, Shared] | None,
        detector: bytes | None,
    ) -> None:
        self.store, self.device, self.limit_s, self.logs = store, device, limit_s, logs
        if trunk:
            trunk[0].adopt(trunk[1])
        adopt_weights(detector)

    def ready(self) -> None:
        """Answers once the process runs."""

    @ray.method(num_returns=2)
    def video(self, job: VideoJob) -> tuple[Failure, np.ndarray | None]:
        """No failure and the features, if they are wanted, or what went wrong."""
        try:
            with time_limit(self.limit_s, log_of(self.logs, job.stage)):
                return Failure(), run_video(job, self.store, self.device)
        except Exception as error:
            return failure(error), None


def log_of(logs: Path, stage: Stage) -> Path:
    """Where it is written how far a piece of preparation was when it took too long."""
    return logs / f"{stage.name}-{stage.key}.hung.txt"


@ray.remote
def prepare_signals(
    job: SignalsJob, store: Store, limit_s: float, logs: Path, retries: int
) -> tuple[Failure, SignalsBlock | None]:
    """No failure and the signals of a subject, or what went wrong."""
    with time_limit(limit_s, log_of(logs, job.stage)):
        return tried(lambda: run_signals(job, store), retries=retries)


@ray.remote(num_cpus=1)
def ask_for_a_node() -> None:
    """Do nothing, on a node that takes work."""


@ray.remote
def prepare_alone(job: VideoJob, store: Store, limit_s: float, detector: bytes | None) -> Failure:
    """Prepare a video in a process of its own, without other work beside it."""
    return in_own_process(job, store, limit_s=limit_s, detector=detector)
