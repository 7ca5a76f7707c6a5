"""Tasks of more than two classes: the probability of each class per trial, and metrics over classes.

Written beside the tables of pain against no pain, into which the same predictions are folded (the first class against all
others): `class_predictions.parquet` and, from it alone, `class_scores.csv`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from grid.experiment.cells import CELL
from grid.plan.specs import Plan
from grid.results.axes import with_axes
from grid.store.artefacts import Store


def predictions(plan: Plan, store: Store, labels: Mapping[str, int], *, names: Sequence[str]) -> pd.DataFrame:
    """A row per held-out trial and cell, in the `frame` row the mean over its frames: CELL, subject_name, sample_name,
    class_true, and a column p_NAME per class."""
    parts = []
    for cell, predict in plan.predicts.items():
        if not store.has(predict.stage):
            continue
        p = store.arrays(predict.stage)["p_classes"]
        p_NK = p.mean(axis=1) if p.ndim == 3 else p
        ids = predict.test.trial_ids
        head = {**{name: getattr(cell, name) for name in CELL}, "subject_name": predict.test.subjects, "sample_name": ids}
        part = pd.DataFrame(head)
        part["class_true"] = [names[labels[t]] for t in ids]
        parts.append(part.assign(**{f"p_{name}": p_NK[:, k] for k, name in enumerate(names)}))
    columns = [*CELL, "subject_name", "sample_name", "class_true", *(f"p_{name}" for name in names)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def scores_table(table: pd.DataFrame, *, names: Sequence[str]) -> pd.DataFrame:
    """A row per cell: n_test, accuracy, balanced accuracy (mean recall of the classes there), macro F1 and the mean distance
    between called and true class in steps of the list; fractions but for the last."""
    rows = []
    for key, part in with_axes(table).groupby(CELL, sort=False):
        true_N = part["class_true"].map({name: k for k, name in enumerate(names)}).to_numpy()
        called_N = part[[f"p_{name}" for name in names]].to_numpy().argmax(1)
        confusion_KK = np.zeros((len(names), len(names)))
        np.add.at(confusion_KK, (true_N, called_N), 1)
        right_K, true_K, called_K = np.diag(confusion_KK), confusion_KK.sum(1), confusion_KK.sum(0)
        there_K = true_K > 0
        recall_K = right_K[there_K] / true_K[there_K]
        f1_K = 2 * right_K[there_K] / (true_K + called_K)[there_K]
        row = {"n_test": len(part), "accuracy": float((true_N == called_N).mean()), "balanced_accuracy": recall_K.mean()}
        row |= {"macro_f1": f1_K.mean(), "mean_distance": float(np.abs(true_N - called_N).mean())}
        rows.append({**dict(zip(CELL, key, strict=True)), **row})
    return pd.DataFrame(rows, columns=[*CELL, "n_test", "accuracy", "balanced_accuracy", "macro_f1", "mean_distance"])
