"""A search space as Optuna takes it, for the search itself and for reports of it. Imports neither Ray nor MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from grid.experiment.config_tables import Range, Space


def distributions(space: Space, own: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Distribution of each hyperparameter: of integers where the experiment's `own` value is one."""
    out: dict[str, BaseDistribution] = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            out[name] = CategoricalDistribution(values)
        elif isinstance(own[name], int):
            out[name] = IntDistribution(int(values.low), int(values.high), log=values.log, step=int(values.step or 1))
        else:
            out[name] = FloatDistribution(values.low, values.high, log=values.log, step=values.step)
    return out
