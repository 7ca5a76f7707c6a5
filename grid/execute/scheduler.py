"""Hands out the next fit or search trial in dependency order; every executor uses it.

The list grows while it is worked on: when a search has ended, the planner completes the cells that waited for it. A worker
takes an item, reports rungs of a search trial, and finishes it. The start of the longest remaining path is handed out first
(ready_queue.py). Fits for which memory ran out beside others are put off, and what needs them waits, until the rest is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dataprep.faults import DIVERGED, Failure
from grid.execute.open_searches import OpenSearches
from grid.execute.planned_work import PlannedWork
from grid.execute.ready_queue import ReadyQueue
from grid.plan.planner import Planner
from grid.plan.specs import Fit, Search
from grid.store.artefacts import Store

FINISHED = "FINISHED"
MANY = 10**6


@dataclass
class Item:
    """One piece of work for a worker: a fit (`trial` empty), or a trial of a search: {"number", "params"}."""

    job: Fit | Search
    trial: dict[str, Any] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)


class Scheduler:
    """The open work of a plan. `tick(...)` is called after each finished item, with totals for a display."""

    def __init__(self, planner: Planner, store: Store, tick: Callable[..., None]) -> None:
        self.planner, self.store, self.tick = planner, store, tick
        self.failed: dict[str, str] = {}
        self.kinds: set[str] = set()  # of the failures; see dataprep.faults
        self.running: dict[str, Item] = {}
        self.searches = OpenSearches(planner.plan, store, lambda: tick(total=self.total))
        self.queue, self.planned = ReadyQueue(), PlannedWork(planner, store)
        self.postponed: list[str] | None = []  # None in the second pass: then running out of memory is a failure
        self.total = self.made_trials = 0
        self.made: list[Fit] = []
        self.extend()

    def extend(self) -> None:
        """Add the parts of the plan that are new and not stored."""
        plan = self.planner.plan
        new = [k for k in self.planned.new() if k not in self.failed]
        self.planned.rank(new)
        running = {i.job.stage.key for i in self.running.values() if isinstance(i.job, Fit)}
        still_open = {k for k in self.queue if k in plan.fits} | running | set(self.postponed or ()) | set(new)
        for key in new:
            upstream = self.planned.upstream(key)
            self.total += plan.searches[key].trials if key in plan.searches else 1
            self.queue.add(key, set(upstream) & still_open, self.planned.urgency[key])
        for key in new:
            if (lacking := self.planned.lacks(key)) and key in self.queue:
                self._give_up(key, lacking)
        for key in new:
            broken = [k for k in self.planned.upstream(key) if k in self.failed]
            if broken and key in self.queue:
                self._give_up(key, f"needs {plan.fits[broken[0]].label}, which failed")

    @property
    def parts(self) -> set[str]:
        """The recordings, 'video' or 'signals', that the open work needs."""
        return {part for key in self.queue for part in self.planned.parts(key)}

    def take(self, worker: str) -> Item | str | None:
        """The next item for a worker, None while nothing is ready, FINISHED when nothing is left."""
        while (key := self.queue.pop()) is not None:
            if key in self.planner.plan.fits:
                self.running[worker] = Item(self.planner.plan.fits[key])
                return self.running[worker]
            trial = self.searches.suggest(key, worker)
            if trial is not None:
                self.queue.put_back(key)  # the next worker takes its next trial
                self.running[worker] = Item(self.planner.plan.searches[key], trial)
                return self.running[worker]
            if self.searches.state(key).finished:  # a driver was killed before its end, or another one did the rest
                self._resume(key)
        return FINISHED if self.over else None

    def alike(self, job: Fit | Search) -> list[str]:
        """The ready fits that can be trained side by side with this one, the most urgent first."""
        if not isinstance(job, Fit) or not job.layout:
            return []
        fits = self.planner.plan.fits
        return self.queue.urgent_first(k for k in self.queue.ready if k in fits and fits[k].layout == job.layout)

    def claim(self, worker: str, key: str) -> Item:
        """A fit that is ready, out of its turn."""
        self.queue.claim(key)
        self.running[worker] = Item(self.planner.plan.fits[key])
        return self.running[worker]

    @property
    def busy(self) -> int:
        """How many items are worked on. A worker that has just finished one takes the next that is ready."""
        return len(self.running) + bool(self.queue.ready)

    @property
    def over(self) -> bool:
        """Nothing is being worked on, and nothing waits but what was put off."""
        return not self.running and not self.queue.ready and (not len(self.queue) or bool(self.postponed))

    @property
    def ready(self) -> int:
        """How many more workers would find something to do now; for a search any number."""
        return len(self.queue.ready) if self.queue.ready.isdisjoint(self.planner.plan.searches) else MANY

    def postponed_again(self) -> int:
        """Begin the second pass: what was put off is ready now. Gives how many fits that are."""
        keys, self.postponed = self.postponed or [], None
        for key in keys:
            self.queue.put_back(key)
        return len(keys)

    def report(self, worker: str, result: dict[str, Any]) -> bool:
        """A rung of a search trial; False if the trial is to stop."""
        return self.searches.state(self.running[worker].job.stage.key).report(worker, result)

    def finish(self, worker: str, said: Failure | None = None, *, crowded: bool = False) -> None:
        """An item is over; `said` is what went wrong, if anything did, and `crowded` that it may do better alone."""
        reason = said.reason if said else ""
        item = self.running.pop(worker)
        key = item.job.stage.key
        self.planned.took(key, time.monotonic() - item.started_s)
        if isinstance(item.job, Fit):
            if reason and crowded and self.postponed is not None:
                self.postponed.append(key)
            elif said and reason:
                self.kinds.add(said.kind)
                self._give_up(key, reason)
            else:
                self.made.append(item.job)
                self.queue.done(key)
                self.tick(running=self.busy, total=self.total)
        elif said and said.kind != DIVERGED:  # it says nothing of the configuration, and is never stored
            if not self.searches.state(key).put_back(worker) and key not in self.failed:
                self.kinds.add(said.kind)
                self._give_up(key, f"a trial of its search failed twice: {reason}")
            elif key in self.searches.aside and key not in self.failed:
                self.queue.put_back(key)
            self.searches.aside.discard(key)
        else:
            self.searches.state(key).complete(worker)
            self.made_trials += 1
            if self.searches.state(key).finished:
                self._resume(key)
            self.tick(failed=bool(reason), running=self.busy, total=self.total)

    def _resume(self, key: str) -> None:
        """A search has ended: what waited for it joins the list."""
        self.searches.aside.discard(key)
        self.queue.remove(key)
        self.planner.resume(key)
        self.extend()

    def abandon(self, said: Failure) -> None:
        """Fail all waiting work for this reason."""
        self.kinds.add(said.kind)
        for key in [*self.queue, *(self.postponed or ())]:
            if key not in self.failed:
                self.queue.remove(key)
                self._fail(key, said.reason)
        self.postponed = [] if self.postponed is not None else None

    def _give_up(self, key: str, reason: str) -> None:
        """Fail a fit, and all fits that need it."""
        plan = self.planner.plan
        self.queue.remove(key)
        self._fail(key, reason)
        for waiting, needed in self.queue.drop(key):
            self._fail(waiting, f"needs {plan.fits[needed].label if needed in plan.fits else needed}, which failed")

    def _fail(self, key: str, reason: str) -> None:
        self.failed[key] = reason
        self.tick(failed=True, running=self.busy, total=self.total)
