"""Multivariate tree-structured Parzen estimator of Optuna. Running trials count as bad ones, so that workers spread out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grid.search_algorithms import Algorithm, Tried

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STARTUP_TRIALS = 5
"""Drawn at random (the first is the experiment's own) before the model is used."""


def propose(space: Mapping[str, BaseDistribution], before: Sequence[Tried], seed: int) -> dict[str, Any]:
    from optuna import create_study
    from optuna.samplers import TPESampler

    sampler = TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS)
    study = create_study(direction="maximize", sampler=sampler)
    study.add_trials([frozen(trial, space) for trial in before])
    return study.ask(dict(space)).params


def frozen(trial: Tried, space: Mapping[str, BaseDistribution]) -> Any:
    """A trial as Optuna knows it: one that was given up, or whose fits diverged, is a pruned one there."""
    from optuna.trial import TrialState, create_trial

    of_optuna = {"running": TrialState.RUNNING, "complete": TrialState.COMPLETE}
    state = of_optuna.get(trial.state, TrialState.PRUNED)
    value: dict[str, Any] = {"value": list(trial.ranks.values())[-1]} if state == TrialState.COMPLETE else {}
    return create_trial(
        state=state,
        params=dict(trial.params),
        distributions=dict(space),
        intermediate_values=dict(trial.ranks),
        **value,
    )


ALGORITHM = Algorithm(propose=propose)
