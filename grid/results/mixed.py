"""A logistic mixed model of trials in persons: what a typical person's accuracy is, and how far people differ beyond luck.

    log odds that a trial of person s is decided rightly = beta + sigma u_s,    u_s normal with mean 0 and variance 1

fitted by maximum likelihood; the integral over u is a sum over a fine grid. The SD of people's accuracies has the luck of their
few trials in it, sigma has not. Everything that a person's trials share is in u, the fold that tested them included. The
interval of beta is that of the profile likelihood, so that it is right where nearly everything is decided rightly and a standard
error is not; it allows for people who train each other's models as the other intervals do (inference.py): by a variance raised by
1 + S/n.

Of several partitions and fit seeds the first one is taken: a trial that was predicted again is no further trial. S people, n
people in a training side. Sources: Breslow & Clayton, JASA 88 (1993); Self & Liang, JASA 82 (1987) for the test of sigma = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import chdtrc, expit, log_expit, logit, logsumexp, stdtrit

from grid.results.axes import with_axes
from grid.results.inference import LEVEL, SIMULATED_PEOPLE
from painmodels.tasks import Task

U_Q = np.linspace(-6, 6, 241)
LOG_W_Q = -(U_Q**2) / 2 - logsumexp(-(U_Q**2) / 2)
BETA_AT_MOST, SIGMA_AT_MOST = 10.0, 6.0
LEAST_SIGMA = 1e-2
"""Below it, people are not seen to differ at all: the luck of their trials is as large as all their spread."""
FEWEST = SIMULATED_PEOPLE
"""People without whom nothing is said of how people differ."""


@dataclass(frozen=True)
class Mixed:
    """Fractions but for `sigma` (log odds). NaN where it cannot be told.

    `typical`, `low`, `high`: accuracy on the person in the middle (u = 0), with its 95 % interval. `least`, `most`: between which
    the model has 95 % of people; NaN where people are not seen to differ. `p`: of "people do not differ but by luck" (sigma = 0).
    """

    typical: float
    low: float
    high: float
    sigma: float
    least: float
    most: float
    p: float
    people: int


def mixed(right_S: np.ndarray, trials_S: np.ndarray, *, n_train: float = np.inf) -> Mixed | None:
    """The model of `right_S` right ones of `trials_S` trials of each person. None for fewer than FEWEST people, and where all
    have the same share (as of a constant guess) or one trial: then nothing can be told of how people differ."""
    k_S, n_S = np.asarray(right_S, dtype=np.float64), np.asarray(trials_S, dtype=np.float64)
    people = len(k_S)
    if people < FEWEST or np.ptp(k_S / n_S) < 1e-9 or n_S.max() < 2:
        return None
    counts = _Counts.of(k_S, n_S)
    plain = float(logit(np.clip(k_S.sum() / n_S.sum(), 1e-4, 1 - 1e-4)))
    bounds: Any = [(-BETA_AT_MOST, BETA_AT_MOST), (0, SIGMA_AT_MOST)]
    ends: Any = {"xatol": 1e-4, "fatol": 1e-7, "maxfev": 400}
    # not L-BFGS-B: in SciPy 1.17 its compiled part was seen not to return
    least: Any = lambda x: counts.loss(x[0], x[1])  # noqa: E731 - its type has no overload
    found = minimize(least, np.array([plain, 0.5]), method="Nelder-Mead", bounds=bounds, options=ends)
    beta, sigma = (float(x) for x in found.x)
    gain = 2 * (counts.loss(plain, 0.0) - float(found.fun))
    p = 0.5 * float(chdtrc(1, gain)) if gain > 1e-6 and sigma > LEAST_SIGMA else 1.0
    if p == 1:
        beta, sigma = plain, 0.0  # exactly: what the search comes near to
    low, high = _interval(counts, people, (beta, sigma), people / n_train) if n_train >= 1 else (float("nan"), float("nan"))
    wide = 1.959964 * sigma
    typical, lowest, most = (float(expit(beta + x)) for x in (0.0, -wide, wide))
    if p == 1:
        lowest = most = float("nan")
    return Mixed(typical=typical, low=low, high=high, sigma=sigma, least=lowest, most=most, p=p, people=people)


@dataclass(frozen=True)
class _Counts:
    """People with the same counts once: right trials, trials, and how many such people there are."""

    k_G: np.ndarray
    n_G: np.ndarray
    people_G: np.ndarray

    @classmethod
    def of(cls, k_S: np.ndarray, n_S: np.ndarray) -> _Counts:
        kinds, people_G = np.unique(np.stack([k_S, n_S]), axis=1, return_counts=True)
        return cls(kinds[0], kinds[1], people_G)

    def loss(self, beta: float, sigma: float) -> float:
        """Minus the log likelihood."""
        z_Q = beta + sigma * U_Q
        joint_GQ = np.outer(self.k_G, log_expit(z_Q)) + np.outer(self.n_G - self.k_G, log_expit(-z_Q)) + LOG_W_Q
        return -float(self.people_G @ logsumexp(joint_GQ, axis=1))


def _interval(counts: _Counts, people: int, best: tuple[float, float], shared: float) -> tuple[float, float]:
    """The 95 % interval of the accuracy of the person in the middle, by the profile likelihood: it ends at 0 and 1 by itself.

    `shared`: people over people in a training side, by which the variance is raised: the likelihood counts that much less.
    """
    most = float(stdtrit(people - 1, (1 + LEVEL) / 2)) ** 2 * (1 + shared) / 2 + counts.loss(*best)

    def over(beta: float) -> float:
        loss: Any = lambda sigma: counts.loss(beta, sigma)  # noqa: E731 - its type has no overload
        return float(minimize_scalar(loss, bounds=(0, SIGMA_AT_MOST), method="bounded", options={"xatol": 0.02}).fun) - most

    low, high = (
        float(expit(brentq(over, best[0], end, xtol=0.005))) if over(end) > 0 else float(end > 0)
        for end in (-BETA_AT_MOST, BETA_AT_MOST)
    )
    return low, high


def of_row(predictions: pd.DataFrame, *, n_train: float, task: Task) -> Mixed | None:
    """The model of one row's predictions; None where they are of frames, or where right and wrong is not what is counted."""
    part = with_axes(predictions)
    if part.empty or task.main.name != "accuracy" or ("frame" in part and part["frame"].notna().any()):
        return None
    first = part[(part["repeat"] == part["repeat"].min()) & (part["seed"] == part["seed"].min())]
    right = pd.Series(task.merit(*task.of(first)), index=first.index)
    counts = right.groupby(first["subject_name"].astype(str)).agg(["sum", "count"])
    return mixed(counts["sum"].to_numpy(), counts["count"].to_numpy(), n_train=n_train)
