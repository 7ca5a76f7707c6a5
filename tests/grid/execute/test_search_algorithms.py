"""What `[search] algorithm` chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataprep.records import InputError
from grid.execute.search import SearchState
from grid.search_algorithms import algorithms
from grid.store.artefacts import Store
from tests.grid.execute.small_searches import experiment, people, planned

DONE = {"epochs": 9, "rung": 3, "inner": [], "seconds": 0.0, "last": True, "score": 0.5, "rank": 0.5}


def draws(tmp_path: Path, algorithm: str) -> tuple[str, list[float]]:
    """The key of a search and the learning rates that it tries."""
    index, _ = people(6, 3, planted=True)
    (tmp_path / algorithm).mkdir()
    setup = experiment(tmp_path / algorithm, folds=2, trials=8, lr=1e-3, algorithm=algorithm)
    store = Store(tmp_path / algorithm / "store")
    (search,) = planned(setup, store, index, folds=(0,)).plan.searches.values()
    state, rates = SearchState(search, store), []
    while trial := state.suggest("worker"):
        state.report("worker", {**DONE, "rank": -trial["params"]["lr"]})
        state.complete("worker")
        rates.append(trial["params"]["lr"])
    return search.stage.key, rates


def test_each_algorithm_tries_in_its_own_way_and_is_in_the_key(tmp_path: Path) -> None:
    found = {name: draws(tmp_path, name) for name in algorithms()}
    assert len(found) >= 2
    assert len({key for key, _ in found.values()}) == len(found)
    assert len({tuple(rates) for _, rates in found.values()}) == len(found)
    for _, rates in found.values():
        assert rates[0] == pytest.approx(1e-3), "the experiment's own values come first"
        assert len(set(rates)) == 8


def test_an_unknown_algorithm_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"search\.algorithm: found 'genetic', expected one of .*tpe"):
        experiment(tmp_path, algorithm="genetic")
