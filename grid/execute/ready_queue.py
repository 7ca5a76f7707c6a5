"""The order of the work: a graph of keys, handed out the start of the longest remaining path first.

`ReadyQueue` knows neither Ray nor plans, so that the scheduler of a run (grid/execute/scheduler.py) and the simulation of one
(tests/benchmarks/scaling.py) follow the same policy. Handing out and finishing cost O(log n), whatever the size of the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator


class ReadyQueue:
    """Keys to work through, each after those it needs; a key may be added while others are being worked on."""

    def __init__(self) -> None:
        self._missing: dict[str, set[str]] = {}
        self._after: dict[str, list[str]] = {}
        self._rank: dict[str, tuple[float, int]] = {}
        self._ready: list[tuple[float, int, str]] = []
        self.ready: set[str] = set()  # the keys that wait for nothing

    def add(self, key: str, needs: Iterable[str], urgency: float) -> None:
        """A new key; `needs` are keys that are not over yet. Equally urgent keys are handed out as they came."""
        self._missing[key] = set(needs)
        self._rank.setdefault(key, (-urgency, len(self._rank)))
        for n in self._missing[key]:
            self._after.setdefault(n, []).append(key)
        if not self._missing[key]:
            self._push(key)

    def _push(self, key: str) -> None:
        heapq.heappush(self._ready, (*self._rank[key], key))
        self.ready.add(key)

    def __len__(self) -> int:
        """Keys not handed out and not dropped."""
        return len(self._missing)

    def __iter__(self) -> Iterator[str]:
        """Those keys."""
        return iter(list(self._missing))

    def __contains__(self, key: str) -> bool:
        return key in self._missing

    def pop(self) -> str | None:
        """The most urgent key that waits for nothing, or None while there is none."""
        while self._ready:
            key = heapq.heappop(self._ready)[2]
            if key in self.ready:
                self.ready.discard(key)
                del self._missing[key]
                return key
        return None

    def claim(self, key: str) -> None:
        """Take a key that is ready out of its turn. Raises KeyError if it is not ready."""
        self.ready.remove(key)
        del self._missing[key]

    def urgent_first(self, keys: Iterable[str]) -> list[str]:
        """These keys, in the order in which they would be handed out."""
        return sorted(keys, key=lambda key: self._rank[key])

    def put_back(self, key: str) -> None:
        """A key that was handed out is to be handed out once more, at its old place."""
        self.add(key, (), 0.0)

    def remove(self, key: str) -> None:
        """`key` is not to be handed out any more, if it still waits; what waits for it goes on waiting."""
        self._missing.pop(key, None)
        self.ready.discard(key)

    def done(self, key: str) -> None:
        """`key` is over: what waited for it alone becomes ready."""
        for waiting in self._after.pop(key, ()):
            if waiting in self._missing:
                self._missing[waiting].discard(key)
                if not self._missing[waiting]:
                    self._push(waiting)

    def drop(self, key: str) -> list[tuple[str, str]]:
        """`key` will never be over: what waits for it, directly or not, leaves. Gives (key that left, key it waited for)."""
        gone = []
        for waiting in self._after.pop(key, ()):
            if waiting in self._missing:
                del self._missing[waiting]
                gone += [(waiting, key), *self.drop(waiting)]
        return gone
