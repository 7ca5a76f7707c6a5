"""Cross-validation protocols: one file each, exporting `split(index, *, folds, seed, holdout) -> tuple[FoldSplit, ...]`.

`seed` alone decides which partition it is. Where no seed changes who is held out together, it is not used, and the file says
`ONE_PARTITION = True`; `IN_WORDS` is what the report says of it. Where trials of tested people train, the file says
`TESTED_PEOPLE_TRAIN = True`, and may word the report's warning by `CAUTION`. A protocol is a pure function of the table
of trials: it sees no path and no array. Folds are decided on every trial of the scenario, before any trial is found to be
broken, so that all rows of the grid share the same folds.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import compress
from types import ModuleType

from dataprep.records import InputError, SampleIndex

Protocol = Callable[..., "tuple[FoldSplit, ...]"]
LEAKS = (
    "Protocol “{name}” puts trials of one subject on both sides of a fold: a network can recognise the person instead of "
    "the pain. These accuracies are too high for people it has never seen."
)


@dataclass(frozen=True)
class FoldSplit:
    """One fold: the trial ids of each side. Refuses a trial on two sides, and a subject too unless the protocol's file has that.

    `repeat` is the number of the partition that it is a fold of. `calibration`: the training trials, by name, of people who are
    tested; no other training trial may be of these people. Each of them trains `calibration_copies` times.
    """

    protocol: str
    fold: int
    train: tuple[str, ...]
    test: tuple[str, ...]
    subject_of: dict[str, str] = field(repr=False)
    one_sided: bool = False
    repeat: int = 0
    calibration: tuple[str, ...] = ()
    calibration_copies: int = 1

    def __post_init__(self) -> None:
        tested = set(self.test)
        if not tested.isdisjoint(self.train):
            shared = tested & set(self.train)
            raise InputError(f"{self.protocol} fold {self.fold}: trials on both sides: {sorted(shared)[:3]}")
        if not self.train or not (self.test or self.one_sided):
            raise InputError(
                f"{self.protocol} fold {self.fold}: {len(self.train)} training and {len(self.test)} test trials"
            )
        if not set(self.calibration) <= set(self.train):
            lost = sorted(set(self.calibration) - set(self.train))
            raise InputError(f"{self.protocol} fold {self.fold}: calibration trials that do not train: {lost[:3]}")
        meant = tested_people_train(self.protocol)
        if self.calibration or not meant:
            others = set(self.train) - (set(self.calibration) if meant else set())
            both = {self.subject_of[t] for t in self.test}.intersection(map(self.subject_of.__getitem__, others))
            if both:
                raise InputError(f"{self.protocol} fold {self.fold}: subjects on both sides: {sorted(both)[:3]}")


def by_subject(index: SampleIndex, *, protocol: str, groups: list[list[str]]) -> tuple[FoldSplit, ...]:
    """One fold per group of subjects: the group is tested, everybody else trains."""
    subject_of = dict(zip(index.trial_ids, index.subjects, strict=True))
    rows_of: dict[str, list[int]] = {}
    for n, subject in enumerate(index.subjects):
        rows_of.setdefault(subject, []).append(n)
    splits = []
    for fold, group in enumerate(groups):
        rows = sorted(n for subject in set(group) for n in rows_of.get(subject, ()))
        trains = bytearray(b"\1") * len(index)
        for n in rows:
            trains[n] = 0
        test = tuple(index.trial_ids[n] for n in rows)
        splits.append(
            FoldSplit(
                protocol=protocol,
                fold=fold,
                train=tuple(compress(index.trial_ids, trains)),
                test=test,
                subject_of=subject_of,
            )
        )
    return tuple(splits)


def shuffled(names: set[str] | tuple[str, ...], seed: int) -> list[str]:
    """The names in an order that depends on nothing but each name and the seed. The order of those at hand is the same whoever is
    absent, but not the places: dealt to folds in turn, everybody after an absent one is in another fold."""
    return sorted(set(names), key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).hexdigest())


@cache
def protocols() -> dict[str, Protocol]:
    """Every protocol of this folder by the name of its file."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        found[info.name] = module.split
    return found


def in_words(name: str) -> str:
    """What the report says of a protocol, named as in cells; `protocol NAME` where its file says nothing or is not here."""
    module = _module_of(name)
    told = getattr(module, "in_words", None)
    return told(name) if told else getattr(module, "IN_WORDS", f"protocol {name}")


def tested_people_train(name: str) -> bool:
    """Whether trials of tested people train under this protocol, named as in cells; False where nobody says so."""
    module = _module_of(name)
    told = getattr(module, "tested_people_train", None)
    return bool(told(name) if told else getattr(module, "TESTED_PEOPLE_TRAIN", False))


def caution(name: str) -> str:
    """What the top of a report warns of under this protocol, named as in cells; empty if of nothing."""
    usual = LEAKS.format(name=name) if tested_people_train(name) else ""
    return str(getattr(_module_of(name), "CAUTION", usual))


def has_one_partition(name: str) -> bool:
    """Whether no seed changes who is held out together under this protocol, named as in cells (`personal-4` of `personal`).

    False for a protocol that this version does not have.
    """
    return bool(getattr(_module_of(name), "ONE_PARTITION", False))


def _module_of(name: str) -> ModuleType | None:
    """The file of a protocol that is named as in cells (`personal-4` of `personal`)."""
    base = next((known for known in protocols() if name == known or name.startswith(f"{known}-")), None)
    return importlib.import_module(f"{__name__}.{base}") if base else None
