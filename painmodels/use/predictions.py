"""Outputs of a model: for one window (`Prediction`), or with a reason if there is none (`Estimate`).

T steps, K classes, M members of an ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5


@dataclass(frozen=True)
class Prediction:
    """What a model says of one window. `p_pain`: probability of any class but the first; `p_classes_K` of each.

    `frames_T` and `attention_T` are the spatial network's probability of pain and the attention's weight per step, None where
    the row has no such part; step t is `times_s_T[t]` seconds after the window's start. `members_M`: `p_pain` by each model of
    an ensemble, None for a single one.
    """

    p_pain: float
    p_classes_K: np.ndarray
    times_s_T: np.ndarray
    frames_T: np.ndarray | None = None
    attention_T: np.ndarray | None = None
    members_M: np.ndarray | None = None

    def called(self, classes: Sequence[str], *, threshold: float = THRESHOLD) -> str:
        """The class that is called: the first one unless `p_pain` is above the threshold, else the likeliest of the others."""
        return classes[0] if not self.p_pain > threshold else classes[1 + int(self.p_classes_K[1:].argmax())]


@dataclass(frozen=True)
class Estimate:
    """About the window that ends at `time_s` since the start. `prediction` is None, with a `reason`, where there is none."""

    time_s: float
    prediction: Prediction | None
    reason: str = ""

    @property
    def p_pain(self) -> float | None:
        """The probability of pain, or None."""
        return None if self.prediction is None else self.prediction.p_pain


def average(predictions: Sequence[Prediction]) -> Prediction:
    """The mean of several models' predictions for the same window; a single prediction is returned as it is."""
    first = predictions[0]
    if len(predictions) == 1:
        return first

    def mean(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
        there = [a for a in arrays if a is not None]
        return np.mean(there, axis=0) if there else None

    members_M = np.array([p.p_pain for p in predictions])
    return Prediction(
        p_pain=float(members_M.mean()),
        p_classes_K=np.mean([p.p_classes_K for p in predictions], axis=0),
        times_s_T=first.times_s_T,
        frames_T=mean([p.frames_T for p in predictions]),
        attention_T=mean([p.attention_T for p in predictions]),
        members_M=members_M,
    )
