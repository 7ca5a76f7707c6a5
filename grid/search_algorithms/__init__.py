"""Search algorithms: one file each, which exports `ALGORITHM`; `[search] algorithm` of the experiment is the file's name.

An algorithm says what to try next and when a trial is given up. Who runs the trials, what is stored and how a killed search goes
on is the same for all (grid/execute/search.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dataprep.records import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DEFAULT = "tpe"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial that was handed out. `state`: `running`, `complete`, `pruned` (given up) or `failed` (its fits diverged).

    `ranks`: rung -> the score there, higher is better. A rung is a share of the epochs, numbered from 1.
    """

    params: Mapping[str, Any]
    state: str
    ranks: Mapping[int, float]


Propose = Callable[[Mapping[str, "BaseDistribution"], Sequence[Tried], int], Mapping[str, Any]]
"""(space, all trials before, seed) -> the value of each hyperparameter of the next trial.

A pure function: a search that was killed asks again, and gets the same answer. The experiment's own values are the first trial
of every search, so there is always one before.
"""
Stop = Callable[[float, Sequence[float], int], bool]
"""(the trial's score at a rung, those of the others there, `halving`) -> whether the trial is given up."""


def lags(rank: float, others: Sequence[float], halving: int) -> bool:
    """The rule of asynchronous successive halving: below the best 1/halving of those that have reported at this rung."""
    return bool(others) and rank < float(np.percentile(others, 100 * (1 - 1 / halving)))


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One entry. `version`: raised when it proposes or stops differently. `stop`: asked only with `[search] prune`."""

    propose: Propose
    stop: Stop = lags
    version: int = 1


def algorithms() -> tuple[str, ...]:
    """The names there are. Nothing is loaded: Optuna takes a second."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


def algorithm(name: str) -> Algorithm:
    """The algorithm of that name. Raises InputError that lists the names there are."""
    if name not in algorithms():
        raise InputError(f"no search algorithm is called {name!r}; there are: {', '.join(algorithms())}")
    found = importlib.import_module(f"{__name__}.{name}").ALGORITHM
    assert isinstance(found, Algorithm)
    return found


def identity(name: str) -> dict[str, Any]:
    """What a search's key says of its algorithm: nothing of the default's first version, which had no choice beside it."""
    said = {"algorithm": name, "algorithm_version": algorithm(name).version}
    return {} if said == {"algorithm": DEFAULT, "algorithm_version": 1} else said
