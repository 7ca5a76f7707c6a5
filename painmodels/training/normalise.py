"""How signals are scaled before a network sees them, leak-free by construction.

The paper scales by minimum and maximum and does not say over what. Options (`HOW`), each per channel. To [0, 1]:
`trial`      over the trial itself, so nothing outside the window used shows through (the default of the experiments);
`subject`    over all rows of the subject that are given together, which are those of one side of a fold: transductive, a held-out
             trial is scaled by the person's other held-out trials, unlabelled;
`train`      over the training rows; others get the same limits and may leave [0, 1];
`train-step` the same at every time step by itself.
By mean and standard deviation:
`trial-z`    of the trial itself: like `trial`, it hides how large a change is;
`train-z`    of the training rows: the raw value on a common scale;
`start`      less the mean of the window's first second, `centred` less the mean of the window, `difference` the change from step
             to step; each by the standard deviation of the training rows, so that a large response stays larger than a small one.

Not offered is min–max over the whole data set: training rows would be scaled by the people who are held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

How = Literal["trial", "subject", "train", "train-step", "trial-z", "train-z", "start", "centred", "difference"]
HOW: tuple[str, ...] = get_args(How)
FITTED = ("train", "train-step", "train-z", "start", "centred", "difference")
"""Of HOW: those that are fitted on the training rows."""
BY_TRIAL = ("trial", "trial-z")
"""Of HOW: those in which a trial is scaled by itself alone."""
OVER_OTHER_TRIALS = ("subject",)
"""Of HOW: those in which a held-out trial is scaled by other held-out ones, which a device that sees one at a time cannot do."""


@dataclass(frozen=True)
class Limits:
    """What becomes 0 and 1 of each channel: (C,) each, or (T, C) of `train-step`; float64."""

    low: np.ndarray
    high: np.ndarray


def normalised(
    x_NTC: np.ndarray, *, how: str, subjects: Sequence[str], fitted: Limits | None = None, rate_hz: float = 0.0
) -> tuple[np.ndarray, Limits | None]:
    """Signals (N, T, C) scaled, float32 (N, T, C), and what was fitted (of the options in `FITTED`, else None).

    `subjects` has one name a row; `rate_hz`: steps a second, needed by `start`. What is `FITTED` is fitted on the rows given if
    there is no `fitted`: they must be the training rows. Pass the limits it gives back as `fitted` for all other rows. The others
    fit nothing: `fitted` must be None. A channel that does not vary becomes 0. Raises ValueError for wrong shapes, unknown
    `how` and values not finite.
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
    if fitted is not None and how not in FITTED:
        raise ValueError(f"how = {how!r} fits nothing: found fitted limits, expected None")
    x = prepared(x_NTC.astype(np.float64), how, rate_hz)
    if how == "trial":
        return _scaled(x, x.min(1, keepdims=True), x.max(1, keepdims=True)), None
    if how == "trial-z":
        mean = x.mean(1, keepdims=True)
        return _scaled(x, mean, mean + x.std(1, keepdims=True)), None
    if how == "subject":
        out = np.empty(x.shape, dtype=np.float32)
        names = np.asarray(subjects, dtype=str)
        for name in dict.fromkeys(subjects):
            rows = names == name
            out[rows] = _scaled(x[rows], x[rows].min((0, 1)), x[rows].max((0, 1)))
        return out, None
    if fitted is None:
        if len(x) == 0:
            raise ValueError(f"how = {how!r}: found no rows to fit on, expected at least one")
        fitted = _fitted(x, how, least=1e-9 * np.abs(x_NTC).max((0, 1)))
    if fitted.low.shape != (x.shape[1:] if how == "train-step" else x.shape[2:]):
        steps = f" and {x.shape[1]} steps" if how == "train-step" else ""
        raise ValueError(f"fitted: found limits of {fitted.low.shape[-1]} channels, expected {x.shape[2]}{steps}")
    return _scaled(x, fitted.low, fitted.high), fitted


def prepared(x: Any, how: str, rate_hz: float) -> Any:
    """What is done to each row by itself before it is scaled; arrays of numpy and of torch, (N, T, C)."""
    if how == "start":
        if not rate_hz > 0:
            raise ValueError(f"how = 'start': found {rate_hz} steps a second, expected more than 0")
        return x - x[:, : max(1, round(rate_hz))].mean(1)[:, None]
    if how == "centred":
        return x - x.mean(1)[:, None]
    if how == "difference":
        changed = x * 0  # the first step has none before it
        changed[:, 1:] = x[:, 1:] - x[:, :-1]
        return changed
    return x


def _fitted(x: np.ndarray, how: str, *, least: np.ndarray) -> Limits:
    """`least`: a standard deviation below it is rounding."""
    if how in ("train", "train-step"):
        over: Any = 0 if how == "train-step" else (0, 1)
        return Limits(x.min(over), x.max(over))
    low = x.mean((0, 1)) if how == "train-z" else np.zeros(x.shape[2])
    sd = x.std((0, 1))
    return Limits(low, low + np.where(sd > least, sd, 0))


def _scaled(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    span = high - low
    # a channel without span carries nothing: 0 for every row, also where another row differs from the constant
    return np.where(span > 0, (x - low) / np.where(span > 0, span, 1), 0).astype(np.float32)
