"""What an executor is: it prepares recordings, does the work that a scheduler hands out, and is closed.

Every file `NAME_executor.py` of this folder is one, which `--executor NAME` chooses: it exports `start(Where) -> Executor`, and,
if it can join a cluster, `check(address)` and `nodes(address)`.
`in-process` does everything in this process, `ray` on a Ray cluster.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dataprep.faults import RECORDING, Failure
from dataprep.records import Defect, InputError
from grid.execute.scheduler import Scheduler
from grid.experiment.config_tables import Execution
from grid.plan.preparation import SignalsJob, VideoJob
from grid.store.artefacts import Store
from grid.work.blocks import Stages, Starts
from grid.work.prepare import SignalsBlock, quarantine_video

Tick = Callable[..., None]


@dataclass
class Prepared:
    """The outcome of preparation: signals of each usable trial, the trials with usable video, the defects met, and what failed.

    `stages`: kind of recording -> trial id -> the artefact that was asked for. `failures`: (part, trial id) ->
    what went wrong, which was not the
    recording's fault. `refs`: trial id -> where an executor keeps the features, if it does.
    """

    stages: Stages

    signals: dict[str, np.ndarray] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)
    defects: list[Defect] = field(default_factory=list)
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    refs: dict[str, Any] = field(default_factory=dict)

    def take_signals(self, job: SignalsJob, said: Failure, block: SignalsBlock | None) -> None:
        """Add what became of a subject's signals."""
        if block is None:
            self.failures.update({("signals", t.trial_id): said for t in job.trials})
            return
        self.signals.update(zip(block.trial_ids, block.x_NTC, strict=True))
        self.defects.extend(block.defects)

    def take_video(self, job: VideoJob, said: Failure, store: Store) -> None:
        """Add what became of a video; a bad one is put aside for later runs, too."""
        if not said.kind:
            self.videos.add(job.trial.trial_id)
        elif said.kind == RECORDING:
            self.defects.append(quarantine_video(job, store, said.reason))
        else:
            self.failures["video", job.trial.trial_id] = said


class Executor(Protocol):
    """Who does the work. The same jobs give the same bytes, whoever does them.

    `gpus`: how many GPUs it uses; `description`: nodes and processors, for people.
    """

    @property
    def gpus(self) -> int: ...

    @property
    def description(self) -> str: ...

    def prepare(self, videos: Sequence[VideoJob], signals: Sequence[SignalsJob], tick: Tick) -> Prepared:
        """Make the artefacts of all jobs, or read them; a bad recording becomes a defect, anything else a failure."""

    def work(self, work: Scheduler, prepared: Prepared, starts: Starts) -> dict[str, str]:
        """Do all that the scheduler hands out; gives fit key -> reason of those that failed. `starts`: name -> first weights."""

    def close(self) -> None:
        """Give back what was taken."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """What an executor is started with. `out`: the folder of results; `address`: of a cluster that is there, if it was named.

    `suspects`: marks of recordings during which an earlier process died; they get a process of their own.
    """

    store: Store
    execution: Execution
    out: Path
    address: str | None = None
    suspects: frozenset[str] = frozenset()


def start(name: str, where: Where) -> Executor:
    """The executor of that name, started."""
    started: Executor = _module(name).start(where)
    return started


def check(name: str, address: str) -> None:
    """Raises InputError if the executor of that name joins no cluster, or if none answers at `address`."""
    module = _module(name)
    if not hasattr(module, "check"):
        raise InputError(
            f"--address {address}: the executor {name} joins no cluster; expected --executor ray, or no --address"
        )
    module.check(address)


@dataclass(frozen=True)
class Node:
    """A node of a cluster that takes work: its processors, GPUs, and the bytes of memory that it lends to work."""

    cpus: int
    gpus: int
    memory: int


def nodes(name: str, address: str) -> list[Node]:
    """The nodes of the cluster at `address` that take work now. Raises InputError as `check` does."""
    check(name, address)
    found: list[Node] = _module(name).nodes(address)
    return found


def _module(name: str) -> Any:
    return importlib.import_module(f"grid.execute.{name.replace('-', '_')}_executor")
