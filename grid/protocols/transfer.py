"""Train on one data set, test on another. Subjects are called DATASET:NAME (dataprep/datasets/pooled.py).

Of one data set alone: folds over its subjects, as in the protocol `subject`, so that what is lost by the transfer can be seen.
Of several: everybody of the data sets to be tested is held out, in one fold; where none was chosen for it, each data set in turn.
"""

from __future__ import annotations

from dataclasses import replace

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, by_subject, subject

ONE_PARTITION = True
IN_WORDS = "trained on one data set and tested on another, or within one by subject"


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """The folds of these subjects. Raises InputError where subjects do not say their data set."""
    people: dict[str, list[str]] = {}
    for name in sorted(set(index.subjects)):
        label, mark, _ = name.partition(":")
        if not mark:
            raise InputError(
                f"the protocol transfer needs several data sets (--train-on, --test-on), found the subject {name!r}"
            )
        people.setdefault(label, []).append(name)
    if len(people) == 1 and len(set(index.subjects)) == 1:
        raise InputError(f"{next(iter(people))} has one person, {index.subjects[0]}: it cannot be tested within itself")
    if len(people) == 1:
        within = subject.split(index, folds=min(folds, len(set(index.subjects))), seed=seed)
        return tuple(replace(fold, protocol="transfer") for fold in within)
    groups = [sorted(holdout & set(index.subjects))] if holdout else list(people.values())
    if not all(0 < len(group) < len(set(index.subjects)) for group in groups):
        raise InputError("the protocol transfer found nobody to train on or nobody to test; expected people of both sides")
    return by_subject(index, protocol="transfer", groups=groups)
