"""The fixed split that a data set was published with, where its subjects are called SIDE-NAME (AI4Pain). One fold.

People of `train` train, people of `test` are tested; where those have no labels, people of `validation` are tested. Nobody
else is used.
"""

from __future__ import annotations

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit

ONE_PARTITION = True
IN_WORDS = "the split that the data set was published with, no subject on two sides"

SIDES = ("train", "validation", "test")


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """The one fold. Raises InputError where subjects do not say their side, or a side has nobody."""
    sides: dict[str, list[str]] = {}
    for trial_id, subject in zip(index.trial_ids, index.subjects, strict=True):
        side, mark, _ = subject.partition("-")
        if side not in SIDES or not mark:
            raise InputError(
                f"the protocol published needs subjects called train-…, validation-… or test-…, found {subject!r}: choose "
                "subject, loso, sample or holdout"
            )
        sides.setdefault(side, []).append(trial_id)
    tested = sides.get("test") or sides.get("validation")
    if "train" not in sides or not tested:
        raise InputError(
            f"the protocol published found people of {', '.join(sides)}, expected train and test (or validation)"
        )
    subject_of = dict(zip(index.trial_ids, index.subjects, strict=True))
    return (FoldSplit(protocol="published", fold=0, train=tuple(sides["train"]), test=tuple(tested), subject_of=subject_of),)
