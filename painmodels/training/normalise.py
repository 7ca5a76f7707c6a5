"""Min–max scaling of signals to [0, 1], leak-free by construction.

The paper scales by minimum and maximum and does not say over what. Options (`HOW`), each per channel:
`trial`   over the trial itself, so nothing outside the window used shows through (the default of the experiments);
`subject` over all rows of the subject that are given together, which are those of one side of a fold: transductive, a held-out
          trial is scaled by the person's other held-out trials, unlabelled;
`train`   over the training rows; others get the same limits and may leave [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HOW = ("trial", "subject", "train")
OVER_OTHER_TRIALS = ("subject",)
"""Of HOW: those in which a held-out trial is scaled by other held-out ones, which a device that sees one at a time cannot do."""


@dataclass(frozen=True)
class Limits:
    """Minimum and maximum of each channel, (C,) each, float64."""

    low: np.ndarray
    high: np.ndarray


def minmax(
    x_NTC: np.ndarray, *, how: str, subjects: Sequence[str], fitted: Limits | None = None
) -> tuple[np.ndarray, Limits | None]:
    """Signals (N, T, C) scaled, float32 (N, T, C), and what was fitted (`train` only, else None).

    `subjects` has one name a row. `train` without `fitted` fits on the rows given, which must be the training rows;
    pass the limits it gives back as `fitted` for all other rows. `trial` and `subject` fit nothing: `fitted` must be None.
    A channel that does not vary becomes 0. Raises ValueError for wrong shapes, unknown `how` and values not finite.
    """
    if how not in HOW:
        raise ValueError(f"how: found {how!r}, expected one of {', '.join(HOW)}")
    if x_NTC.ndim != 3 or len(subjects) != len(x_NTC):
        raise ValueError(
            f"x_NTC: found shape {x_NTC.shape} with {len(subjects)} subjects, expected (N, T, C) and N subjects"
        )
    if not np.isfinite(x_NTC).all():
        rows = np.flatnonzero(~np.isfinite(x_NTC).all((1, 2)))
        raise ValueError(f"x_NTC: {len(rows)} rows hold values that are not finite, the first is row {rows[0]}")
    if fitted is not None and how != "train":
        raise ValueError(f"how = {how!r} fits nothing: found fitted limits, expected None")
    x = x_NTC.astype(np.float64)
    if how == "trial":
        return _scaled(x, x.min(1, keepdims=True), x.max(1, keepdims=True)), None
    if how == "subject":
        out = np.empty(x.shape, dtype=np.float32)
        names = np.asarray(subjects, dtype=str)
        for name in dict.fromkeys(subjects):
            rows = names == name
            out[rows] = _scaled(x[rows], x[rows].min((0, 1)), x[rows].max((0, 1)))
        return out, None
    if fitted is None:
        if len(x) == 0:
            raise ValueError("how = 'train': found no rows to fit on, expected at least one")
        fitted = Limits(x.min((0, 1)), x.max((0, 1)))
    if fitted.low.shape != x.shape[2:]:
        raise ValueError(f"fitted: found limits of {fitted.low.size} channels, expected {x.shape[2]}")
    return _scaled(x, fitted.low, fitted.high), fitted


def _scaled(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    span = high - low
    # a channel without span carries nothing: 0 for every row, also where another row differs from the constant
    return np.where(span > 0, (x - low) / np.where(span > 0, span, 1), 0).astype(np.float32)
