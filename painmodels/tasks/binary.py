"""Pain or no pain: two classes, the second of which is pain. Predicted is the probability of pain, `p_pain`.

`y_true` is 0 (no pain) or 1 (pain). Pain is called where p > 0.5, which is the argmax of a two-class softmax. Sensitivity is the
recall of pain, specificity that of no pain. All values are fractions but the Brier score, a plain number, the mean squared error
of p. A metric that a cell does not define (such as sensitivity without a pain trial) is NaN. It is never replaced by 0 or 1, so
that a mean over folds is a mean over the folds that define it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dataprep.records import InputError
from painmodels.tasks.classes import ClassTask, ratio
from painmodels.tasks.ranks import ranks
from painmodels.tasks.task import Metric
from painmodels.tasks.used import Expectation, Strength

if TYPE_CHECKING:
    import torch

THRESHOLD = 0.5
METRICS = (
    Metric("accuracy", "accuracy"),
    Metric("f1", "F1"),
    Metric("sensitivity", "sensitivity"),
    Metric("specificity", "specificity"),
    Metric("auroc", "AUROC"),
    Metric("balanced_accuracy", "balanced accuracy"),
    Metric("brier", "Brier score", higher_is_better=False, unit="", decimals=3),
)


@dataclass(frozen=True)
class Binary(ClassTask):
    """Two classes."""

    kind: ClassVar[str] = "binary"
    words: ClassVar[str] = "pain or no pain"
    stored: ClassVar[str] = "p_pain"
    thresholded: ClassVar[bool] = True
    sections: ClassVar[tuple[str, ...]] = ("roc", "identity", "paper", "calibration", "confusion")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.names) != 2:
            raise InputError(f"task.classes: found {list(self.names)}, expected two for the task binary")

    def predicted(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        return outputs_BO.softmax(-1)[..., 1]

    def probabilities(self, p: np.ndarray) -> np.ndarray:
        return np.stack([1.0 - p, p], axis=-1).reshape(-1, 2)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("p_pain",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return METRICS

    def score(self, y_N: np.ndarray, p_NC: np.ndarray) -> dict[str, float]:
        y_N, p_N = _checked(y_N, p_NC[:, 0])
        (tn, fp), (fn, tp) = self.confusion(y_N, p_NC).tolist()
        sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
        return {
            "accuracy": (tp + tn) / len(y_N),
            "f1": ratio(2 * tp, 2 * tp + fp + fn),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "auroc": auroc(y_N, p_N),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "brier": float(np.mean((p_N - y_N) ** 2)),
        }

    def merit(self, y_N: np.ndarray, p_NC: np.ndarray) -> np.ndarray:
        return ((p_NC[:, 0] > THRESHOLD) == (np.asarray(y_N) == 1)).astype(float)

    def constant(self, y_N: np.ndarray) -> np.ndarray:
        return np.array([float(np.mean(y_N) > 0.5)])

    @property
    def gives(self) -> str:
        return f"the probability of {self.names[1]} (against {self.names[0]})"

    @property
    def expects(self) -> Expectation:
        return Expectation((0.0, 1.0), f"predicted probability of {self.names[1]}", f"observed share of {self.names[1]}")

    def expected(self, p_NC: np.ndarray) -> np.ndarray:
        return p_NC[:, 0]

    def called(self, p_NC: np.ndarray) -> np.ndarray:
        return (p_NC[:, 0] > THRESHOLD).astype(np.int64)

    def columns_of(self, p_NG: np.ndarray) -> np.ndarray:
        return p_NG[:, 1:].astype(np.float64)

    @property
    def strength(self) -> Strength:
        title = f"probability of {self.names[1]}"
        return Strength(name="p_pain", title=title, span=(0.0, 1.0), threshold=THRESHOLD, formula="p[:, 1]")

    def says(self, p_NC: np.ndarray, *, threshold: float | None = None) -> list[str]:
        return [self.names[int(p > (THRESHOLD if threshold is None else threshold))] for p in p_NC[:, 0]]


def auroc(y_N: np.ndarray, p_N: np.ndarray) -> float:
    """Area under the ROC curve: how often a pain unit ranks above a no-pain unit, ties counting half. NaN for one class."""
    is_pain_N = np.asarray(y_N) == 1
    n_pain = int(is_pain_N.sum())
    n_rest = len(is_pain_N) - n_pain
    if not n_pain or not n_rest:
        return float("nan")
    rank_sum = float(ranks(p_N)[is_pain_N].sum())
    return (rank_sum - n_pain * (n_pain + 1) / 2) / (n_pain * n_rest)


def _checked(y_N: np.ndarray, p_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_N, p_N = np.asarray(y_N), np.asarray(p_N, dtype=np.float64)
    if y_N.ndim != 1 or y_N.shape != p_N.shape or not len(y_N):
        raise ValueError(f"y_true and p_pain have shapes {y_N.shape} and {p_N.shape}; expected one equal length above 0")
    if not np.isin(y_N, (0, 1)).all():
        raise ValueError(f"y_true holds {np.unique(y_N)[:5].tolist()}; expected only 0 and 1")
    if not ((p_N >= 0) & (p_N <= 1)).all():
        bad = p_N[~((p_N >= 0) & (p_N <= 1))]
        raise ValueError(f"p_pain holds {bad[0]!r} ({len(bad)} such values); expected probabilities from 0 to 1")
    return y_N.astype(np.int64), p_N


TASK = Binary
