"""The memory that a worker takes at its peak, calculated from the shapes of what it reads. `--plan` prints it."""

from __future__ import annotations

from grid.plan.specs import Fit, Plan, fits_of
from painmodels.trunks.backbones import backbone

WORKER = 500_000_000
"""Bytes of a process with Ray and PyTorch, or of one that prepares, at its peak: measured by tests/benchmarks/memory.py."""
HALF, FLOAT = 2, 4


def of_largest_fit(plan: Plan, trunk: str) -> int:
    """Bytes of the worker that makes the fit which needs most; what is in the object store beside it is not counted."""
    return max((of_fit(fit, trunk) for fit in plan.fits.values()), default=WORKER)


def of_fit(fit: Fit, trunk: str) -> int:
    """Bytes of a worker: the trunk's features of the training side in float16, what FC-7 makes of them, its weights.

    Signals and small networks take little beside these.
    """
    wide = next((f for f in fits_of(fit) if f.role == "spatial" and f.part.own is None), None)
    if wide is None:
        return WORKER
    frames = len(fit.train.trial_ids) * (wide.steps[1] - wide.steps[0])
    features, width = backbone(trunk).feature_size, getattr(wide.settings, "width", 0)
    in_training = fit is wide
    weights = FLOAT * features * width * (4 if in_training else 1)  # with the gradient and Adam's two moments
    return WORKER + frames * HALF * (features + (0 if in_training else width)) + weights
