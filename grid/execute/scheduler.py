"""Hands out the next fit or search trial in dependency order; every executor uses it.

The list grows while it is worked on: when a search has ended, the planner completes the cells that waited for it. A worker
takes an item, reports rungs of a search trial, and finishes it. The start of the longest remaining path is handed out first
(ready_queue.py). Fits for which memory ran out beside others are put off, and what needs them waits, until the rest is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataprep.faults import DIVERGED, Failure
from grid.execute.ready_queue import ReadyQueue
from grid.plan.planner import Planner
from grid.plan.specs import Fit, Search
from grid.store.artefacts import Store

if TYPE_CHECKING:
    from grid.execute.search import SearchState

FINISHED = "FINISHED"
MANY = 10**6


@dataclass
class Item:
    """One piece of work for a worker: a fit (`trial` empty), or a trial of a search: {"number", "params"}."""

    job: Fit | Search
    trial: dict[str, Any] = field(default_factory=dict)


class Scheduler:
    """The open work of a plan. `tick(...)` is called after each finished item, with totals for a display."""

    def __init__(self, planner: Planner, store: Store, tick: Callable[..., None]) -> None:
        self.planner, self.store, self.tick = planner, store, tick
        self.failed: dict[str, str] = {}
        self.kinds: set[str] = set()  # of the failures; see dataprep.faults
        self.running: dict[str, Item] = {}
        self.queue = ReadyQueue()
        self.aside: set[str] = set()  # searches whose trials are all handed out
        self.postponed: list[str] | None = []  # None in the second pass: then running out of memory is a failure
        self.urgency: dict[str, float] = {}
        self.states: dict[str, SearchState] = {}
        self.seen: set[str] = set()
        self.stored: dict[str, set[str]] = {}  # stage -> keys, from before this run: what it makes itself it has seen
        self.total = self.made_trials = 0
        self.made: list[Fit] = []
        self.extend()

    def extend(self) -> None:
        """Add the parts of the plan that are new and not stored."""
        plan = self.planner.plan
        for name in ({f.stage.name for f in plan.fits.values()} | {"predict"}) - self.stored.keys():
            self.stored[name] = self.store.keys(name)
        waiting = {
            p.fit.stage.key
            for p in plan.predicts.values()
            if p.stage.key not in self.stored["predict"] and not plan.lacks_test(p)
        }
        new = [
            k for k, f in plan.fits.items() if k not in self.seen and (k in waiting or k not in self.stored[f.stage.name])
        ]
        new = [k for k in new if k not in self.failed]
        new += [k for k, search in plan.searches.items() if k not in self.seen and not self.store.has(search.stage)]
        self.seen.update(new)
        self._rank(new)
        still_open = self._open() | set(new)
        for key in new:
            upstream = self._upstream(key)
            self.total += plan.searches[key].trials if key in plan.searches else 1
            self.queue.add(key, set(upstream) & still_open, self.urgency[key])
        for key in new:
            lacking = self._lacks(key)
            if lacking and key in self.queue:
                self._give_up(key, lacking)
        for key in new:
            broken = [k for k in self._upstream(key) if k in self.failed]
            if broken and key in self.queue:
                self._give_up(key, f"needs {plan.fits[broken[0]].label}, which failed")

    @property
    def parts(self) -> set[str]:
        """The recordings, 'video' or 'signals', that the open work needs."""
        return {part for key in self.queue for part in self._parts(key)}

    def _parts(self, key: str) -> tuple[str, ...]:
        plan = self.planner.plan
        if key in plan.fits:
            return plan.fits[key].parts
        return plan.searches[key].parts

    def _lacks(self, key: str) -> str:
        """Why a fit or a search cannot be done with the trials it is made of."""
        plan = self.planner.plan
        if key in plan.fits:
            return plan.lacks(self._parts(key), plan.fits[key].train.trial_ids)
        sides = (side for i in plan.searches[key].inner for side in (i.train, i.validation))
        return plan.lacks(self._parts(key), [t for side in sides for t in side.trial_ids])

    def _upstream(self, key: str) -> list[str]:
        plan = self.planner.plan
        if key in plan.fits:
            return [u.stage.key for u in plan.fits[key].fed_by]
        return [u.stage.key for i in plan.searches[key].inner for u in i.upstream]

    def _open(self) -> set[str]:
        """Fits that are waiting, put off or running."""
        running = {i.job.stage.key for i in self.running.values() if isinstance(i.job, Fit)}
        return {k for k in self.queue if k in self.planner.plan.fits} | running | set(self.postponed or ())

    def _rank(self, keys: Iterable[str]) -> None:
        """Priority: own rough cost plus that of the most expensive known chain that waits for it, searches not included."""
        for key in reversed(list(keys)):
            self.urgency[key] = self._cost(key) + self.urgency.get(f"after {key}", 0.0)
            for upstream in self._upstream(key):
                after = f"after {upstream}"
                self.urgency[after] = max(self.urgency.get(after, 0.0), self.urgency[key])

    def _cost(self, key: str) -> float:
        """Epochs x trials x steps: of a fit, or of a search's sub-network, which is about what a trial of it takes."""
        plan = self.planner.plan
        job = plan.fits.get(key) or plan.searches[key]
        if isinstance(job, Fit):
            epochs, trials = job.epochs, len(job.train.trial_ids)
        else:
            epochs = getattr(job.settings, "epochs", 1)
            trials = sum(len(s.trial_ids) for s in (job.inner[0].train, job.inner[0].validation))
        return float(epochs * trials * (job.part.steps[1] - job.part.steps[0]))

    def take(self, worker: str) -> Item | str | None:
        """The next item for a worker, None while nothing is ready, FINISHED when nothing is left."""
        while (key := self.queue.pop()) is not None:
            if key in self.planner.plan.fits:
                self.running[worker] = Item(self.planner.plan.fits[key])
                return self.running[worker]
            state = self._state(key)
            if state.finished:  # killed between its last trial and its end
                self._resume(key)
                continue
            trial = state.suggest(worker)
            if trial is not None:
                self.queue.put_back(key)  # the next worker takes its next trial
                self.running[worker] = Item(state.search, trial)
                return self.running[worker]
            if state.finished:  # another driver on this store did the rest
                self._resume(key)
                continue
            self.aside.add(key)
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

    def _state(self, key: str) -> SearchState:
        if key not in self.states:
            from grid.execute.search import SearchState  # Optuna is imported only where something is searched

            self.states[key] = SearchState(self.planner.plan.searches[key], self.store)
            for _ in self.states[key].trials:
                self.tick(total=self.total)
        return self.states[key]

    def report(self, worker: str, result: dict[str, Any]) -> bool:
        """A rung of a search trial; False if the trial is to stop."""
        item = self.running[worker]
        return self.states[item.job.stage.key].report(worker, result)

    def finish(self, worker: str, said: Failure | None = None, *, crowded: bool = False) -> None:
        """An item is over; `said` is what went wrong, if anything did, and `crowded` that it may do better alone."""
        reason = said.reason if said else ""
        item = self.running.pop(worker)
        key = item.job.stage.key
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
            return
        state = self.states[key]
        if said and said.kind != DIVERGED:  # it says nothing of the configuration, and is never stored
            if not state.put_back(worker) and key not in self.failed:
                self.kinds.add(said.kind)
                self._give_up(key, f"a trial of its search failed twice: {reason}")
            elif key in self.aside and key not in self.failed:
                self.queue.put_back(key)
            self.aside.discard(key)
            return
        state.complete(worker)
        self.made_trials += 1
        if state.finished:
            self._resume(key)
        self.tick(failed=bool(reason), running=self.busy, total=self.total)

    def _resume(self, key: str) -> None:
        """A search has ended: what waited for it joins the list."""
        self.aside.discard(key)
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
