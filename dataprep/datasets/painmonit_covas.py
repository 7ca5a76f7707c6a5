"""PainMonit Experimental Dataset, labelled by what people said instead of by the heater (`--dataset painmonit-covas`).

The same windows as in painmonit.py. A window's rating is the sum of the slider COVAS over its 10 s, divided by the largest such
sum of the person: `none` where it is 0, else the quarter it falls into, `Q1` to `Q4`, as in the authors' code. Windows of rest
are `none`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dataprep.datasets import painmonit
from dataprep.datasets.painmonit import RATE_HZ, WINDOW_S, Window
from dataprep.records import Defect, RecordingError, Trial
from dataprep.storage import Place

CLASSES = {0: "none", 1: "Q1", 2: "Q2", 3: "Q3", 4: "Q4"}


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all people in the order of time. Raises InputError without a file of a person."""
    return painmonit.read_people(path, covas_labels, CLASSES)


def covas_labels(columns: Mapping[str, np.ndarray], found: Sequence[Window]) -> list[int]:
    """The class of each window by the slider. Raises RecordingError for a person who never moved it."""
    n = round(WINDOW_S * RATE_HZ)
    sums = np.array([0.0 if w.level == 0 else columns["COVAS"][w.first : w.first + n].sum() for w in found])
    if not np.isfinite(sums).all() or (sums < 0).any() or not sums.max(initial=0.0) > 0:
        raise RecordingError("COVAS: found no rating above 0, or values below 0 or missing; expected 0 to 100 in each row")
    return [int(min(share * 4 // 1 + 1, 4)) if share > 0 else 0 for share in sums / sums.max()]


DATASET = replace(
    painmonit.DATASET,
    name="painmonit-covas",
    title="PainMonit Experimental Dataset (PMED), labelled by the subjects' own ratings",
    classes=CLASSES,
    positive=4,
    recognise=lambda _path: False,  # the same folder as painmonit: chosen by name
    read_trials=read_trials,
)
