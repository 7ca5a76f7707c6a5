"""Domain features of many trials as one table, and the filling of gaps that forest and regression share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dataprep.records import InputError
from dataprep.signals.domain_features import VERSION, any_features, ecg_features, eda_features, face_features
from dataprep.signals.native_features import WIDTHS, hr, word_of
from painmodels.methods.graph import Choice, Estimator, Input, Part, Recordings
from painmodels.methods.mesh_points import mesh_features

__all__ = ["ON", "VERSION", "feature_table", "filled", "on_features", "standardisation", "standardised", "typical"]

_OF: dict[str, Callable[..., dict[str, float]]] = {
    "eda": eda_features,
    "ecg": ecg_features,
    "hr": hr,
    "video": face_features,
}
"""What is made of a signal on the clock, by the word that its name begins with; of others `any_features`."""
ON = (*WIDTHS, "video")


def feature_table(recordings: Recordings) -> np.ndarray:
    """Features of all recordings, float64 (N, F), NaN where one is not defined.

    Of the signals on the clock, or where the part takes `domain` those of the channels' own samples (see `on_features`).
    """
    own_rate: Mapping[str, np.ndarray] = recordings.made.get("domain", {})
    columns: list[np.ndarray] = []
    sources: dict[str, Any] = {**recordings.signals, **({"video": recordings.faces} if recordings.faces is not None else {})}
    for word, x_N in sources.items():
        if word in own_rate and word_of(word):
            continue
        made = _OF.get("video" if word == "video" else word_of(word), any_features)
        rows = [list(made(x, rate_hz=recordings.rate_hz).values()) for x in x_N]
        columns.append(np.array(rows, dtype=np.float64).reshape(recordings.n, -1))
    for word, x_NTF in own_rate.items():
        if not word_of(word):
            continue
        if np.isnan(x_NTF[:, 0]).all():
            raise InputError("features at the channels' own rates are of windows that begin at a whole second and last 2 s")
        columns.append(np.asarray(x_NTF[:, 0, : WIDTHS[word_of(word)]], dtype=np.float64))
    if "mesh" in recordings.made:
        rows = [list(mesh_features(x, rate_hz=recordings.rate_hz).values()) for x in recordings.made["mesh"]]
        columns.append(np.array(rows, dtype=np.float64).reshape(recordings.n, -1))
    return np.concatenate(columns, axis=1)


def on_features(trained: Estimator) -> Callable[[tuple[str, ...], Choice], tuple[Part, ...]]:
    """The `parts` of an estimator on features. EDA and ECG have them on the clock, where a stream and an exported row have
    them, too; a row with a signal that needs a higher rate (EMG) takes the features of all its signals at their own rates. A
    signal that is none of the known words has features that say nothing of what it is, on the clock. Of the video such a row
    takes the points of the face mesh in place of the track."""

    def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
        signals = [word for word in words if word != "video"]
        own_rate = any(word_of(word) and word_of(word) not in _OF for word in signals)
        taken = [Input("domain")] if own_rate else []
        taken += [Input("signals")] if signals and not (own_rate and all(map(word_of, signals))) else []
        taken += [Input("mesh" if own_rate else "faces")] if "video" in words else []
        return (Part("estimator", tuple(taken), trained=trained),)

    return parts


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
