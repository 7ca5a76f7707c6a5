"""What a recalibration is fitted on, and what it makes of a prediction (painmodels/methods/calibrate.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grid.plan.specs import Fit
from painmodels.methods.calibrate import given
from painmodels.methods.graph import Recordings


def held_out(job: Fit, outputs: Callable[..., np.ndarray]) -> tuple[Recordings, np.ndarray]:
    """What the fits of each inner fold predict of the people left out of it, and what was true; frames count one by one."""
    found, labels = [], []
    for refit in job.refits:
        p = outputs(refit.upstream[0], refit.held_out.trial_ids, refit.held_out.subjects, "prediction")
        found.append(p.reshape(-1))
        labels.append(np.repeat(refit.held_out.labels, p.size // len(p)))
    return given(np.concatenate(found)), np.concatenate(labels)


def recalibrated(job: Fit, weights: Mapping[str, np.ndarray], p: np.ndarray, device: str) -> np.ndarray:
    """Probabilities of pain of any shape, recalibrated."""
    calibrator: Any = job.part.trained
    return calibrator.predict(weights, given(p), job.settings, device)
