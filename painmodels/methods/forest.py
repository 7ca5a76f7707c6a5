"""A random forest on domain features, after Werner et al. 2014: of EDA, ECG, or the motion of the face box and landmarks.
With EMG, of the face mesh in place of these (`landmarks_rf.py` says what is published).

Grown by scikit-learn; kept as plain arrays (a node a row, all trees one after another) and asked by this module, so that
nothing is pickled and an old result can be read without the version that grew it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dataprep.records import InputError
from painmodels.methods.graph import AnyTarget, Estimator, Method, Recordings
from painmodels.methods.tables import ON, VERSION, feature_table, filled, on_features, typical
from painmodels.training.loop import Fitted

LEAF = -1


@dataclass(frozen=True)
class Settings(AnyTarget):
    """`trees`, the fewest trials in a `leaf`, and how many `features` a split may choose from."""

    trees: int = 200
    leaf: int = 3
    features: Literal["sqrt", "log2", "all"] = "sqrt"

    def __post_init__(self) -> None:
        if min(self.trees, self.leaf) < 1:
            raise InputError(f"trees and leaf: found {self.trees} and {self.leaf}, expected at least 1")


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    """Grow the forest."""
    from sklearn.ensemble import (  # here: a forest that is used needs none of it
        RandomForestClassifier,
        RandomForestRegressor,
    )

    x_NF = feature_table(recordings)
    typical_F = typical(x_NF)
    grown = RandomForestClassifier if settings.classes else RandomForestRegressor
    forest = grown(
        settings.trees,
        min_samples_leaf=settings.leaf,
        max_features=None if settings.features == "all" else settings.features,
        random_state=seed,
        n_jobs=1,
    )
    forest.fit(filled(x_NF, typical_F).astype(np.float32), np.asarray(labels))
    trees = [estimator.tree_ for estimator in forest.estimators_]
    first = np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])])

    def below(side: str) -> np.ndarray:
        parts = [getattr(t, side) for t in trees]
        return np.concatenate([np.where(p == LEAF, LEAF, p + start) for p, start in zip(parts, first, strict=False)])

    weights = {
        "typical": typical_F,
        "root": first[:-1].astype(np.int64),
        "left": below("children_left").astype(np.int64),
        "right": below("children_right").astype(np.int64),
        "feature": np.concatenate([t.feature for t in trees]).astype(np.int64),
        "threshold": np.concatenate([t.threshold for t in trees]),
        "pain": np.concatenate([_leaves(t.value[:, 0], settings.classes) for t in trees]),
    }
    return Fitted(weights, ())


def _leaves(value_LK: np.ndarray, classes: int) -> np.ndarray:
    """Of each node the share of pain, (L,); of more classes the share of each, (L, K); of numbers the mean, (L,)."""
    if not classes:
        return value_LK[:, 0]
    if classes == 2:
        return value_LK[:, 1] / value_LK.sum(-1)
    return value_LK / value_LK.sum(-1, keepdims=True)


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    """Mean over the trees of what is in the leaf that a trial falls into."""
    return of_features(weights, feature_table(recordings), settings, device)


def of_features(weights: Mapping[str, np.ndarray], x_NF: np.ndarray, settings: Settings, device: str) -> np.ndarray:
    """The same of a table of features."""
    x_NF = filled(x_NF, weights["typical"]).astype(np.float32)
    node_NT = np.tile(weights["root"], (len(x_NF), 1))
    trial_N1 = np.arange(len(x_NF))[:, None]
    while (inner := weights["left"][node_NT] != LEAF).any():
        goes_left = x_NF[trial_N1, weights["feature"][node_NT].clip(0)] <= weights["threshold"][node_NT]
        node_NT = np.where(inner, np.where(goes_left, weights["left"][node_NT], weights["right"][node_NT]), node_NT)
    return weights["pain"][node_NT].mean(axis=1)


METHOD = Method(
    "rf",
    on=ON,
    parts=on_features(
        Estimator(Settings, fit, predict, version=f"1.{VERSION}", features=feature_table, of_features=of_features)
    ),
    several=True,
    any_signal=True,
    rows=("eda:rf", "ecg:rf", "video:rf"),
    compared=("emg:rf", "eda+ecg+emg:rf", "eda+ecg+emg+video:rf"),
)
