"""What tasks of classes have in common: cross-entropy on a softmax, labels 0 … K - 1, and scores that any of them may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dataprep.records import InputError
from painmodels.tasks.task import Task

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ClassTask(Task):
    """Tells classes apart: a network has an output per class."""

    softmax: ClassVar[bool] = True
    searched: ClassVar[Mapping[str, str]] = {
        "balanced_accuracy": "balanced accuracy",
        "log_loss": "mean log-likelihood",
    }

    def __post_init__(self) -> None:
        if len(self.names) < 2 or len(set(self.names)) != len(self.names):
            raise InputError(f"task.classes: found {list(self.names)}, expected at least two different names, or none")

    @property
    def n_classes(self) -> int:
        return len(self.names)

    @property
    def n_outputs(self) -> int:
        return self.n_classes

    def target(self, place: int, columns: Mapping[str, str]) -> float | None:
        return place

    def truth(self, target: float) -> float:
        return int(target)

    def fits(self, targets: np.ndarray) -> bool:
        return bool(np.isin(targets, range(self.n_classes)).all())

    def loss(self, outputs_BO: torch.Tensor, target_B: torch.Tensor, *, reduction: str = "mean") -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs_BO, target_B, reduction=reduction)

    def right(self, outputs_BO: torch.Tensor, target_B: torch.Tensor) -> torch.Tensor:
        return outputs_BO.argmax(-1) == target_B

    def predicted(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        return outputs_BO.softmax(-1)

    def constant_loss(self, targets: np.ndarray) -> float:
        return entropy(targets)

    def inner_scores(self, targets: np.ndarray, p: np.ndarray) -> dict[str, float]:
        p_NK = self.probabilities(p)
        y_N = np.repeat(targets, len(p_NK) // len(targets))
        accuracy = float(np.mean([np.mean(p_NK[y_N == c].argmax(-1) == c) for c in np.unique(y_N)]))
        likelihood = float(np.mean(np.log(np.clip(p_NK[np.arange(len(y_N)), y_N], 1e-7, 1.0))))
        return {"balanced_accuracy": accuracy, "log_loss": likelihood}

    def given(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        return outputs_BO.softmax(-1) if self.softmax else self.predicted(outputs_BO)

    def given_of(self, p: np.ndarray) -> np.ndarray:
        return self.probabilities(p)

    def probabilities(self, p: np.ndarray) -> np.ndarray:
        """The probability of each class, float64 (N, K), from predictions as they are stored."""
        return p.astype(np.float64).reshape(-1, self.n_classes)


def entropy(labels: np.ndarray) -> float:
    """The entropy of labels in nats, what a constant guess of their shares costs: ln 2 for two classes of equal size."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def ratio(part: float, whole: float) -> float:
    """A share, NaN of nothing."""
    return part / whole if whole else float("nan")
