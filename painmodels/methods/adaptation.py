"""Adaptation to people without labels: what a trained row knows stays, how its inputs are seen follows the tested recordings.

Transductive: a prediction depends on the other tested recordings, all of which are there before the first is judged. Their labels
are not looked at.
`batch-statistics`  mean and SD of the training side are replaced by those of the tested recordings: in normalisation layers of a
                    network (Li et al. 2018), or where features are standardised.
`coral`             the tested recordings' features are given the mean and covariance of the training side's (Sun et al. 2016,
                    doi:10.1609/aaai.v30i1.10306, with the roles of the sides exchanged, so that no fit is made again).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from painmodels.methods.graph import Estimator
from painmodels.methods.tables import standardisation, standardised
from painmodels.registry import SubNetwork

ADAPTATIONS = ("batch-statistics", "coral")
VERSION = 1  # raise when the same recordings come to be judged otherwise


def cannot(row: str, trained: Collection[SubNetwork | Estimator], how: str) -> str:
    """Why a row whose parts are `trained` cannot be adapted; empty if it can."""
    (part, *more) = trained
    on_features = isinstance(part, Estimator) and part.features is not None
    if how == "coral" and (more or not on_features):
        return f"the row {row} has no table of features, which adaptation by coral aligns"
    keeps = part.keeps_statistics if isinstance(part, SubNetwork) else on_features and part.standardised
    if how == "batch-statistics" and (more or not keeps):
        return f"the row {row} standardises nothing by its training side, which adaptation by batch-statistics needs"
    return ""


def judged(
    trained: Estimator,
    how: str,
    weights: Mapping[str, np.ndarray],
    x_NF: np.ndarray,
    to_MF: np.ndarray,
    settings: Any,
    device: str,
) -> np.ndarray:
    """What an estimator says of N tested recordings with the features `x_NF`; `to_MF`: those of its training side (coral)."""
    assert trained.of_features
    if len(x_NF) < 2:  # one recording has no spread between recordings
        return trained.of_features(weights, x_NF, settings, device)
    if how == "coral":
        x_NF = aligned(x_NF, to_MF)
    else:
        weights = {**weights, **standardisation(x_NF)}
    return trained.of_features(weights, x_NF, settings, device)


def aligned(x_NF: np.ndarray, to_MF: np.ndarray) -> np.ndarray:
    """The features with the mean, SD and correlations of others; gaps are filled with the table's own typical values.

    Each table is standardised, then whitened and coloured with its covariance plus the identity, as published.
    """
    own, other = standardisation(x_NF), standardisation(to_MF)
    z_NF = standardised(x_NF, own)
    moved_NF = z_NF @ _power(z_NF, -0.5) @ _power(standardised(to_MF, other), 0.5)
    return moved_NF * other["sd"] + other["mean"]


def _power(z_NF: np.ndarray, power: float) -> np.ndarray:
    """A power of the covariance plus the identity, (F, F)."""
    covariance_FF = np.einsum("nf,ng->fg", z_NF, z_NF) / max(len(z_NF) - 1, 1) + np.eye(z_NF.shape[1])
    values_F, vectors_FF = np.linalg.eigh(covariance_FF)
    return (vectors_FF * values_F**power) @ vectors_FF.T
