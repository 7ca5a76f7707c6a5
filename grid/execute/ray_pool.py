"""A pool of Ray actors that works through jobs and follows the cluster: it grows with new nodes and survives lost ones.

An actor gets work once it runs, so that no job waits behind an actor for which there is no room any more. An actor that
dies is not restarted but replaced; its jobs are done again in a later round, one at a time per actor, so that a job
that kills its process takes no other down with it for good.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError

from grid.work.limits import STARTS

GROW_SECONDS = 2.0
ENDING_SECONDS = 3.0
"""So long may the processes of preparation take to give their processors back."""
QUEUED_PER_ACTOR = 2
"""Jobs handed to an actor ahead of time: it never waits, and the driver never floods the object store."""


@dataclass(frozen=True)
class Outcome:
    """A job is over: its status and the reference to its block, or the `error` that ended its process in every round.

    A status says what went wrong, if anything did, and whether another round may end otherwise (`again`).
    """

    job: Any
    status: Any
    block: Any
    error: RayError | None
    running: int


class Pool:
    """`make()` starts an actor, which has a method `ready`; `capacity()`: how many are wanted now, running or waiting."""

    def __init__(self, make: Callable[[], Any], capacity: Callable[[], int]) -> None:
        self.make, self.capacity = make, capacity
        self.idle_slots: dict[Any, int] = {}
        self.joining: dict[Any, Any] = {}
        self.grown = -GROW_SECONDS
        self.failed_starts = 0

    def run(self, jobs: Sequence[Any], start: Callable[[Any, Any], tuple[Any, Any]], *, rounds: int) -> Iterator[Outcome]:
        """Do each job, in up to `rounds` rounds; `start(actor, job)` gives references to its status and its block."""
        try:
            for n in range(rounds):
                again: list[Any] = []
                for outcome in self._round(jobs, start, QUEUED_PER_ACTOR if n == 0 else 1):
                    if n + 1 == rounds or not (outcome.error or outcome.status.again):
                        yield outcome
                    else:
                        again.append(outcome.job)
                jobs = again
        finally:  # idle actors would keep every processor from the fits
            for actor in [*self.idle_slots, *self.joining.values()]:
                _end(actor)
            self.idle_slots, self.joining = {}, {}

    def _round(self, jobs: Sequence[Any], start: Callable[[Any, Any], tuple[Any, Any]], queued: int) -> Iterator[Outcome]:
        waiting = list(reversed(jobs))
        running: dict[Any, tuple[Any, Any, Any]] = {}
        self.idle_slots = dict.fromkeys(self.idle_slots, queued)
        while waiting or running:
            self._grow(len(waiting) + len(running))
            for actor in [a for a, slots in self.idle_slots.items() for _ in range(slots)]:
                if waiting:
                    job = waiting.pop()
                    status, block = start(actor, job)
                    running[status] = (job, block, actor)
                    self.idle_slots[actor] -= 1
            if not (running or self.joining):
                time.sleep(GROW_SECONDS)  # no actor could start: the next try is due
                continue
            over, _ = ray.wait([*running, *self.joining], num_returns=1, timeout=GROW_SECONDS)
            for ref in over:
                if ref in self.joining:
                    self._join(ref, queued)
                    continue
                job, block, actor = running.pop(ref)
                done = partial(Outcome, job=job, block=block)
                try:
                    outcome = done(status=ray.get(ref), error=None, running=min(len(running), len(self.idle_slots)))
                    if actor in self.idle_slots:
                        self.idle_slots[actor] += 1
                except RayError as error:
                    self.idle_slots.pop(actor, None)
                    _end(actor)
                    self.grown = -GROW_SECONDS
                    outcome = Outcome(job=job, status=None, block=None, error=error, running=len(running))
                yield outcome

    def _join(self, ref: Any, queued: int) -> None:
        actor = self.joining.pop(ref)
        try:
            ray.get(ref)
            self.idle_slots[actor] = queued
            self.failed_starts = 0
        except RayError as error:
            _end(actor)
            self.failed_starts += 1
            if self.failed_starts >= STARTS:  # not a lost node: it cannot start anywhere
                raise ConnectionError(
                    f"no worker could be started on this Ray in {STARTS} tries: {error}; expected a cluster whose every node "
                    "was started with RAY_AUTH_MODE=token and the same token, and with this project installed"
                ) from error

    def _grow(self, jobs: int) -> None:
        if time.monotonic() - self.grown < GROW_SECONDS:
            return
        self.grown = time.monotonic()
        have = len(self.idle_slots) + len(self.joining)
        for _ in range(min(jobs, max(1, self.capacity())) - have):
            actor = self.make()
            self.joining[actor.ready.remote()] = actor


def _end(actor: Any) -> None:
    """Kill an actor; one that was never started, or is gone, raises here."""
    with suppress(RayError):
        ray.kill(actor)


def say_if_full(share: Mapping[str, float]) -> None:
    """Say who waits why. To be called while this run holds nothing, apart from preparers that are just ending."""
    until = time.monotonic() + ENDING_SECONDS
    while full := [what for what, much in share.items() if ray.available_resources().get(what, 0) < much]:
        if time.monotonic() > until:
            what, have = full[0], int(ray.cluster_resources().get(full[0], 0))
            used = have - int(ray.available_resources().get(what, 0))
            print(
                f"  waiting for a free {'processor' if what == 'CPU' else what} ({used} of {have} in use by others)",
                flush=True,
            )
            return
        time.sleep(0.2)
