"""Outputs of a model: for one window (`Prediction`), or with a reason if there is none (`Estimate`).

T steps, G what a model gives: the probability of each class, or the number as it is learnt; C columns of the task's predictions,
M members of an ensemble. The task (painmodels/tasks) says what all that means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from painmodels.tasks import PAIN
from painmodels.tasks.task import Task


@dataclass(frozen=True)
class Prediction:
    """What a model says of one window, by the task `learns`. Each column of the task's predictions is an attribute, too.

    `frames_T` and `attention_T` are the strength that the spatial network sees in each step and the attention's weight, None
    where the row has no such part; step t is `times_s_T[t]` seconds after the window's start. `members_MC`: the columns by each
    model of an ensemble, None for a single one.
    """

    learns: Task
    given_G: np.ndarray
    times_s_T: np.ndarray
    frames_T: np.ndarray | None = None
    attention_T: np.ndarray | None = None
    members_MC: np.ndarray | None = None

    @property
    def values(self) -> np.ndarray:
        """The task's columns, as predictions.parquet has them."""
        return self.learns.columns_of(self.given_G[None])[0]

    @property
    def columns(self) -> dict[str, float]:
        """The same by name."""
        return dict(zip(self.learns.columns, self.values.tolist(), strict=True))

    @property
    def strength(self) -> float:
        """One number, higher where the pain is stronger: `learns.strength` says what it is."""
        return float(self.learns.strengths(self.values[None])[0])

    @property
    def p_classes_K(self) -> np.ndarray | None:  # noqa: N802
        """The probability of each class, where the task has them."""
        return self.given_G if self.learns.n_classes else None

    @property
    def served(self) -> np.ndarray:
        """What a registered model returns: the probability of each class, or the number in its unit."""
        return self.given_G if self.learns.n_classes else self.values

    def called(self, *, threshold: float | None = None) -> str:
        """What is called, in words; `threshold`: another than the task's, where it has one."""
        return self.learns.says(self.values[None], threshold=threshold)[0]

    def __getattr__(self, name: str) -> float:
        if name.startswith("_") or name in self.__dataclass_fields__ or name not in self.columns:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return self.columns[name]


@dataclass(frozen=True)
class Estimate:
    """About the window that ends at `time_s` since the start. `prediction` is None, with a `reason`, where there is none.

    Each of `columns`, those of the task's predictions, is an attribute: None without a prediction.
    """

    time_s: float
    prediction: Prediction | None
    reason: str = ""
    columns: tuple[str, ...] = PAIN.columns

    def __post_init__(self) -> None:
        if self.prediction is not None:
            object.__setattr__(self, "columns", self.prediction.learns.columns)

    @property
    def strength(self) -> float | None:
        """`Prediction.strength`, or None."""
        return None if self.prediction is None else self.prediction.strength

    def __getattr__(self, name: str) -> float | None:
        if name.startswith("_") or name in self.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        if self.prediction is not None:
            return getattr(self.prediction, name)
        if name not in self.columns:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return None


def average(predictions: Sequence[Prediction]) -> Prediction:
    """The mean of several models' predictions for the same window; a single prediction is returned as it is."""
    first = predictions[0]
    if len(predictions) == 1:
        return first

    def mean(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
        there = [a for a in arrays if a is not None]
        return np.mean(there, axis=0) if there else None

    return Prediction(
        learns=first.learns,
        given_G=np.mean([p.given_G for p in predictions], axis=0),
        times_s_T=first.times_s_T,
        frames_T=mean([p.frames_T for p in predictions]),
        attention_T=mean([p.attention_T for p in predictions]),
        members_MC=np.stack([p.values for p in predictions]),
    )
