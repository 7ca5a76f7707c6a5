"""How often people and trials are both trained with and tested, counted in the plan that was run; for run.json.

Of every cell all fits behind its prediction are looked at, those that feed it among them, and the inner folds of a search that
chose their settings. A fold refuses such an overlap when it is made (grid/protocols); this counts what the fits were given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grid.plan.specs import Fit, Plan, Search, TrainSet, all_fits_of


def count_overlap(plan: Plan) -> dict[str, Any]:
    """`cells` and `training_sets` that were compared; `trials_on_both_sides` and `people_on_both_sides`: in how many cells a
    tested trial, or person, is in a training set behind the cell; `searched_on_tested`: in how many a search saw a tested person.
    """
    known: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    found = {"cells": len(plan.predicts), "trials_on_both_sides": 0, "people_on_both_sides": 0, "searched_on_tested": 0}
    for predict in plan.predicts.values():
        trials, people = frozenset(predict.test.trial_ids), frozenset(predict.test.subjects)
        fits = all_fits_of(predict.fit)
        sides = [_side(known, train) for fit in fits for train in _training(fit)]
        found["trials_on_both_sides"] += any(not trials.isdisjoint(side[0]) for side in sides)
        found["people_on_both_sides"] += any(not people.isdisjoint(side[1]) for side in sides)
        searches = [plan.decided[fit.search] for fit in fits if fit.search in plan.decided]
        seen = [_side(known, train) for search in searches for train in _searched(search)]
        found["searched_on_tested"] += any(not people.isdisjoint(side[1]) for side in seen)
    return found | {"training_sets": len(known)}


def _training(fit: Fit) -> Iterator[TrainSet]:
    """What a fit learns from: its own side, and the people for whom a refit predicted."""
    yield fit.train
    yield from (refit.held_out for refit in fit.refits)


def _searched(search: Search) -> Iterator[TrainSet]:
    for inner in search.inner:
        yield from (inner.train, inner.validation)


def _side(known: dict[str, tuple[frozenset[str], frozenset[str]]], train: TrainSet) -> tuple[frozenset[str], frozenset[str]]:
    if train.key not in known:
        known[train.key] = (frozenset(train.trial_ids), frozenset(train.subjects))
    return known[train.key]
