"""Between the scheduler in the driver and the workers of a cluster: idle workers request work from the dispatcher.

A worker asks through a `Mailbox`, an actor without processors beside the driver; the `Dispatcher`, a thread of the driver,
answers from the scheduler. A question costs a few milliseconds, where a trial of Ray Tune costs hundreds: so a Tune trial is
a worker that goes through many items (grid/execute/ray_tune.py), and small fits and trials of a search are not slowed down.

A worker for which nothing is ready waits here for a moment, then is sent home, so that a cluster can shrink. The item of a
worker that died is handed out again, up to the number of retries.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from dataprep.faults import MACHINE, Failure
from grid.execute.ray_mailbox import end, packed, unpacked
from grid.execute.scheduler import Item, Scheduler
from grid.experiment.config_tables import Execution
from grid.plan.specs import Fit, Predict
from grid.work.limits import STARTS, crash_reason

PATIENCE_SECONDS = 5.0
"""How long a worker waits for something to become ready before it gives its place back."""


@dataclass(frozen=True)
class Part:
    """An item to do, and the predictions that follow a fit."""

    ticket: str
    item: Item
    predicts: tuple[Predict, ...] = ()


Order = tuple[Part, ...]
"""What a worker is to do: one item, or fits of one layout to be trained side by side."""


@dataclass(frozen=True)
class Outcome:
    """An item is over; `failed` says why, if it did, and `crowded` that it may do better alone."""

    ticket: str
    failed: Failure | None = None
    crowded: bool = False


@dataclass(frozen=True)
class Said:
    """What a worker says: a search trial's (ticket, report of a rung), or what became of its order.

    `over` is empty when a worker comes without having done anything. `packs`: how many fits it can train side by side. `broken`:
    why it could not be set up and goes home.
    """

    over: tuple[Outcome, ...] = ()
    report: tuple[str, dict[str, Any]] | None = None
    packs: int = 1
    broken: Failure | None = None


class Dispatcher:
    """Hands out a scheduler to workers until it is done. Use as a context manager; `box` is the mailbox that they ask."""

    def __init__(self, work: Scheduler, execution: Execution, logs: Path, box: Any) -> None:
        self.work, self.execution, self.logs, self.box = work, execution, logs, box
        self.tickets: dict[str, list[str]] = {}  # worker -> what it works on
        self.again: list[str] = []  # tickets of workers that died
        self.deaths: Counter[str] = Counter()
        self.waiting: dict[str, tuple[float, int]] = {}  # worker -> since when, and how many fits it packs
        self.dead: set[str] = set()
        self.expected: set[str] = set()  # workers that were asked for and have not come yet
        self.tickets_given = 0
        self.failed_starts = 0
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="dispatcher", daemon=True)

    def __enter__(self) -> Dispatcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        end(self.box)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        with self._lock:
            return self.work.over and not self.again

    def expects(self, worker: str) -> bool | None:
        """Whether this worker would find something to do, None if nothing is left to be done. Raises what went wrong."""
        with self._lock:
            if self.error:
                raise RuntimeError("the scheduler cannot go on") from self.error
            if self.work.over and not self.again:
                return None
            if len(self.again) + self.work.ready <= len(self.expected) + len(self.waiting):
                return False
            self.expected.add(worker)
            return True

    def lost(self, worker: str) -> None:
        """A worker died, or could not be started: what it worked on is handed out again, if that may help."""
        with self._lock:
            self.dead.add(worker)
            self.waiting.pop(worker, None)
            if worker in self.expected:
                self.expected.discard(worker)
                self._not_started(Failure(MACHINE, "the worker's process ended before it began"))
            for ticket in self.tickets.pop(worker, ()):
                self.deaths[ticket] += 1
                if self.deaths[ticket] <= self.execution.retries:
                    self.again.append(ticket)  # alone from now on, whatever it was packed with
                    continue
                log = hung_log(self.logs, self.work.running[ticket])
                reason, in_time = crash_reason(log, self.execution.fit_limit_s, self.execution.retries + 1)
                self.work.finish(ticket, Failure(MACHINE, reason), crowded=not in_time)

    def _not_started(self, said: Failure) -> None:
        """One more worker could not be set up; after so many in a row nothing that is left can be done."""
        self.failed_starts += 1
        if self.failed_starts >= STARTS and not self.tickets:
            reason = f"no worker could be set up in {STARTS} tries: {said.reason} (see {self.logs / 'worker-start.txt'})"
            self.work.abandon(Failure(said.kind, reason))

    def _serve(self) -> None:
        try:
            while not self._stopped.is_set():
                asked = ray.get(self.box.collect.remote(0.5))
                with self._lock:
                    answers: dict[str, Any] = {}
                    for worker, content in asked:
                        said: Said = unpacked(content)
                        if said.broken:
                            self.expected.discard(worker)
                            self._not_started(said.broken)
                            answers[worker] = ()
                        elif said.report is None:
                            self._arrived(worker, said)
                        else:
                            answers[worker] = self._heard(worker, *said.report)
                    answers |= self._hand_out()
                if answers:
                    self._reply(answers)
        except RayError as error:
            self.error = None if self._stopped.is_set() else error
        except BaseException as error:
            self.error = error
            self._reply(dict.fromkeys([*self.waiting, *self.tickets], ()))

    def _reply(self, answers: dict[str, Any]) -> None:
        self.box.reply.remote({worker: packed(answer) for worker, answer in answers.items()})

    def _heard(self, worker: str, ticket: str, report: dict[str, Any]) -> bool:
        """A rung's report; False if the trial is to stop."""
        return ticket in self.tickets.get(worker, ()) and self.work.report(ticket, report)

    def _arrived(self, worker: str, said: Said) -> None:
        """A worker has nothing to do: because its item is over, or because it is new."""
        if worker in self.dead:  # its last question came after the news of its death
            return
        self.failed_starts = 0
        mine = self.tickets.pop(worker, ())
        for one in said.over:
            if one.ticket in mine:
                self.work.finish(one.ticket, one.failed, crowded=one.crowded)
        self.expected.discard(worker)
        self.waiting[worker] = (time.monotonic(), said.packs)

    def _hand_out(self) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for worker, (since, packs) in list(self.waiting.items()):
            order = self._next(packs)
            if order:
                self.tickets[worker] = [part.ticket for part in order]
            elif not self.work.over and time.monotonic() - since < PATIENCE_SECONDS:
                continue
            answers[worker] = order
            del self.waiting[worker]
        return answers

    def _next(self, packs: int) -> Order:
        """The most urgent item, with what can be trained beside it, if the worker packs; empty while nothing is ready."""
        if self.again:
            ticket = self.again.pop(0)
            return (self._part(ticket, self.work.running[ticket]),)
        ticket = self._ticket()
        item = self.work.take(ticket)
        if not isinstance(item, Item):
            return ()
        order = [self._part(ticket, item)]
        if packs > 1:
            alike = self.work.alike(item.job)
            fair = -(-(len(alike) + 1) // max(1, int(ray.cluster_resources().get("GPU", 1))))  # every GPU gets some
            for key in alike[: min(packs, fair) - 1]:
                ticket = self._ticket()
                order.append(self._part(ticket, self.work.claim(ticket, key)))
        return tuple(order)

    def _ticket(self) -> str:
        self.tickets_given += 1
        return f"item-{self.tickets_given}"

    def _part(self, ticket: str, item: Item) -> Part:
        is_fit = isinstance(item.job, Fit)
        return Part(ticket, item, tuple(self.work.planner.plan.predicts_of(item.job.stage.key)) if is_fit else ())


def hung_log(logs: Path, item: Item) -> Path:
    """Where an item that exceeds its time limit leaves word of where it stood."""
    number = f"-{item.trial['number']}" if item.trial else ""
    return logs / f"{item.job.stage.name}-{item.job.stage.key}{number}.hung.txt"
