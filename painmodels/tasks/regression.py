"""A number: the level, a number that [task] gives each class (its temperature, say), or a column of the data set (a rating).

Networks learn it on a scale on which `low` is 0 and `high` is 1, by the squared error; predictions and tables, `value` and
`y_true`, are in the units of the number. Without `column` the number that is nearest is the level that is called: accuracy
is not told, but the confusion over levels and the quadratic kappa are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dataprep.records import InputError
from painmodels.tasks.levels import agreement, agreement_metrics, quadratic_kappa
from painmodels.tasks.task import Metric, Task
from painmodels.tasks.used import Expectation, Strength

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Regression(Task):
    """`values`: the number of each class of `names`, ascending (none: 0, 1, 2 …); or `column`: of the data set's table, from
    `range[0]` to `range[1]`. `unit`: of the number."""

    values: tuple[float, ...] = ()
    column: str = ""
    range: tuple[float, ...] = ()
    unit: str = ""

    kind: ClassVar[str] = "regression"
    words: ClassVar[str] = "how strong the pain is, as a number"
    guess: ClassVar[str] = "always the median"
    hit: ClassVar[str] = "with an error below a tenth of the range"
    stored: ClassVar[str] = "value"
    searched: ClassVar[Mapping[str, str]] = {
        "absolute_error": "mean absolute error, negative",
        "squared_error": "mean squared error, negative",
    }

    def __post_init__(self) -> None:
        if self.column and (self.values or not (len(self.range) == 2 and self.range[0] < self.range[1])):
            raise InputError(
                f"task.range: found {list(self.range)}, expected [lowest, highest] of {self.column!r}, without values"
            )
        if self.values and (len(self.values) != len(self.names) or not np.all(np.diff(self.values) > 0)):
            wanted = f"a number for each of {', '.join(self.names)}, ascending"
            raise InputError(f"task.values: found {list(self.values)}, expected {wanted}")
        if self.range and not self.column:
            raise InputError("task.range: found without task.column, of which it is the range")

    @property
    def sections(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("calibration", "people") if self.column else ("confusion", "calibration", "people")

    @property
    def levels(self) -> tuple[float, ...]:
        """The number of each class; of a column its ends."""
        return self.range or self.values or tuple(float(place) for place in range(len(self.names)))

    @property
    def n_classes(self) -> int:
        return 0

    @property
    def n_outputs(self) -> int:
        return 1

    def target(self, place: int, columns: Mapping[str, str]) -> float | None:
        low, high = self.levels[0], self.levels[-1]
        if not self.column:
            return (self.levels[place] - low) / (high - low)
        if not (text := columns.get(self.column, "").strip()):
            return None
        try:
            value = float(text.replace(",", "."))  # a table may have either decimal sign
        except ValueError:
            raise InputError(f"task.column: found {text!r} in {self.column!r}, expected a number") from None
        if not low <= value <= high:
            raise InputError(f"task.column: found {value:g} in {self.column!r}, expected {low:g} to {high:g} (task.range)")
        return (value - low) / (high - low)

    @property
    def wanting(self) -> str:
        return repr(self.column)

    def truth(self, target: float) -> float:
        return round(float(self._unscaled(target)), 9)

    def fits(self, targets: np.ndarray) -> bool:
        return bool(np.isfinite(targets).all())

    def loss(self, outputs_BO: torch.Tensor, target_B: torch.Tensor, *, reduction: str = "mean") -> torch.Tensor:
        from torch.nn import functional

        return functional.mse_loss(outputs_BO[..., 0], target_B, reduction=reduction)

    def right(self, outputs_BO: torch.Tensor, target_B: torch.Tensor) -> torch.Tensor:
        return (outputs_BO[..., 0] - target_B).abs() < 0.1

    def predicted(self, outputs_BO: torch.Tensor) -> torch.Tensor:
        return outputs_BO[..., 0]

    def constant_loss(self, targets: np.ndarray) -> float:
        return float(np.var(targets))

    def inner_scores(self, targets: np.ndarray, p: np.ndarray) -> dict[str, float]:
        error_N = np.repeat(targets, p.size // len(targets)) - p.reshape(-1)
        return {"absolute_error": -float(np.abs(error_N).mean()), "squared_error": -float((error_N**2).mean())}

    @property
    def columns(self) -> tuple[str, ...]:
        return ("value",)

    def read(self, p: np.ndarray) -> np.ndarray:
        return self._unscaled(np.asarray(p, dtype=np.float64).reshape(-1, 1))

    def _unscaled(self, target: float | np.ndarray) -> np.ndarray:
        low, high = self.levels[0], self.levels[-1]
        return low + np.asarray(target) * (high - low)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        unit = self.unit or ("" if self.column or self.values else "levels")
        of_levels = () if self.column else (Metric("quadratic_kappa", "quadratic kappa", low=-1.0, unit=""),)
        return (*agreement_metrics(unit, math.inf), *of_levels)

    def score(self, y_N: np.ndarray, p_NC: np.ndarray) -> dict[str, float]:
        y_N, p_N = np.asarray(y_N, dtype=np.float64), p_NC[:, 0]
        if not len(y_N) or y_N.shape != p_N.shape or not np.isfinite([y_N, p_N]).all():
            raise ValueError(
                f"found {p_N.shape} predictions of {y_N.shape} trials, expected a finite number of each, and a trial"
            )
        found = agreement(y_N, p_N, p_N)
        return found if self.column else {**found, "quadratic_kappa": quadratic_kappa(self.confusion(y_N, p_NC))}

    def merit(self, y_N: np.ndarray, p_NC: np.ndarray) -> np.ndarray:
        return np.abs(y_N - p_NC[:, 0])

    def constant(self, y_N: np.ndarray) -> np.ndarray:
        return np.array([float(np.median(y_N))])

    def places(self, y_N: np.ndarray) -> np.ndarray:
        return np.abs(np.asarray(y_N, dtype=np.float64)[:, None] - np.array(self.levels)).argmin(1)

    def called(self, p_NC: np.ndarray) -> np.ndarray:
        return self.places(p_NC[:, 0])

    def name_of(self, y: float) -> str:
        return f"{y:g} {self.unit}".strip()

    @property
    def strength(self) -> Strength:
        low, high = self.levels[0], self.levels[-1]
        told = {"name": "value", "title": self.gives, "formula": f"{low:g} + {high - low:g} * p[:, 0]"}
        return Strength(**told, span=(low, high), threshold=(low + high) / 2)

    def says(self, p_NC: np.ndarray, *, threshold: float | None = None) -> list[str]:
        return [f"{p:.3g} {self.unit}".strip() for p in p_NC[:, 0]] if self.column else super().says(p_NC)

    @property
    def gives(self) -> str:
        what = self.column or ("the level" if not self.values else "the number of the class")
        return f"{what}, {self.levels[0]:g} to {self.levels[-1]:g} {self.unit}".strip()

    @property
    def expects(self) -> Expectation:
        return Expectation((self.levels[0], self.levels[-1]), "predicted value", "mean value that was true")

    def expected(self, p_NC: np.ndarray) -> np.ndarray:
        return p_NC[:, 0]


TASK = Regression
