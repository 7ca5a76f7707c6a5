"""Ordered levels, such as BL1 … PA4. Predicted is the probability of each level, `p_NAME`.

A network has an output less than there are levels: the k-th is the logit of "above level k, given that it is not below it", as in
CORN (Shi, Cao & Raschka 2021). The loss is the sum of these binary cross-entropies over the questions that a trial can answer,
which is the negative log-likelihood of its level; in nats, and a constant guess costs the entropy of the labels.

`y_true` is the place of the level in the list of [task] classes. The level that is called is the median of the predicted
distribution, which has the least expected absolute error; what is expected is its mean. MAE, accuracy and quadratic kappa are of
the level that is called, RMSE, ICC(3,1) and Spearman's correlation of the expected one; errors are in levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dataprep.records import InputError
from painmodels.tasks.classes import ClassTask
from painmodels.tasks.levels import agreement, agreement_metrics, quadratic_kappa
from painmodels.tasks.multiclass import checked
from painmodels.tasks.task import Metric
from painmodels.tasks.used import Expectation, Strength

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ordinal(ClassTask):
    """Three levels or more, the lowest first."""

    kind: ClassVar[str] = "ordinal"
    words: ClassVar[str] = "the level"
    guess: ClassVar[str] = "always the median level"
    softmax: ClassVar[bool] = False
    stored: ClassVar[str] = "p_classes"
    sections: ClassVar[tuple[str, ...]] = ("confusion", "calibration", "people")
    searched: ClassVar[Mapping[str, str]] = {
        "balanced_accuracy": "balanced accuracy",
        "absolute_error": "mean absolute error, negative",
        "log_loss": "mean log-likelihood",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.names) < 3:
            raise InputError(f"task.classes: found {list(self.names)}, expected three levels or more for the task ordinal")

    @property
    def n_outputs(self) -> int:
        return self.n_classes - 1

    def loss(self, outputs_BO: torch.Tensor, target_B: torch.Tensor, *, reduction: str = "mean") -> torch.Tensor:
        import torch
        from torch.nn import functional

        level_O = torch.arange(self.n_outputs, device=outputs_BO.device)
        above_BO = (target_B[..., None] > level_O).to(outputs_BO.dtype)
        asked_BO = (target_B[..., None] >= level_O).to(outputs_BO.dtype)
        each_BO = functional.binary_cross_entropy_with_logits(outputs_BO, above_BO, reduction="none")
        loss_B = (each_BO * asked_BO).sum(-1)
        return loss_B if reduction == "none" else loss_B.sum() if reduction == "sum" else loss_B.mean()

    def right(self, outputs_BO: torch.Tensor, target_B: torch.Tensor) -> torch.Tensor:
        return (_above(outputs_BO) > 0.5).sum(-1) == target_B

    def predicted(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        import torch

        above_BO = _above(outputs_BO)
        ends = (torch.ones_like(above_BO[..., :1]), torch.zeros_like(above_BO[..., :1]))
        return torch.cat([ends[0], above_BO], -1) - torch.cat([above_BO, ends[1]], -1)

    def inner_scores(self, targets: np.ndarray, p: np.ndarray) -> dict[str, float]:
        p_NK = self.probabilities(p)
        y_N, called_N = np.repeat(targets, len(p_NK) // len(targets)), self.called(p_NK)
        recalls = [np.mean(called_N[y_N == c] == c) for c in np.unique(y_N)]
        return {
            "balanced_accuracy": float(np.mean(recalls)),
            "absolute_error": -float(np.abs(y_N - called_N).mean()),
            "log_loss": float(np.mean(np.log(np.clip(p_NK[np.arange(len(y_N)), y_N], 1e-7, 1.0)))),
        }

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"p_{name}" for name in self.names)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        kappa = Metric("quadratic_kappa", "quadratic kappa", low=-1.0, unit="")
        return (*agreement_metrics("levels", self.n_classes - 1), kappa, Metric("accuracy", "accuracy"))

    def score(self, y_N: np.ndarray, p_NC: np.ndarray) -> dict[str, float]:
        checked(y_N, p_NC, self.n_classes)
        y_N, called_N = self.places(y_N), self.called(p_NC)
        found = agreement(y_N, called_N, self.expected(p_NC))
        accuracy = float((y_N == called_N).mean())
        return {**found, "quadratic_kappa": quadratic_kappa(self.confusion(y_N, p_NC)), "accuracy": accuracy}

    def merit(self, y_N: np.ndarray, p_NC: np.ndarray) -> np.ndarray:
        return np.abs(self.places(y_N) - self.called(p_NC)).astype(float)

    def constant(self, y_N: np.ndarray) -> np.ndarray:
        median = np.sort(self.places(y_N))[(len(y_N) - 1) // 2]
        return np.eye(self.n_classes)[median]

    def called(self, p_NC: np.ndarray) -> np.ndarray:
        return np.minimum((np.cumsum(p_NC, axis=1) < 0.5 - 1e-6).sum(axis=1), self.n_classes - 1)

    @property
    def gives(self) -> str:
        return f"the probability of each level ({', '.join(self.names)})"

    @property
    def expects(self) -> Expectation:
        return Expectation((0.0, self.n_classes - 1.0), "expected level", "mean level that was true")

    @property
    def strength(self) -> Strength:
        last = self.n_classes - 1.0
        title = f"expected level, 0 ({self.names[0]}) to {last:g} ({self.names[-1]})"
        return Strength(
            name="expected_level", title=title, span=(0.0, last), threshold=last / 2, formula="sum over k of k * p[:, k]"
        )

    def expected(self, p_NC: np.ndarray) -> np.ndarray:
        return p_NC @ np.arange(self.n_classes)


def _above(outputs_BO: torch.Tensor) -> torch.Tensor:
    """The probability of a level above each but the last, (…, O)."""
    from torch.nn import functional

    return functional.logsigmoid(outputs_BO).cumsum(-1).exp()


TASK = Ordinal
