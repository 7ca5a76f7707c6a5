"""One fixed split, the one published with the data set (BioVid: 61 subjects to train, 26 to validate). One fold."""

from __future__ import annotations

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, by_subject

ONE_PARTITION = True
IN_WORDS = "one fixed split by subject"


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """The published validation subjects are tested, the others train."""
    if not holdout:
        raise InputError(
            "no fixed hold-out split has been published for this data set: choose protocol subject, sample or loso"
        )
    tested = sorted(holdout & set(index.subjects))
    if not tested or len(tested) == len(set(index.subjects)):
        raise InputError(f"the published hold-out list has {len(tested)} of the {len(set(index.subjects))} subjects at hand")
    return by_subject(index, protocol="holdout", groups=[tested])
