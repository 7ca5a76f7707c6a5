"""A person's own calibration trials: k of each class train beside people outside the person's group; the others are tested.

k is 0, 2, 4 and 8, as far as everybody has more trials of each class. Each k is a protocol of its own in the results
(`personal-0`, `personal-2` …), apart from those of other protocols; a fold is a person, and the tested trials are the same for
every k. People are grouped as by the protocol `subject`, and of the person's own group nobody else trains.

A calibration trial trains several times: so often that the person's trials together count as much as everybody else's. One copy
of each hardly moves a fit on thousands of trials of others (grid/DECISIONS.md has figures).
"""

from __future__ import annotations

from collections import defaultdict

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, shuffled
from grid.protocols.subject import split as by_groups

KS = (0, 2, 4, 8)
"""Calibration trials of each class."""


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """For every k a fold a person, in the order of their names. `seed` decides the groups and which trials calibrate."""
    of: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for trial_id, subject, label in zip(index.trial_ids, index.subjects, index.labels, strict=True):
        of[subject][label].append(trial_id)
    labels = sorted(set(index.labels))
    fewest = min(len(of[subject][label]) for subject in of for label in labels)
    ks = [k for k in KS if k < fewest]
    if len(ks) < 2:
        poorest = min(of, key=lambda s: min(len(of[s][label]) for label in labels))
        raise InputError(
            f"the protocol personal calibrates with {KS[1]} trials of each class and tests others: found {poorest} with "
            f"{min(len(of[poorest][label]) for label in labels)} of a class, expected at least {KS[1] + 1} of each subject"
        )
    order = {s: {label: shuffled(tuple(ids), seed) for label, ids in by_label.items()} for s, by_label in of.items()}
    group_of = {f.subject_of[t]: f for f in by_groups(index, folds=folds, seed=seed) for t in f.test}
    place = {trial_id: n for n, trial_id in enumerate(index.trial_ids)}
    found = []
    for k in ks:
        for fold, subject in enumerate(sorted(of)):
            others = group_of[subject].train
            own = [t for label in labels for t in order[subject][label][:k]]
            tested = [t for label in labels for t in order[subject][label][ks[-1] :]]
            found.append(
                FoldSplit(
                    f"personal-{k}",
                    fold,
                    train=tuple(sorted([*others, *own], key=place.__getitem__)),
                    test=tuple(sorted(tested, key=place.__getitem__)),
                    subject_of=group_of[subject].subject_of,
                    calibration=tuple(sorted(own, key=place.__getitem__)),
                    calibration_copies=max(1, round(len(others) / len(own))) if own else 1,
                )
            )
    return tuple(found)
