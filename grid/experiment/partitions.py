"""Who is held out with whom: drawn from the experiment's seed, dealt evenly by sex, age and expressiveness, or read from a file.

Drawn folds follow from the people at hand: with one person more or less about half of the others are in another fold.
`folds.csv`, which every run writes, keeps them: with it ([protocol] folds_from, `--folds-from`) an absent person moves nobody.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from dataprep.records import DataSet, InputError, SampleIndex
from grid.experiment.cells import Scenario, base_of
from grid.experiment.config import Experiment
from grid.experiment.scenarios import scenario_index
from grid.protocols import FoldSplit, by_subject, protocols, shuffled

Given = Mapping[tuple[str, int], Mapping[str, int]]
"""(scenario, partition) -> subject -> fold; the scenario is empty where the file names none."""


def splits_of(
    experiment: Experiment, dataset: DataSet, index: SampleIndex, scenario: Scenario | None = None
) -> tuple[FoldSplit, ...]:
    """The folds of a scenario's trials, partition after partition; `index` has all trials (no scenario: they are meant).

    Raises InputError if folds cannot be made, if repeats are all the same partition, or if a file of folds lacks somebody.
    """
    mine, protocol = scenario_index(dataset, index, scenario) if scenario else index, experiment.protocol
    if protocol.folds_from:
        return tuple(
            fold for r in range(protocol.repeats) for fold in _given(protocol.folds_from, mine, scenario, r, dataset.name)
        )
    base = index if protocol.inherit else mine
    found: list[FoldSplit] = []
    for repeat in range(protocol.repeats):
        seed = partition_seed(protocol.seed, repeat)
        if protocol.stratify:
            groups = stratified(_traits(dataset, base, protocol.stratify), folds=protocol.folds, seed=seed)
            folds = by_subject(base, protocol=protocol.name, groups=groups)
        else:
            folds = protocols()[protocol.name](base, folds=protocol.folds, seed=seed, holdout=dataset.holdout)
        if base is not mine:
            folds = _restricted(folds, set(mine.trial_ids))
        found += [replace(fold, repeat=repeat) for fold in folds] if repeat else folds
    if protocol.repeats > 1 and len({frozenset(fold.test) for fold in found}) * protocol.repeats == len(found):
        raise InputError(
            f"protocol.repeats: the {protocol.repeats} partitions of these {len(set(mine.subjects))} subjects are all the same; "
            "expected fewer repeats, fewer folds or another seed"
        )
    return tuple(found)


def partition_seed(seed: int, repeat: int) -> int:
    """The seed of a partition: that of the experiment for the first, numbers drawn from both for the others."""
    return int(hashlib.sha256(f"partition/{seed}/{repeat}".encode()).hexdigest()[:12], 16) if repeat else seed


def stratified(traits: Mapping[str, tuple[object, ...]], *, folds: int, seed: int) -> list[list[str]]:
    """Subjects in `folds` groups in which traits are as even as can be, the first trait before the second.

    Those in the order of their traits are cut into blocks of `folds` people, and each block is dealt one to a group, at random.
    """
    if folds < 2 or folds > len(traits):
        raise InputError(
            f"{folds} folds by subject asked for, but there are {len(traits)} subjects: choose 2 to {len(traits)} "
            "by [protocol] folds in the experiment's TOML, or leave one subject out at a time by --protocol loso; --folds only "
            "picks some of the folds"
        )
    place = {name: i for i, name in enumerate(shuffled(tuple(traits), seed))}
    order = sorted(traits, key=lambda name: (*traits[name], place[name]))
    groups: list[list[str]] = [[] for _ in range(folds)]
    for start in range(0, len(order), folds):
        dealt = shuffled(tuple(str(fold) for fold in range(folds)), partition_seed(seed, 1 + start))
        for name, fold in zip(order[start : start + folds], dealt, strict=False):
            groups[int(fold)].append(name)
    return groups


def _traits(dataset: DataSet, index: SampleIndex, wanted: Iterable[str]) -> dict[str, tuple[object, ...]]:
    """Subject -> the values of the wanted traits, age last since it is a number. Raises InputError where one is not known."""
    found: dict[str, tuple[object, ...]] = {}
    expressive = dataset.subsets.get("expressive")
    for name in sorted(set(index.subjects)):
        person = dataset.person(name)
        known = {
            "sex": person and person.sex,
            "expressive": None if expressive is None else name in expressive,
            "age": person and person.age,
        }
        lacking = [trait for trait in wanted if known[trait] is None]
        if lacking:
            raise InputError(f"protocol.stratify: the data set {dataset.name} does not tell the {lacking[0]} of {name}")
        found[name] = tuple(value for trait, value in known.items() if trait in wanted)
    return found


def _restricted(folds: Iterable[FoldSplit], members: set[str]) -> tuple[FoldSplit, ...]:
    """The folds of a whole for a part of its trials; a fold that tests none of them is left out, the others keep their number."""
    out = []
    for fold in folds:
        test = tuple(t for t in fold.test if t in members)
        if test:
            out.append(replace(fold, train=tuple(t for t in fold.train if t in members), test=test))
    return tuple(out)


def _given(file: str, index: SampleIndex, scenario: Scenario | None, repeat: int, dataset: str) -> list[FoldSplit]:
    """The folds of one partition as a file has them; a fold without a person at hand is left out."""
    path = Path(file)
    try:
        told = path.stat()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error}); expected the folds.csv of a run") from None
    known = read_folds(path, told.st_mtime_ns, told.st_size)
    name = base_of(scenario.name) if scenario else ""
    fold_of = known.get((name, repeat)) or known.get(("", repeat))
    if fold_of is None and not name:  # of no scenario: whatever the first of them says
        fold_of = next((folds for (_, r), folds in known.items() if r == repeat), None)
    if fold_of is None:
        there = ", ".join(sorted({f"{s or 'any scenario'}, partition {r}" for s, r in known}))
        raise InputError(f"{file}: found folds of {there}; expected some of {name}, partition {repeat}")
    unknown = sorted(set(index.subjects) - set(fold_of))
    if unknown and name:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise InputError(
            f"{file}: names no fold for {', '.join(unknown[:3])}{more} of {dataset}, scenario {name}, partition {repeat}"
        )
    groups: dict[int, list[str]] = {}
    for subject in sorted(set(index.subjects) & set(fold_of)):
        groups.setdefault(fold_of[subject], []).append(subject)
    numbers = sorted(groups)
    folds = by_subject(index, protocol="subject", groups=[groups[n] for n in numbers])
    return [replace(fold, fold=n, repeat=repeat) for n, fold in zip(numbers, folds, strict=True)]


@cache
def read_folds(path: Path, mtime_ns: int, size: int) -> Given:
    """A table with the columns subject and fold, and scenario and repeat where there are several: as `folds.csv` has them.

    Time and size of the file tell a changed one apart. Raises InputError, with the line, for what is no such table.
    """
    found: dict[tuple[str, int], dict[str, int]] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            lacking = {"subject", "fold"} - set(table.fieldnames or ())
            if lacking:
                raise InputError(f"{path}: has no column {', '.join(sorted(lacking))}; expected subject and fold")
            for row in table:
                where, subject = f"{path}: line {table.line_num}", (row["subject"] or "").strip()
                numbers = [(row.get("repeat") or "0").strip(), (row["fold"] or "").strip()]
                if not subject or not all(n.isascii() and n.isdecimal() for n in numbers):
                    raise InputError(f"{where}: found {dict(row)}, expected a subject and the number of a fold")
                folds = found.setdefault(((row.get("scenario") or "").strip(), int(numbers[0])), {})
                if folds.setdefault(subject, int(numbers[1])) != int(numbers[1]):
                    raise InputError(f"{where}: puts {subject} into a second fold, {numbers[1]}; expected one")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected the folds.csv of a run") from None
    if not found:
        raise InputError(f"{path}: found no row, expected a subject and a fold a line")
    return found
