"""The half of a task that a model in use asks: what its predictions hold, in columns, in one number, and in words.

B rows of a batch, O outputs of a network, N predictions, C columns of a prediction, G what a model gives of one: the probability
of each class, or the number as it is learnt.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from painmodels.tasks.objective import Objective

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Expectation:
    """What `Task.expected` is, for a calibration: from where to where it goes, and the words for it and for what was true."""

    span: tuple[float, float]
    predicted: str
    observed: str


@dataclass(frozen=True)
class Strength:
    """One number of a prediction, higher where the pain is stronger: it is drawn over time, and events are where it is high.

    `name` in files and `title` in words; `span`: from where to where it goes; `threshold`: above which a window counts where
    nobody says another; `formula`: how it is made of `p`, what a model gives (N, G).
    """

    name: str
    title: str
    span: tuple[float, float]
    threshold: float
    formula: str


@dataclass(frozen=True)
class Used(Objective):
    """What a prediction is. `thresholded`: whether what is called depends on a threshold that a user may set."""

    kind: ClassVar[str]
    sections: ClassVar[tuple[str, ...]]
    thresholded: ClassVar[bool] = False

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of predictions.parquet that hold a prediction."""

    def read(self, p: np.ndarray) -> np.ndarray:
        """These columns, (N, C) with a row a trial or frame, of an array that was `stored`."""
        return np.asarray(p).reshape(-1, len(self.columns))

    @abstractmethod
    def called(self, p_NC: np.ndarray) -> np.ndarray:
        """The place in `names` of what each prediction calls, (N,)."""

    @property
    @abstractmethod
    def gives(self) -> str:
        """What a prediction is, for sentences."""

    @property
    def expects(self) -> Expectation:
        """What `expected` gives. Raises TypeError for a task without the section 'calibration'."""
        raise TypeError(f"a task of the kind {self.kind} expects no value of y_true, so it has no calibration")

    def expected(self, p_NC: np.ndarray) -> np.ndarray:
        """The mean of `y_true` that each prediction expects, (N,). Raises TypeError for a task without 'calibration'."""
        raise TypeError(f"a task of the kind {self.kind} expects no value of y_true, so it has no calibration")

    def given(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        """What a model in use gives of its last network's outputs, (…, G)."""
        p = self.predicted(outputs_BO)
        return p if p.ndim == outputs_BO.ndim else p[..., None]

    def given_of(self, p: np.ndarray) -> np.ndarray:
        """The same, (N, G), of what an estimator predicts, as it is `stored`."""
        return p.reshape(len(p), -1)

    def columns_of(self, p_NG: np.ndarray) -> np.ndarray:
        """The columns of predictions, float64 (N, C), of what a model gives."""
        return self.read(p_NG.astype(np.float64))

    @property
    def strength(self) -> Strength:
        """What `strengths` gives: of a task that expects a value this value, else the place of what is called."""
        p = ", ".join(self.columns)
        if "calibration" not in self.sections:
            last = len(self.names) - 1.0
            return Strength(
                name="place_called",
                title="place of the class that is called",
                span=(0.0, last),
                threshold=last / 2,
                formula=f"by {p}",
            )
        told = self.expects
        return Strength(
            name="expected", title=told.predicted, span=told.span, threshold=sum(told.span) / 2, formula=f"by {p}"
        )

    def strengths(self, p_NC: np.ndarray) -> np.ndarray:
        """One number a prediction, (N,)."""
        return self.expected(p_NC) if "calibration" in self.sections else self.called(p_NC).astype(np.float64)

    def says(self, p_NC: np.ndarray, *, threshold: float | None = None) -> list[str]:
        """What each prediction calls, in words, (N,). `threshold`: another than the task's, where it has one."""
        return [self.names[place] for place in self.called(p_NC)]
