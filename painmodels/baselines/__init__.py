"""Baselines: simple methods that a learned row is compared with. Every module of this folder that exports `BASELINE` adds one.

A row `WORDS:NAME` (`eda:argmax`, `eda+ecg:rf`) is the baseline NAME on these recordings; one that needs none (`majority`) is
a row by its name alone. It is fitted on the training trials of a fold and asked for held-out ones, like a sub-network.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from dataprep.records import InputError
from painmodels.training.loop import Fitted

ROLE = "baseline"


@dataclass(frozen=True)
class Inputs:
    """Recordings of N trials. `signals`: word -> (N, T) in the data set's units; `faces`: (N, T, 15), see `face_features`."""

    n: int
    rate_hz: float
    signals: Mapping[str, np.ndarray]
    faces: np.ndarray | None = None


class TwoClasses:
    """What the settings of baselines have in common: they tell no pain from pain, and no finer classes."""

    classes: ClassVar[int] = 2


@dataclass(frozen=True)
class Baseline:
    """One entry.

    `on`        words it can see (`eda`, `ecg`, `emg`, `video`), none if it needs no recording; `several`: together, too
    `rows`      the rows that `--baselines` adds
    `settings`  a frozen dataclass with defaults: the table [baselines.NAME] of an experiment
    `fit(inputs, labels, settings, seed, device)`      arrays to store and a learning curve; equal arguments, equal bytes
    `predict(weights, inputs, settings, device)`       probability of pain, (N,); above 0.5 is a call of pain
    `version`   raised when the behaviour changes
    """

    name: str
    on: tuple[str, ...]
    rows: tuple[str, ...]
    settings: type
    fit: Callable[[Inputs, np.ndarray, Any, int, str], Fitted]
    predict: Callable[[Mapping[str, np.ndarray], Inputs, Any, str], np.ndarray]
    several: bool = False
    version: int | str = 1


@cache
def baselines() -> Mapping[str, Baseline]:
    """All baselines by name."""
    found: dict[str, Baseline] = {}
    for info in pkgutil.iter_modules(__path__):
        baseline = getattr(importlib.import_module(f"{__name__}.{info.name}"), "BASELINE", None)
        if isinstance(baseline, Baseline):
            found[baseline.name] = baseline
    return found


def baseline(name: str) -> Baseline:
    """The baseline of that name. Raises ValueError that lists the names there are."""
    if name not in baselines():
        raise InputError(f"no baseline is called {name!r}; there are: {', '.join(sorted(baselines()))}")
    return baselines()[name]


def default_rows() -> tuple[str, ...]:
    """The rows that `--baselines` adds, simplest first."""
    rows = [row for entry in baselines().values() for row in entry.rows]
    first = {"majority": 0, "eda:argmax": 1}
    return tuple(sorted(rows, key=lambda row: (first.get(row, 2), row)))
