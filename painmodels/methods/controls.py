"""Controls: what the design of the experiment gives away, without any body signal. Rows by their names alone.

    control-temperature   the temperature of the stimulus (the column `temperature` of the data set's table)
    control-order         the position in the session (the column `order`, or the place in a long recording)
    control-previous      the class of the previous trial in the session

The probability of pain (of each class or level; of numbers the mean) is its share among the training trials of the same value, or
of the same of eight ranges where there are more than eight numbers; a value that no training trial has counts as the nearest
number, or as an average trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from painmodels.methods.graph import AnyTarget, Estimator, Input, Method, Part, Recordings
from painmodels.training.loop import Fitted

RANGES = 8


@dataclass(frozen=True)
class Settings(AnyTarget):
    """`prior`: how many average trials are added to those of each value."""

    prior: float = 1.0


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """The share of pain (of each class, or the mean number) of each value or range."""
    x_N = _numbers(recordings.controls)
    y_NK = np.asarray(labels, dtype=np.float64)[:, None]
    if settings.classes > 2:
        y_NK = np.eye(settings.classes)[np.asarray(labels, dtype=np.int64)]
    mean_K = y_NK.mean(0)
    edges = np.unique(np.quantile(x_N, np.linspace(0, 1, RANGES + 1)[1:-1])) if len(np.unique(x_N)) > RANGES else np.zeros(0)
    of_N = _ranged(x_N, edges)
    values = np.unique(of_N)
    n = np.array([(of_N == v).sum() for v in values])
    sums_VK = np.array([y_NK[of_N == v].sum(0) for v in values])
    share_VK = (sums_VK + settings.prior * mean_K) / (n + settings.prior)[:, None]
    share = share_VK if settings.classes > 2 else share_VK[:, 0]
    return Fitted({"edges": edges, "values": values, "share": share, "mean": mean_K}, ())


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """The probability of pain, (N,), of each of more classes, (N, K), or the number, (N,)."""
    of_N = _ranged(_numbers(recordings.controls), weights["edges"])
    nearest_N = np.abs(of_N[:, None] - weights["values"][None]).argmin(1)
    known_N = (np.abs(of_N) < _WORDS) | (weights["values"][nearest_N] == of_N)
    if settings.classes > 2:
        return np.where(known_N[:, None], weights["share"][nearest_N], weights["mean"])
    return np.where(known_N, weights["share"][nearest_N], weights["mean"][0])


_WORDS = 1e15
"""Words are numbers from here on, so that no word lies near a number."""


def _numbers(values: Sequence[str]) -> np.ndarray:
    """Each value as a number; a word as one that is its own."""
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: str) -> float:
    try:
        found = float(value.replace(",", "."))
        return found if abs(found) < _WORDS else 0.0
    except ValueError:
        return _WORDS * (1 + int.from_bytes(value.encode()[:6].ljust(6, b"\0"), "big") / 2**48)


def _ranged(x_N: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x_N) < _WORDS, np.searchsorted(edges, x_N, side="right"), x_N) if len(edges) else x_N


def _method(column: str) -> Method:
    part = Part("estimator", (Input("control"),), trained=Estimator(Settings, fit, predict))
    return Method(f"control-{column}", on=(), parts=lambda words, choice: (part,), control=column)


METHODS = tuple(_method(column) for column in ("temperature", "order", "previous"))
