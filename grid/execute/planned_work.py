"""What the plan says of the work that a scheduler hands out: recordings, upstream fits, cost and urgency, each by key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from grid.plan.costs import Costs
from grid.plan.planner import Planner
from grid.store.artefacts import Store

if TYPE_CHECKING:
    from grid.execute.scheduler import Item

FADES = 0.9
"""What an earlier fit counts beside the next of its stage, when the time left is estimated: a machine does not stay as busy."""

SHARED = 0.75
"""How much of what others took beyond their plan is the machine's, and so the next stage's, too."""


class PlannedWork:
    """The fits and searches of a plan, by key. The plan may grow; `new` gives each key once, `rank` is told of it once."""

    def __init__(self, planner: Planner, store: Store) -> None:
        self.plan, self.store = planner.plan, store
        self.costs = Costs.of(planner.experiment, planner.dataset)
        self._seen: set[str] = set()
        self._stored: dict[str, set[str]] = {}  # stage -> keys, from before this run: what it makes itself it has seen
        self._costs: dict[str, float] = {}
        self.urgency: dict[str, float] = {}
        self._took: dict[str, list[float]] = {}  # of a stage: seconds and costs of what is over, summed
        self._after: dict[str, float] = {}  # of a fit: urgency of the most urgent work that waits for it

    def new(self) -> list[str]:
        """The fits and searches that are to be made and were not told of before: what is not stored, or what feeds such."""
        plan = self.plan
        for name in ({f.stage.name for f in plan.fits.values()} | {"predict"}) - self._stored.keys():
            self._stored[name] = self.store.keys(name)
        open_predicts = [p for p in plan.predicts.values() if p.stage.key not in self._stored["predict"]]
        waiting = {p.fit.stage.key for p in open_predicts if not plan.lacks_test(p)}
        found = [k for k, f in plan.fits.items() if k in waiting or k not in self._stored[f.stage.name]]
        found = [k for k in found if k not in self._seen]
        found += [k for k, search in plan.searches.items() if k not in self._seen and not self.store.has(search.stage)]
        self._seen.update(found)
        return found

    def parts(self, key: str) -> tuple[str, ...]:
        """The recordings, 'video' or 'signals', that a fit or a search needs."""
        return self.plan.fits[key].parts if key in self.plan.fits else self.plan.searches[key].parts

    def lacks(self, key: str) -> str:
        """Why a fit or a search cannot be done with the trials it is made of; empty if it can."""
        if key in self.plan.fits:
            return self.plan.lacks(self.parts(key), self.plan.fits[key].train.trial_ids)
        sides = (side for i in self.plan.searches[key].inner for side in (i.train, i.validation))
        return self.plan.lacks(self.parts(key), [t for side in sides for t in side.trial_ids])

    def upstream(self, key: str) -> list[str]:
        """The fits that a fit or a search is fed by."""
        if key in self.plan.fits:
            return [u.stage.key for u in self.plan.fits[key].fed_by]
        return [u.stage.key for i in self.plan.searches[key].inner for u in i.upstream]

    def rank(self, keys: Iterable[str]) -> None:
        """Urgency: own rough cost plus that of the most expensive known chain that waits for it, searches not included.

        First of all comes the cheapest fit: so what is wrong with every fit shows within seconds.
        """
        keys, begins = list(keys), not self.urgency
        waited_for = set(keys)
        for key in reversed(keys):
            self.urgency[key] = self.cost(key) + self._after.get(key, 0.0)
            for upstream in self.upstream(key):
                self._after[upstream] = max(self._after.get(upstream, 0.0), self.urgency[key])
        free = [k for k in keys if begins and k in self.plan.fits and waited_for.isdisjoint(self.upstream(k))]
        if free:
            self.urgency[min(free, key=self.cost)] = math.inf

    def took(self, key: str, seconds: float) -> None:
        """A fit, or a trial of a search, is over."""
        sums = self._took.setdefault(self._stage(key), [0.0, 0.0])
        sums[0] = FADES * sums[0] + seconds
        sums[1] = FADES * sums[1] + self.cost(key)

    def seconds_left(self, waiting: Iterable[str], running: Mapping[str, Item], workers: int) -> float | None:
        """How long the open work takes if so many workers go on (one that has just finished among them); None at first.

        A fit takes what fits of its stage took, for its cost; one of a stage of which none is over, what was planned, and
        `SHARED` of the surprise (as a ratio) that all others were. Half is left of what runs. Trials of a search count as
        often as there are trials.
        """
        if not self._took:
            return None
        seconds, cost = (sum(sums[n] for sums in self._took.values()) for n in (0, 1))

        def expected(key: str) -> float:
            known = self._took.get(self._stage(key))
            if known:
                return self.cost(key) * known[0] / max(known[1], 1e-9)
            return self.cost(key) * (seconds / max(cost, 1e-9)) ** SHARED

        trials = {key: search.trials for key, search in self.plan.searches.items()}
        left = sum(expected(key) * trials.get(key, 1) for key in waiting) + sum(
            expected(item.job.stage.key) / 2 for item in running.values()
        )
        return left / max(1, workers)

    def _stage(self, key: str) -> str:
        return (self.plan.fits.get(key) or self.plan.searches[key]).stage.name

    def cost(self, key: str) -> float:
        """Estimated seconds of a fit, or of about a trial of a search."""
        if key not in self._costs:
            fit = self.plan.fits.get(key)
            self._costs[key] = self.costs.fit(fit) if fit else self.costs.search(self.plan.searches[key])
        return self._costs[key]
