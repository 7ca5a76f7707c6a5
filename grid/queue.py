"""The order of the work: a graph of keys, handed out the start of the longest remaining path first.

`ReadyQueue` knows neither Ray nor plans, so that the scheduler of a run (grid/schedule.py) and the simulation of one
(tests/benchmarks/scaling.py) follow the same policy. Every operation costs O(log n), whatever the size of the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping


class ReadyQueue:
    """Keys to work through. `needs`: key -> keys that come before it (others than these keys count as done)."""

    def __init__(self, needs: Mapping[str, Iterable[str]], urgency: Mapping[str, float]) -> None:
        self._missing = {k: {n for n in before if n in needs} for k, before in needs.items()}
        self._after: dict[str, list[str]] = {k: [] for k in needs}
        for key, before in self._missing.items():
            for n in before:
                self._after[n].append(key)
        # equal urgency: as they came
        self._rank = {k: (-urgency[k], i) for i, k in enumerate(needs)}
        self._ready = [(*self._rank[k], k) for k, before in self._missing.items() if not before]
        heapq.heapify(self._ready)

    def __len__(self) -> int:
        """Keys not handed out and not dropped."""
        return len(self._missing)

    def __iter__(self) -> Iterator[str]:
        """Those keys."""
        return iter(list(self._missing))

    def pop(self) -> str | None:
        """The most urgent key that waits for nothing, or None while there is none."""
        while self._ready:
            key = heapq.heappop(self._ready)[2]
            if key in self._missing:
                del self._missing[key]
                return key
        return None

    def done(self, key: str) -> None:
        """`key` is over: what waited for it alone becomes ready."""
        for waiting in self._after[key]:
            if waiting in self._missing:
                self._missing[waiting].discard(key)
                if not self._missing[waiting]:
                    heapq.heappush(self._ready, (*self._rank[waiting], waiting))

    def drop(self, key: str) -> list[tuple[str, str]]:
        """`key` will never be over: what waits for it, directly or not, leaves. Gives (key that left, key it waited for)."""
        gone = []
        for waiting in self._after[key]:
            if waiting in self._missing:
                del self._missing[waiting]
                gone += [(waiting, key), *self.drop(waiting)]
        return gone


def path_costs(needs: Mapping[str, Iterable[str]], costs: Mapping[str, float]) -> dict[str, float]:
    """Per key its own cost plus that of the most expensive chain that waits for it. `needs` is in dependency order."""
    total = dict(costs)
    for key in reversed(list(needs)):
        for n in needs[key]:
            if n in total:
                total[n] = max(total[n], costs[n] + total[key])
    return total
