"""What is to be done next: fits and search trials in dependency order, for every executor alike.

The list grows while it is worked on: when a search has ended, the planner completes the cells that waited for it. A worker
takes an item, reports rungs of a search trial, and finishes it. The start of the longest remaining path is handed out first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grid.plan import Fit, Planner, Search
from grid.store import Store

if TYPE_CHECKING:
    from grid.search import SearchState

FINISHED = "FINISHED"


@dataclass
class Item:
    """One piece of work for a worker: a fit (`trial` empty), or a trial of a search: {"number", "params"}."""

    job: Fit | Search
    trial: dict[str, Any] = field(default_factory=dict)


class Worklist:
    """The open work of a plan. `tick(...)` is called after each finished item, with totals for a display."""

    def __init__(self, planner: Planner, store: Store, tick: Callable[..., None]) -> None:
        self.planner, self.store, self.tick = planner, store, tick
        self.failed: dict[str, str] = {}
        self.running: dict[str, Item] = {}
        self.needs: dict[str, set[str]] = {}
        self.urgency: dict[str, float] = {}
        self.states: dict[str, SearchState] = {}
        self.seen: set[str] = set()
        self.total = self.made_trials = 0
        self.made: list[Fit] = []
        self.extend()

    def extend(self) -> None:
        """Take in what is new in the plan and not stored."""
        plan = self.planner.plan
        stored = {name: self.store.keys(name) for name in {f.stage.name for f in plan.fits.values()} | {"predict"}}
        waiting = {p.fit.stage.key for p in plan.predicts.values() if p.stage.key not in stored["predict"]}
        new = [k for k, f in plan.fits.items() if k not in self.seen and (k in waiting or k not in stored[f.stage.name])]
        new = [k for k in new if k not in self.failed]
        open_fits = self._open() | set(new)
        for key in new:
            self.needs[key] = {u.stage.key for u in plan.fits[key].upstream} & open_fits
            self.total += 1
        for key, search in plan.searches.items():
            if key not in self.seen and not self.store.has(search.stage):
                self.needs[key] = {u.stage.key for i in search.inner for u in i.upstream} & open_fits
                self.total += search.trials
                new.append(key)
        self.seen.update(new)
        self._rank(new)
        for key in list(new):
            broken = [k for k in self._upstream(key) if k in self.failed]
            if broken and key in self.needs:
                self._give_up(key, f"needs {plan.fits[broken[0]].label}, which failed")

    def _upstream(self, key: str) -> list[str]:
        plan = self.planner.plan
        if key in plan.fits:
            return [u.stage.key for u in plan.fits[key].upstream]
        return [u.stage.key for i in plan.searches[key].inner for u in i.upstream]

    def _open(self) -> set[str]:
        """Fits that are waiting or running."""
        return {k for k in self.needs if k in self.planner.plan.fits} | {
            i.job.stage.key for i in self.running.values() if isinstance(i.job, Fit)
        }

    def _rank(self, keys: Iterable[str]) -> None:
        """Urgency: own rough cost (epochs x trials x steps) plus that of the most expensive chain known to wait for it."""
        plan = self.planner.plan
        for key in reversed(list(keys)):
            fit = plan.fits.get(key)
            if fit is None:
                self.urgency[key] = float("inf")  # everything after a search is unknown, so it is not to be late
                continue
            own = fit.settings.epochs * len(fit.train.trial_ids) * (fit.steps[1] - fit.steps[0])
            self.urgency[key] = own + self.urgency.get(f"after {key}", 0.0)
            for upstream in fit.upstream:
                after = f"after {upstream.stage.key}"
                self.urgency[after] = max(self.urgency.get(after, 0.0), self.urgency[key])

    def take(self, worker: str) -> Item | str | None:
        """The next item for a worker, None while nothing is ready, FINISHED when nothing is left."""
        ready = [k for k, needs in self.needs.items() if not needs]
        for key in sorted(ready, key=lambda k: -self.urgency[k]):
            if key in self.planner.plan.fits:
                del self.needs[key]
                self.running[worker] = Item(self.planner.plan.fits[key])
                return self.running[worker]
            state = self._state(key)
            trial = state.suggest(worker)
            if trial is not None:
                self.running[worker] = Item(state.search, trial)
                return self.running[worker]
        return None if self.needs or self.running else FINISHED

    def _state(self, key: str) -> SearchState:
        if key not in self.states:
            from grid.search import SearchState  # Optuna and Tune are imported only where something is searched

            self.states[key] = SearchState(self.planner.plan.searches[key], self.store)
            for _ in self.states[key].trials:
                self.tick(total=self.total)
        return self.states[key]

    def report(self, worker: str, result: dict[str, Any]) -> bool:
        """A rung of a search trial; False if the trial is to stop."""
        item = self.running[worker]
        return self.states[item.job.stage.key].report(worker, result)

    def finish(self, worker: str, reason: str = "") -> None:
        """An item is over; `reason` says why it failed, if it did."""
        item = self.running.pop(worker)
        key = item.job.stage.key
        if isinstance(item.job, Fit):
            if reason:
                self._give_up(key, reason)
                return
            self.made.append(item.job)
            for needs in self.needs.values():
                needs.discard(key)
            self.tick(running=len(self.running), total=self.total)
            return
        state = self.states[key]
        state.complete(worker)
        self.made_trials += 1
        if state.finished:
            self.needs.pop(key, None)
            self.planner.resume(key)
            self.extend()
        self.tick(failed=bool(reason), running=len(self.running), total=self.total)

    def _give_up(self, key: str, reason: str) -> None:
        """A fit failed, or cannot be made: so do those that need it."""
        plan = self.planner.plan
        self.needs.pop(key, None)
        self.failed[key] = reason
        self.tick(failed=True, running=len(self.running), total=self.total)
        for waiting in [k for k in self.needs if key in self._upstream(k)]:
            if waiting in self.needs:
                self._give_up(waiting, f"needs {plan.fits[key].label if key in plan.fits else key}, which failed")
