"""k folds over trials, stratified by class: a subject's trials fall on both sides, which leaks identity.

It exists to measure that leak (compare with `subject`), not to be reported as a result.
"""

from __future__ import annotations

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, shuffled

IN_WORDS = "trials of a subject may be on both sides of a fold"
TESTED_PEOPLE_TRAIN = True


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """Trials of each class are shuffled by name and dealt to the folds in turn."""
    if folds < 2 or folds > len(index):
        raise InputError(
            f"{folds} folds by trial asked for, but there are {len(index)} trials: choose 2 to {len(index)} "
            "by [protocol] folds in the experiment's TOML"
        )
    subject_of = dict(zip(index.trial_ids, index.subjects, strict=True))
    tested: list[set[str]] = [set() for _ in range(folds)]
    dealt = 0
    for label in sorted(set(index.labels)):
        ids = [t for t, y in zip(index.trial_ids, index.labels, strict=True) if y == label]
        for trial_id in shuffled(tuple(ids), seed):
            tested[dealt % folds].add(trial_id)
            dealt += 1
    splits = []
    for fold, ids_out in enumerate(tested):
        train = tuple(t for t in index.trial_ids if t not in ids_out)
        test = tuple(t for t in index.trial_ids if t in ids_out)
        splits.append(FoldSplit(protocol="sample", fold=fold, train=train, test=test, subject_of=subject_of))
    return tuple(splits)
