"""Random search: every trial is drawn from the space alone. The control of every cleverer algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grid.search_algorithms import Algorithm, Tried

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def propose(space: Mapping[str, BaseDistribution], before: Sequence[Tried], seed: int) -> dict[str, Any]:
    from optuna import create_study
    from optuna.samplers import RandomSampler

    return create_study(sampler=RandomSampler(seed=seed)).ask(dict(space)).params


ALGORITHM = Algorithm(propose=propose)
