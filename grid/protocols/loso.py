"""Leave one subject out: as many folds as subjects, in the order of their names. The number of folds asked for is not used."""

from __future__ import annotations

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, by_subject

ONE_PARTITION = True
IN_WORDS = "one subject left out at a time"


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """Fold i tests the i-th subject alone."""
    subjects = sorted(set(index.subjects))
    if len(subjects) < 2:
        raise InputError(f"leaving one subject out needs at least 2 subjects, there are {len(subjects)}")
    return by_subject(index, protocol="loso", groups=[[subject] for subject in subjects])
