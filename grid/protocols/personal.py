"""A person's own calibration trials: k of each class train beside people outside the person's group; later ones are tested.

k is 0, 2, 4 and 8, as far as everybody has trials left. Each k is a protocol of its own in the results (`personal-0`,
`personal-2` …), apart from those of other protocols; a fold is a person, and the tested trials are the same for every k. People
are grouped as by the protocol `subject`, and of the person's own group nobody else trains.

A person's trials are put into an order drawn from their names. The first ones calibrate, until there are k of each class; what
comes after the last one of the largest k is tested. So nothing of a tested trial, its label included, decides what calibrates.

A calibration trial trains several times: so often that the person's trials together count as much as everybody else's. One copy
of each hardly moves a fit on thousands of trials of others (grid/DECISIONS.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from dataprep.records import InputError, SampleIndex
from grid.protocols import FoldSplit, shuffled
from grid.protocols.subject import split as by_groups

KS = (0, 2, 4, 8)
"""Calibration trials of each class."""
CAUTION = ""
"""A section of the report says what results with a person's own trials mean."""


def in_words(protocol: str) -> str:
    """`personal-4` as a sentence of the report."""
    k = protocol.removeprefix("personal-")
    own = (
        f"{k} trials of each class of the tested person train, too"
        if k != "0"
        else "the tested person's trials do not train"
    )
    return f"{own}; that person's others are tested"


def tested_people_train(protocol: str) -> bool:
    """Whether the tested person's own trials train; `personal-0` is without them."""
    return protocol != "personal-0"


def split(index: SampleIndex, *, folds: int, seed: int, holdout: frozenset[str] | None = None) -> tuple[FoldSplit, ...]:
    """For every k a fold a person, in the order of their names. `seed` decides the groups and the order of a person's trials."""
    label_of = dict(zip(index.trial_ids, index.labels, strict=True))
    own: dict[str, list[str]] = defaultdict(list)
    for trial_id, subject in zip(index.trial_ids, index.subjects, strict=True):
        own[subject].append(trial_id)
    order = {subject: shuffled(tuple(ids), seed) for subject, ids in sorted(own.items())}
    classes = sorted(set(index.labels))
    first = {k: {s: _first(ids, label_of, classes, k) for s, ids in order.items()} for k in KS}
    ks = [k for k in KS if all(first[k].values())]
    if len(ks) < 2:
        poorest = next(s for s, found in first[KS[1]].items() if not found)
        raise InputError(
            f"the protocol personal calibrates with {KS[1]} trials of each class and tests later ones: found {len(own[poorest])} "
            f"trials of {poorest}, which are too few; expected some more than {KS[1]} of each class of each subject"
        )
    group_of = {f.subject_of[t]: f for f in by_groups(index, folds=folds, seed=seed) for t in f.test}
    place = {trial_id: n for n, trial_id in enumerate(index.trial_ids)}
    found = []
    for k in ks:
        for fold, (subject, ids) in enumerate(order.items()):
            others, (calibration, _) = group_of[subject].train, first[k][subject] or ((), 0)
            tested = ids[(first[ks[-1]][subject] or ((), 0))[1] :]
            found.append(
                FoldSplit(
                    f"personal-{k}",
                    fold,
                    train=tuple(sorted([*others, *calibration], key=place.__getitem__)),
                    test=tuple(sorted(tested, key=place.__getitem__)),
                    subject_of=group_of[subject].subject_of,
                    calibration=tuple(sorted(calibration, key=place.__getitem__)),
                    calibration_copies=max(1, round(len(others) / len(calibration))) if calibration else 1,
                )
            )
    return tuple(found)


def _first(
    order: Sequence[str], label_of: Mapping[str, int], classes: Sequence[int], k: int
) -> tuple[tuple[str, ...], int] | None:
    """The first k trials of each class, and how many trials it took to find them; None if no trial is left then."""
    taken: list[str] = []
    n: Counter[int] = Counter()
    seen = 0
    while any(n[c] < k for c in classes) and seen < len(order):
        trial_id = order[seen]
        if n[label_of[trial_id]] < k:
            taken.append(trial_id)
            n[label_of[trial_id]] += 1
        seen += 1
    return (tuple(taken), seen) if seen < len(order) and all(n[c] == k for c in classes) else None
