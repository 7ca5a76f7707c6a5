"""What a task is: what is learnt (objective.py), what a model in use says (used.py), and here how that is scored and shown.

A task is made of the names of its classes in order. One file of this folder is one kind of task; `classes.py` has what tasks of
classes have in common. N predictions, C columns of a prediction, K classes.

Nothing of this package knows a data set, a method or a table: labels and predictions are arrays.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from painmodels.tasks.used import Used


@dataclass(frozen=True)
class Metric:
    """A column of scores.csv: its name, its title in words, the lowest and highest value it can have, and which end is good.

    `unit`: what it is shown in: % of fractions, nothing of plain numbers. `decimals`: how many digits after the point it
    needs, if not the usual ones.
    """

    name: str
    title: str
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    unit: str = "%"
    decimals: int | None = None

    @property
    def scale(self) -> int:
        """What a value is multiplied by to be shown."""
        return 100 if self.unit == "%" else 1

    @property
    def steps(self) -> str:
        """What a difference is counted in."""
        return "points" if self.unit == "%" else self.unit

    @property
    def digits(self) -> int:
        """How many digits after the point a shown value needs."""
        return self.decimals if self.decimals is not None else 1 if self.unit == "%" else 2

    @property
    def sign(self) -> int:
        """What a difference is multiplied by, so that better is above zero."""
        return 1 if self.higher_is_better else -1


@dataclass(frozen=True)
class Task(Used):
    """A kind of task on the classes `names`, in order; the first is no pain.

    `kind`      its name in [task]
    `guess`     the constant guess in words
    `hit`       what the learning curve counts as right, where that is not plain
    `softmax`   a network's outputs are logits of classes whose softmax gives their probabilities
    `stored`    the array of predictions in the store: one row a trial, (N, …, C), or (N, …) of one column
    `sections`  what a report shows beside its tables: 'roc', 'identity', 'paper', 'calibration', 'confusion', and
                'people' (every metric of each person by itself)
    `searched`  what a hyperparameter search may be told to maximise, by name and in words
    """

    kind: ClassVar[str]
    guess: ClassVar[str] = "always naming the more frequent class"
    hit: ClassVar[str] = ""
    softmax: ClassVar[bool] = False
    stored: ClassVar[str]
    sections: ClassVar[tuple[str, ...]] = ()
    searched: ClassVar[Mapping[str, str]]

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The columns of scores.csv. The first is the main one: the mean of `merit`, of which intervals and tests speak."""

    def of(self, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
        """What was true, (N,), and what was predicted, float64 (N, C), of a table with `y_true` and these columns."""
        return predictions["y_true"].to_numpy(), predictions[list(self.columns)].to_numpy(dtype=np.float64)

    @property
    def main(self) -> Metric:
        """The main metric."""
        return self.metrics[0]

    @abstractmethod
    def score(self, y_N: np.ndarray, p_NC: np.ndarray) -> dict[str, float]:
        """Every metric of one cell, NaN where it is undefined. Raises ValueError for what cannot be scored."""

    @abstractmethod
    def merit(self, y_N: np.ndarray, p_NC: np.ndarray) -> np.ndarray:
        """The main metric of each prediction, (N,)."""

    @abstractmethod
    def constant(self, y_N: np.ndarray) -> np.ndarray:
        """The prediction (C,) that does best of those that are the same for all these: chance."""

    def places(self, y_N: np.ndarray) -> np.ndarray:
        """The place in `names` of what was true, (N,)."""
        return np.asarray(y_N).astype(np.int64)

    def name_of(self, y: float) -> str:
        """What was true, in words."""
        return self.names[int(y)]

    def confusion(self, y_N: np.ndarray, p_NC: np.ndarray) -> np.ndarray:
        """How many of each class (rows) were called what (columns), (K, K)."""
        n = len(self.names)
        return np.bincount(n * self.places(y_N) + self.called(p_NC), minlength=n * n).reshape(n, n)
