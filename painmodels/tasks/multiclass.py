"""Several classes without an order that the loss knows. Predicted is the probability of each class, `p_NAME`.

`y_true` is the place of the class in the list of [task] classes. The class with the highest probability is called.
`balanced_accuracy` is the mean recall of the classes there, `macro_f1` the mean F1 of these, `mean_distance` the mean
distance between called and true class in steps of the list; fractions but for the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from painmodels.tasks.classes import ClassTask
from painmodels.tasks.task import Metric
from painmodels.tasks.used import Strength


@dataclass(frozen=True)
class Multiclass(ClassTask):
    """Two classes or more."""

    kind: ClassVar[str] = "multiclass"
    words: ClassVar[str] = "the class"
    guess: ClassVar[str] = "always naming the most frequent class"
    stored: ClassVar[str] = "p_classes"
    sections: ClassVar[tuple[str, ...]] = ("confusion",)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"p_{name}" for name in self.names)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("accuracy", "accuracy"),
            Metric("balanced_accuracy", "balanced accuracy"),
            Metric("macro_f1", "mean F1 of the classes"),
            Metric("mean_distance", "mean distance", high=len(self.names) - 1, higher_is_better=False, unit="classes"),
        )

    def score(self, y_N: np.ndarray, p_NC: np.ndarray) -> dict[str, float]:
        checked(y_N, p_NC, self.n_classes)
        y_N, called_N, table_KK = self.places(y_N), self.called(p_NC), self.confusion(y_N, p_NC)
        right_K, true_K, called_K = np.diag(table_KK), table_KK.sum(1), table_KK.sum(0)
        there_K = true_K > 0
        return {
            "accuracy": float((y_N == called_N).mean()),
            "balanced_accuracy": float((right_K[there_K] / true_K[there_K]).mean()),
            "macro_f1": float((2 * right_K[there_K] / (true_K + called_K)[there_K]).mean()),
            "mean_distance": float(np.abs(y_N - called_N).mean()),
        }

    def merit(self, y_N: np.ndarray, p_NC: np.ndarray) -> np.ndarray:
        return (self.places(y_N) == self.called(p_NC)).astype(float)

    def constant(self, y_N: np.ndarray) -> np.ndarray:
        counts_K = np.bincount(self.places(y_N), minlength=self.n_classes)
        return np.eye(self.n_classes)[counts_K.argmax()]

    @property
    def gives(self) -> str:
        return f"the probability of each class ({', '.join(self.names)})"

    def called(self, p_NC: np.ndarray) -> np.ndarray:
        return p_NC.argmax(1)

    @property
    def strength(self) -> Strength:
        return Strength(
            name="p_other",
            title=f"probability of any class but {self.names[0]}",
            span=(0.0, 1.0),
            threshold=0.5,
            formula="1 - p[:, 0]",
        )

    def strengths(self, p_NC: np.ndarray) -> np.ndarray:
        return 1 - p_NC[:, 0]


def checked(y_N: np.ndarray, p_NK: np.ndarray, n_classes: int) -> None:
    """Raises ValueError for what are no labels of so many classes, or no probabilities of them."""
    y_N, p_NK = np.asarray(y_N), np.asarray(p_NK, dtype=np.float64)
    if p_NK.shape != (len(y_N), n_classes) or not len(y_N):
        raise ValueError(f"found {p_NK.shape} probabilities of {len(y_N)} trials, expected {n_classes} of each, and a trial")
    if not np.isin(y_N, range(n_classes)).all():
        raise ValueError(f"y_true holds {np.unique(y_N)[:5].tolist()}; expected 0 … {n_classes - 1}")
    if not ((p_NK >= 0) & (p_NK <= 1)).all():
        raise ValueError("found probabilities outside 0 to 1")


TASK = Multiclass
