"""Domain features of many trials as one table, and the filling of gaps that forest and regression share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dataprep.signals.domain_features import VERSION, ecg_features, eda_features, face_features
from painmodels.methods.graph import Recordings

__all__ = ["ON", "VERSION", "feature_table", "filled", "standardisation", "standardised", "typical"]

_OF: dict[str, Callable[..., dict[str, float]]] = {"eda": eda_features, "ecg": ecg_features, "video": face_features}
ON = tuple(_OF)


def feature_table(recordings: Recordings) -> np.ndarray:
    """Features of all recordings, float64 (N, F), NaN where one is not defined."""
    columns: list[np.ndarray] = []
    sources: dict[str, Any] = {**recordings.signals, **({"video": recordings.faces} if recordings.faces is not None else {})}
    for word, x_N in sources.items():
        rows = [list(_OF[word](x, rate_hz=recordings.rate_hz).values()) for x in x_N]
        columns.append(np.array(rows, dtype=np.float64).reshape(recordings.n, -1))
    return np.concatenate(columns, axis=1)


def typical(x_NF: np.ndarray) -> np.ndarray:
    """Median of each feature over the trials that define it, 0 where none does. Fitted: training trials only."""
    known = ~np.isnan(x_NF)
    return np.array([np.median(x[k]) if k.any() else 0.0 for x, k in zip(x_NF.T, known.T, strict=True)])


def filled(x_NF: np.ndarray, typical_F: np.ndarray) -> np.ndarray:
    """The table with its gaps filled."""
    return np.where(np.isnan(x_NF), typical_F, x_NF)


def standardisation(x_NF: np.ndarray) -> dict[str, np.ndarray]:
    """What gaps are filled and features standardised with, (F,) each: `typical`, `mean`, `sd`. Fitted: training trials only."""
    whole = filled(x_NF, typical_F := typical(x_NF))
    return {"typical": typical_F, "mean": whole.mean(0), "sd": np.where(whole.std(0) > 1e-12, whole.std(0), 1.0)}


def standardised(x_NF: np.ndarray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """The table without gaps, each feature with mean 0 and SD 1 on the training trials."""
    return (filled(x_NF, weights["typical"]) - weights["mean"]) / weights["sd"]
