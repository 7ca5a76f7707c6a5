"""Prepares one recording: errors become data, failures are retried, and files that crash their decoder are identified.

Only a `RecordingError` is the recording's fault. A file whose decoding ends its process twice by a fault of memory (SIGSEGV,
SIGABRT, SIGBUS), each time in a process started for it alone, is the one exception: then nothing else can be to blame. A process
that was killed (SIGKILL: memory ran out), or that took too long, is the machine's doing.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from typing import Any

from dataprep.faults import MACHINE, RECORDING, Failure, failure
from dataprep.video.retinaface import adopt_weights
from grid.plan.preparation import VideoJob
from grid.store.artefacts import Store
from grid.work.prepare import run_video

CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
PAUSE_S = 0.2
"""Before a second try; twice as long before each further one."""


def tried(work: Callable[[], Any], *, retries: int) -> tuple[Failure, Any]:
    """The failure (or none) and the result of the work. It is retried up to `retries` times if that may help."""
    for n in range(retries + 1):
        try:
            return Failure(), work()
        except Exception as error:
            found = failure(error)
        if not found.again:
            break
        if n < retries:
            time.sleep(PAUSE_S * 2**n)
    return found, None


def in_own_process(job: VideoJob, store: Store, *, limit_s: float, detector: bytes | None = None) -> Failure:
    """Prepare a video in a process of its own, which is allowed to crash; twice if it does. Its artefact is in the store then.

    `detector`: weights that this machine may not have as a file.
    """
    said = Failure()
    for _ in range(2):
        said = _in_child(job, store, limit_s, detector)
        if said.kind != "crashed":
            return said
    return Failure(RECORDING, f"{job.trial.video}: {said.reason}; expected a video that can be decoded")


def _in_child(job: VideoJob, store: Store, limit_s: float, detector: bytes | None) -> Failure:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(job, store, theirs, detector), daemon=True)
    child.start()
    theirs.close()
    child.join(limit_s)
    if child.is_alive():
        child.kill()
        child.join()
        return Failure(MACHINE, f"took longer than its limit of {limit_s:g} s")
    code = child.exitcode or 0
    if code < 0:
        name = signal.Signals(-code).name
        if -code in CRASHES:
            return Failure("crashed", f"crashes the decoder ({name}, twice, in a process of its own)")
        return Failure(MACHINE, f"the process that prepared it was ended by {name}")
    try:
        return ours.recv() if ours.poll() else Failure(MACHINE, f"the process that prepared it ended with exit code {code}")
    except EOFError:
        return Failure(MACHINE, f"the process that prepared it ended with exit code {code}")


def _child(job: VideoJob, store: Store, answer: Any, detector: bytes | None) -> None:
    adopt_weights(detector)
    answer.send(tried(lambda: run_video(job, store) is None, retries=0)[0])
