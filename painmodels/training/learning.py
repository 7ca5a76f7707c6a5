"""The record of a training: whether the sub-network learned, and whether it collapsed afterwards.

Everything here speaks of training alone: a network that has memorised noise has learned. Losses are means over an epoch (of
classes in nats), as stored in the curve (per frame for a per-frame network).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEARNED, NOT_LEARNED, COLLAPSED = "learned", "not learned", "collapsed"

LEAST_GAIN = 0.05
"""A fit whose lowest loss is above (1 - this) x the loss of a constant guess has not learned."""
MOST_LOST = 0.25
"""A fit that has learned, and ends above its lowest loss by more than this share of its gain, has collapsed."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """The record of one fit that was trained in epochs; it is stored as `facts["learning"]` of the fit's artefact.

    `constant_loss` is what the best constant guess costs: in a task of classes the entropy of the training labels.
    `lowest_loss` and `last_loss` are of the curve. `largest_gradient_norm` is that of any step, before clipping. `train_loss` and
    `train_accuracy` are measured on the training side in evaluation mode after the last epoch, and decide nothing.
    """

    constant_loss: float
    lowest_loss: float
    last_loss: float
    largest_gradient_norm: float
    train_loss: float
    train_accuracy: float

    @property
    def verdict(self) -> str:
        """LEARNED, NOT_LEARNED or COLLAPSED."""
        return verdict(self.constant_loss, self.lowest_loss, self.last_loss)


def verdict(constant_loss: float, lowest_loss: float, last_loss: float) -> str:
    """LEARNED, NOT_LEARNED or COLLAPSED, from the three losses."""
    if lowest_loss > (1 - LEAST_GAIN) * constant_loss:
        return NOT_LEARNED
    if last_loss > lowest_loss + MOST_LOST * (constant_loss - lowest_loss):
        return COLLAPSED
    return LEARNED


def recorded(
    constant_loss: float, curve: Sequence[Mapping[str, float]], *, train_loss: float, train_accuracy: float
) -> Learning:
    """The record of a fit; `curve` has a row per epoch, one at least."""
    losses = [row["loss"] for row in curve]
    return Learning(
        constant_loss=constant_loss,
        lowest_loss=min(losses),
        last_loss=losses[-1],
        largest_gradient_norm=max(row["gradient_norm"] for row in curve),
        train_loss=train_loss,
        train_accuracy=train_accuracy,
    )


def verdict_of(facts: Mapping[str, Any]) -> str:
    """The verdict on a stored fit from the facts of its artefact; empty for what is not trained in epochs."""
    record = facts.get("learning")
    return verdict(record["constant_loss"], record["lowest_loss"], record["last_loss"]) if record else ""
