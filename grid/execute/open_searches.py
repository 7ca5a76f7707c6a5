"""The searches that a scheduler hands out trials of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grid.plan.specs import Plan
from grid.store.artefacts import Store

if TYPE_CHECKING:
    from grid.execute.search import SearchState


class OpenSearches:
    """States of the searches of a plan, by key. `stored()` is called for each trial that the store has of a search already.

    `aside`: searches whose trials are all handed out.
    """

    def __init__(self, plan: Plan, store: Store, stored: Callable[[], None]) -> None:
        self.plan, self.store, self.stored = plan, store, stored
        self.states: dict[str, SearchState] = {}
        self.aside: set[str] = set()

    def state(self, key: str) -> SearchState:
        """The state of a search, made from the store when it is asked for first."""
        if key not in self.states:
            from grid.execute.search import SearchState  # Optuna is imported only where something is searched

            self.states[key] = SearchState(self.plan.searches[key], self.store)
            for _ in self.states[key].trials:
                self.stored()
        return self.states[key]

    def suggest(self, key: str, worker: str) -> dict[str, Any] | None:
        """The next trial of a search, None if all are handed out or the search has ended; then it is put aside."""
        state = self.state(key)
        trial = None if state.finished else state.suggest(worker)
        if trial is None and not state.finished:
            self.aside.add(key)
        return trial
