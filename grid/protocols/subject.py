"""k folds over subjects: no subject on two sides. The default."""

from __future__ import annotations

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, by_subject, shuffled

IN_WORDS = "no subject on two sides of a fold"


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """Subjects are shuffled by name and dealt to the folds in turn, so that fold sizes differ by one subject at most."""
    subjects = shuffled(index.subjects, seed)
    if folds < 2 or folds > len(subjects):
        raise InputError(
            f"{folds} folds by subject asked for, but there are {len(subjects)} subjects: choose 2 to {len(subjects)} "
            "by [protocol] folds in the experiment's TOML, or leave one subject out at a time by --protocol loso; --folds only "
            "picks some of the folds"
        )
    return by_subject(index, protocol="subject", groups=[subjects[fold::folds] for fold in range(folds)])
