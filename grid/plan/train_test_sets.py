"""The two sides of a fold as training and test sets, each with a key over its trials and the recordings they were prepared from.

Leaving one subject out of 87 makes hundreds of sides of thousands of trials. So a side is a choice of rows of the one table of
all trials: what is equal is shared, and a key is hashed from text that was written once.
"""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np

from dataprep.recordings import in_words, recordings
from dataprep.recordings.kind import SIGNALS as SIGNALS_FILE
from dataprep.recordings.kind import VIDEO
from grid.plan.specs import Inputs, TestSet, TrainSet
from grid.protocols import FoldSplit
from grid.store.identity import Column, digest, digest_columns
from painmodels.tasks import Task

Parts = tuple[str, ...]
Trials = tuple[tuple[str, ...], tuple[str, ...], tuple[Any, ...], int]
"""Ids, subjects, labels, and how many labels differ."""


class TrainTestSets:
    """Makes the sets of every fold of one data set. `split.subject_of` may know trials that are not usable, never others."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self._row_of = {t: n for n, t in enumerate(inputs.index.trial_ids)}
        self._labels, self._subjects = Column(inputs.index.labels), Column(inputs.index.subjects)
        self._sources: dict[Parts, tuple[Column, np.ndarray]] = {}
        self._trials: dict[bytes, Trials] = {}
        self._last: tuple[FoldSplit | None, np.ndarray] = (None, np.zeros(0, dtype=bool))

    def train(self, split: FoldSplit, parts: Parts, *, task: Task, fewest: int | None = None) -> TrainSet:
        """The usable training trials, in the order of the data set. Raises ValueError if there cannot be a fit.

        `fewest`: how many different targets there have to be, if not as many as the task needs.
        """
        sources, usable = self._of(parts)
        if self._last[0] is not split:  # rows ask for the sides of one fold after another
            members = set(split.train)
            trains = bytes(map(members.__contains__, self.inputs.index.trial_ids))
            self._last = (split, np.frombuffer(trains, dtype=bool))
        chosen_N = self._last[1] & usable
        ids, subjects, labels, different = self._rows(chosen_N)
        if different < (task.fewest if fewest is None else fewest):
            missing = in_words(part for part in parts if not self.inputs.keys[part])
            if missing:
                raise ValueError(f"the data has no usable {' and no usable '.join(missing)}")
            raise ValueError(f"the {len(ids)} usable training trials are not {task.lacking}")
        framed = np.zeros(len(chosen_N) + 2, dtype=bool)
        framed[1:-1] = chosen_N
        edges = np.flatnonzero(framed[1:] != framed[:-1]).tolist()
        spans = list(zip(edges[::2], edges[1::2], strict=True))
        key = digest_columns((sources, self._labels, self._subjects), spans)
        if split.calibration:
            own = [n for n, trial_id in enumerate(ids) if trial_id in set(split.calibration)] * (
                split.calibration_copies - 1
            )
            key = digest([key, split.calibration_copies, sorted(set(split.calibration) & set(ids))])
            ids, subjects, labels = (column + tuple(column[n] for n in own) for column in (ids, subjects, labels))
        return TrainSet(trial_ids=ids, subjects=subjects, labels=labels, key=key)

    def test(self, split: FoldSplit, parts: Parts) -> TestSet:
        """The usable held-out trials, in the order of the fold."""
        sources, usable = self._of(parts)
        rows = [n for n in map(self._row_of.__getitem__, split.test) if usable[n]]
        ids = tuple(map(self.inputs.index.trial_ids.__getitem__, rows))
        spans: list[tuple[int, int]] = []
        for n in rows:
            first = spans.pop()[0] if spans and spans[-1][1] == n else n
            spans.append((first, n + 1))
        return TestSet(ids, tuple(map(split.subject_of.__getitem__, ids)), sources.digest(spans))

    def _of(self, parts: Parts) -> tuple[Column, np.ndarray]:
        """Of all trials: the id with the keys of the recordings of `parts`, and whether all of these are usable."""
        if parts not in self._sources:
            ids, columns = self.inputs.index.trial_ids, [self.inputs.keys[part] for part in parts]
            usable = np.array([all(t in column for column in columns) for t in ids], dtype=bool)
            names = [part if part == VIDEO or part in recordings() else SIGNALS_FILE for part in parts]
            of_file = dict(zip(names, columns, strict=True))  # signals share the key of their file
            sources = ([t, *(column.get(t, "") for column in of_file.values())] for t in ids)
            self._sources[parts] = (Column(sources), usable)
        return self._sources[parts]

    def _rows(self, chosen_N: np.ndarray) -> Trials:
        """What is known of the chosen trials; one object for one choice."""
        ident = chosen_N.tobytes()
        if ident not in self._trials:
            index = self.inputs.index
            ids, subjects = tuple(compress(index.trial_ids, ident)), tuple(compress(index.subjects, ident))
            labels = tuple(compress(index.labels, ident))
            self._trials[ident] = (ids, subjects, labels, len(set(labels)))
        return self._trials[ident]
