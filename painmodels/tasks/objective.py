"""What is learnt of a trial, and the loss of a network's outputs on it: what the training of every task asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Objective(ABC):
    """The target of a task on the classes `names`, in order, and its loss.

    `words`: what is learnt, for sentences: 'pain or no pain'.
    """

    names: tuple[str, ...]

    words: ClassVar[str]

    @property
    @abstractmethod
    def n_classes(self) -> int:
        """How many classes the target has; 0: it is a number."""

    @property
    def fewest(self) -> int:
        """How many different targets a training side needs at least."""
        return self.n_classes or 2

    @property
    def lacking(self) -> str:
        """What a training side with fewer is not."""
        return "of every class" if self.n_classes else "of two different values"

    @abstractmethod
    def target(self, place: int, columns: Mapping[str, str]) -> float | None:
        """What is learnt of a trial of the class at this place of `names`, of which the data set's table says `columns`;
        None where it cannot be learnt from."""

    @property
    def wanting(self) -> str:
        """What a trial lacks that cannot be learnt from."""
        return self.words

    @abstractmethod
    def truth(self, target: float) -> float:
        """What tables say of it, as `y_true`."""

    @abstractmethod
    def fits(self, targets: np.ndarray) -> bool:
        """Whether these can be targets."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """How many outputs a network has."""

    @property
    def dtype(self) -> torch.dtype:
        """Of targets on the device."""
        import torch

        return torch.int64 if self.n_classes else torch.float32

    @abstractmethod
    def loss(self, outputs_BO: torch.Tensor, target_B: torch.Tensor, *, reduction: str = "mean") -> torch.Tensor:
        """What is minimised: the mean or sum over rows, or (`none`) of each row, (B,)."""

    @abstractmethod
    def right(self, outputs_BO: torch.Tensor, target_B: torch.Tensor) -> torch.Tensor:
        """Whether each row is called right, (B,); the learning curve has their mean as `accuracy`."""

    @abstractmethod
    def predicted(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        """What is stored of a network's outputs, (…, C), or (…) of one column."""

    @abstractmethod
    def constant_loss(self, targets: np.ndarray) -> float:
        """The loss of the best guess that is the same for every row."""

    @abstractmethod
    def inner_scores(self, targets: np.ndarray, p: np.ndarray) -> dict[str, float]:
        """Scores of a search's inner fold by the names of `searched`, higher is better; ties go to the last of them."""
