"""A logistic mixed model of trials in persons: what a typical person's accuracy is, and how far people differ beyond luck.

    log odds that a trial of person s is decided rightly = beta + sigma u_s,    u_s normal with mean 0 and variance 1

fitted by maximum likelihood; the integral over u is a sum over a fine grid. The SD of people's accuracies has the luck of their
few trials in it, sigma has not. Everything that a person's trials share is in u, the fold that tested them included. The
interval of beta allows for people who train each other's models as the other intervals do (inference.py): its variance is raised
by 1 + S/n.

Of several partitions and fit seeds the first one is taken: a trial that was predicted again is no further trial. S people, n
people in a training side. Sources: Breslow & Clayton, JASA 88 (1993); Self & Liang, JASA 82 (1987) for the test of sigma = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from scipy.stats import chi2
from scipy.stats import t as student_t

from grid.results.axes import with_axes
from grid.results.inference import LEVEL
from painmodels.tasks import Task

U_Q = np.linspace(-6, 6, 401)
LOG_W_Q = -(U_Q**2) / 2 - logsumexp(-(U_Q**2) / 2)
BETA_AT_MOST, SIGMA_AT_MOST = 10.0, 6.0
LEAST_SIGMA = 1e-2
"""Below it, people are not seen to differ at all: the luck of their trials is as large as all their spread."""
FEWEST = 5
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
    share = float(np.clip(k_S.sum() / n_S.sum(), 1e-4, 1 - 1e-4))
    plain = float(np.log(share / (1 - share)))
    bounds: Any = [(-BETA_AT_MOST, BETA_AT_MOST), (0, SIGMA_AT_MOST)]
    least: Any = lambda x: _loss(x, k_S, n_S)[0]  # noqa: E731 - its type has no overload
    ends: Any = {"xatol": 1e-4, "fatol": 1e-7, "maxfev": 400}
    # not L-BFGS-B: in SciPy 1.17 its compiled part was seen not to return
    found = minimize(least, np.array([plain, 0.5]), method="Nelder-Mead", bounds=bounds, options=ends)
    beta, sigma = (float(x) for x in found.x)
    gain = 2 * (_loss(np.array([plain, 0.0]), k_S, n_S)[0] - float(found.fun))
    p = 0.5 * float(chi2.sf(gain, 1)) if gain > 1e-6 and sigma > LEAST_SIGMA else 1.0
    half = float(student_t.ppf((1 + LEVEL) / 2, people - 1)) * _se(found.x, k_S, n_S) * np.sqrt(1 + people / n_train)
    if abs(beta) > BETA_AT_MOST - 1e-3 or sigma > SIGMA_AT_MOST - 1e-3 or not n_train >= 1:
        half = float("nan")
    wide = 1.959964 * sigma
    typical, low, high, lowest, most = (float(expit(beta + x)) for x in (0.0, -half, half, -wide, wide))
    if p == 1:
        lowest = most = float("nan")
    return Mixed(typical=typical, low=low, high=high, sigma=sigma, least=lowest, most=most, p=p, people=people)


def _loss(x: np.ndarray, k_S: np.ndarray, n_S: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log likelihood of (beta, sigma), and its gradient."""
    z_Q = x[0] + x[1] * U_Q
    joint_SQ = k_S[:, None] * log_expit(z_Q) + (n_S - k_S)[:, None] * log_expit(-z_Q) + LOG_W_Q
    total_S = logsumexp(joint_SQ, axis=1)
    off_SQ = np.exp(joint_SQ - total_S[:, None]) * (k_S[:, None] - n_S[:, None] * expit(z_Q))
    return -float(total_S.sum()), -np.array([off_SQ.sum(), (off_SQ * U_Q).sum()])


def _se(x: np.ndarray, k_S: np.ndarray, n_S: np.ndarray) -> float:
    """The standard error of beta, from the curvature of the likelihood; sigma = 0 is taken for known."""
    steps = np.eye(2) * 1e-4
    hessian = np.array([(_loss(x + h, k_S, n_S)[1] - _loss(x - h, k_S, n_S)[1]) / 2e-4 for h in steps])
    if x[1] < 1e-3:
        return float(1 / np.sqrt(hessian[0, 0])) if hessian[0, 0] > 0 else float("nan")
    try:
        variance = float(np.linalg.inv((hessian + hessian.T) / 2)[0, 0])
    except np.linalg.LinAlgError:
        return float("nan")
    return float(np.sqrt(variance)) if variance > 0 else float("nan")


def of_row(predictions: pd.DataFrame, *, n_train: float, task: Task) -> Mixed | None:
    """The model of one row's predictions; None where they are of frames, or where right and wrong is not what is counted."""
    part = with_axes(predictions)
    if part.empty or task.main.name != "accuracy" or ("frame" in part and part["frame"].notna().any()):
        return None
    first = part[(part["repeat"] == part["repeat"].min()) & (part["seed"] == part["seed"].min())]
    right = pd.Series(task.merit(*task.of(first)), index=first.index)
    counts = right.groupby(first["subject_name"].astype(str)).agg(["sum", "count"])
    return mixed(counts["sum"].to_numpy(), counts["count"].to_numpy(), n_train=n_train)
