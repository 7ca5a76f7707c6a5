"""Several data sets read as one: to train on some and test on others.

A TOML file names them, `LABEL = "PATH"` in [train] and in [test]; `python -m grid.launch --train-on A --test-on B` writes it.
What the data sets share is matched by stated rules:
- channels: those of one name in all data sets, in the unit of the first that says one (mV and µV, S and µS are brought to one),
  without those whose units cannot be compared;
- clock: the slowest of theirs, on which every channel is read from its own rate;
- window: the length of the shortest trial, from each trial's own start on;
- classes: no pain and pain, the two classes of each data set's own task; other trials are left out.
Trials and subjects are called LABEL:NAME. Subsets: each LABEL, `everybody`, and who is tested is the `holdout`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from dataprep.records import MARK, DataSet, Defect, InputError, Person, Trial
from dataprep.signals.units import factor
from dataprep.storage import Place, place

CLASSES = {0: "no pain", 1: "pain"}
EVERYBODY = "everybody"
Open = Callable[[Place], DataSet]
Make = Callable[[str, Mapping[str, Any]], DataSet]


@dataclass(frozen=True)
class Part:
    """One of the data sets. `tested`: its people are tested, and train nothing but the row within the data set itself."""

    label: str
    path: Place
    dataset: DataSet
    tested: bool


def recognise(path: Place) -> bool:
    """True for a TOML file."""
    return path.name.endswith(".toml") and path.is_file()


def dataset_of(path: Place, opened: Open) -> DataSet:
    """The data set that the file names; `opened` opens one of them. Raises InputError that names the file and the key."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    unknown = sorted(table.keys() - {"train", "test"})
    if unknown or not table.get("train"):
        raise InputError(f"{path}: found {', '.join(table) or 'nothing'}, expected the tables [train] and [test]")
    parts: list[Part] = []
    for side in ("train", "test"):
        for label, where in table.get(side, {}).items():
            if not isinstance(where, str) or MARK in label:
                raise InputError(
                    f"{path}: [{side}] {label}: found {where!r}, expected the path of a data set, and no ':' in its label"
                )
            at = place(where)
            parts.append(Part(label, at, opened(at), tested=side == "test"))
    if len({part.label for part in parts}) < len(parts) or len(parts) < 2:
        raise InputError(
            f"{path}: found {', '.join(part.label for part in parts)}, expected two data sets or more, each once"
        )
    return _together(parts)


def _together(parts: list[Part]) -> DataSet:
    length_s = min(part.dataset.n_steps / part.dataset.clock_hz for part in parts)
    clock_hz = min(part.dataset.clock_hz for part in parts)
    n_steps = int(length_s * clock_hz + 1e-6)
    channels = shared_channels([part.dataset for part in parts])
    found = [_trials(part) for part in parts]
    trials = tuple(trial for those, _ in found for trial in those)
    defects = tuple(defect for _, those in found for defect in those)
    _refuse_shared(parts, found)
    _refuse_mixed([part for part in parts if not part.tested])
    people = {part.label: frozenset(t.subject for t in those) for part, (those, _) in zip(parts, found, strict=True)}
    tested = frozenset(s for part in parts if part.tested for s in people[part.label])
    units = units_of([part.dataset for part in parts], channels)
    description = {
        "pooled": {part.label: [part.dataset.name, dict(part.dataset.description)] for part in parts},
        "clock_hz": clock_hz,
        "n_steps": n_steps,
        "channels": list(channels),
    }
    if any(part.dataset.units.get(c, unit) != unit for part in parts for c, unit in units.items()):
        description["units"] = units
    return replace(
        _reader("+".join(part.label for part in parts), description, {part.label: part.dataset for part in parts}),
        title=" and ".join(part.dataset.title for part in parts),
        source=" ".join(dict.fromkeys(part.dataset.source for part in parts if part.dataset.source)),
        trial=f"the first {n_steps / clock_hz:g} s of a trial of its data set, the shortest that they have",
        read_trials=lambda _path: (trials, defects),
        subsets={"all": None, EVERYBODY: None, **people},
        holdout=tested or None,
        units=units,
        lacking=_lacking(parts, channels),
        rates_hz={c: r for c, r in parts[0].dataset.rates_hz.items() if c in channels},
        pain=all(part.dataset.pain for part in parts if part.tested or not tested),
        synthetic=any(part.dataset.synthetic for part in parts),
        person=partial(_person, {part.label: part.dataset for part in parts}),
        time_order=partial(_time_order, {part.label: part.dataset for part in parts})
        if all(part.dataset.time_order for part in parts)
        else None,
    )


def _person(datasets: Mapping[str, DataSet], subject: str) -> Person | None:
    """Sex and age, as the subject's own data set tells them."""
    label, _, name = subject.partition(MARK)
    return datasets[label].person(name) if label in datasets else None


def _time_order(datasets: Mapping[str, DataSet], trial: Trial) -> float:
    """What grows with time in a person's session, as the trial's own data set tells it."""
    dataset, own = _own(trial, datasets)
    return dataset.time_order(own) if dataset.time_order else 0.0


def _refuse_shared(parts: list[Part], found: list[tuple[list[Trial], list[Defect]]]) -> None:
    """Raises InputError where a person is in two of the data sets: that person would be trained on and tested."""
    seen: dict[tuple[str, str], str] = {}
    for part, (trials, _) in zip(parts, found, strict=True):
        for subject in dict.fromkeys(trial.subject.partition(MARK)[2] for trial in trials):
            key = part.dataset.population or part.dataset.name, subject
            if other := seen.get(key):
                raise InputError(
                    f"{part.label} and {other}: found {subject!r} in both, expected data sets of different people: whoever is in "
                    "both would be trained on and tested"
                )
            seen[key] = part.label


def _refuse_mixed(trained: list[Part]) -> None:
    """Raises InputError where some data sets to train on are of pain and others of arousal without pain."""
    no_pain = [part.label for part in trained if not part.dataset.pain]
    if no_pain and len(no_pain) < len(trained):
        raise InputError(
            f"{' and '.join(no_pain)}: found arousal without pain among data sets of pain to train on, expected it under "
            "--test-on: its aroused trials would be learnt as pain"
        )


def shared_channels(datasets: list[DataSet]) -> tuple[str, ...]:
    """The channels that all have, in the order of the first, without those whose units cannot be brought to one."""
    names = [c for c in datasets[0].channels if all(c in d.channels for d in datasets)]
    return tuple(c for c in names if all(factor(a, b) is not None for a, b in pairwise(_said(datasets, c))))


def _lacking(parts: list[Part], channels: Collection[str]) -> dict[str, str]:
    """Why a channel of some data sets is not one of all."""
    found = {}
    for channel in dict.fromkeys(c for part in parts for c in part.dataset.channels if c not in channels):
        without = [part.label for part in parts if channel not in part.dataset.channels]
        units = ", ".join(
            f"{part.dataset.units.get(channel)} in {part.label}" for part in parts if channel in part.dataset.units
        )
        found[channel] = (
            f": {' and '.join(without)} has none" if without else f": it is in {units}, which cannot be brought to one"
        )
    return found


def units_of(datasets: list[DataSet], channels: Iterable[str]) -> dict[str, str]:
    """Channel -> the unit of the first data set that says one; a data set that says none is taken to have it."""
    return {c: said[0] for c in channels if (said := _said(datasets, c))}


def _said(datasets: list[DataSet], channel: str) -> list[str]:
    return [d.units[channel] for d in datasets if d.units.get(channel)]


def _trials(part: Part) -> tuple[list[Trial], list[Defect]]:
    """The part's trials of its own two classes, under the names that they have here."""
    dataset, label = part.dataset, part.label
    trials, defects = dataset.read_trials(part.path)
    ids = {class_id: place for place, side in enumerate(dataset.sides) for class_id in side}
    renamed = [
        replace(
            trial,
            trial_id=_named(label, trial.trial_id),
            subject=_named(label, trial.subject),
            class_id=ids[trial.class_id],
            class_name=CLASSES[ids[trial.class_id]],
        )
        for trial in trials
        if trial.class_id in ids
    ]
    return renamed, [replace(d, trial_id=_named(label, d.trial_id), subject=_named(label, d.subject)) for d in defects]


def _named(label: str, name: str) -> str:
    return f"{label}{MARK}{name}" if name else ""


def described(name: str, description: Mapping[str, Any], make: Make) -> DataSet:
    """The reader of a description, in another process or of a stored model; it has no trials."""
    return _reader(name, description, {label: make(*what) for label, what in description["pooled"].items()})


def _reader(name: str, description: Mapping[str, Any], parts: Mapping[str, DataSet]) -> DataSet:
    return DataSet(
        name=name,
        title=name,
        clock_hz=description["clock_hz"],
        n_steps=description["n_steps"],
        channels=tuple(description["channels"]),
        classes=CLASSES,
        negative=0,
        positive=1,
        recognise=recognise,
        read_trials=lambda _path: ((), ()),
        read_signals=partial(_read_signals, parts=parts, units=description.get("units", {})),
        layout="a TOML file with [train] and [test]",
        explain=partial(_explain, parts=parts),
        description=description,
    )


def _own(trial: Trial, parts: Mapping[str, DataSet]) -> tuple[DataSet, Trial]:
    """The trial under its own names, and its data set."""
    label, _, trial_id = trial.trial_id.partition(MARK)
    return parts[label], replace(trial, trial_id=trial_id, subject=trial.subject.partition(MARK)[2])


def _read_signals(
    trial: Trial, *, parts: Mapping[str, DataSet], units: Mapping[str, str]
) -> Mapping[str, tuple[np.ndarray, float]]:
    dataset, own = _own(trial, parts)
    read = dict(dataset.read_signals(own))
    for channel, unit in units.items():
        scale = factor(dataset.units.get(channel) or unit, unit)
        if channel in read and scale not in (None, 1.0):
            read[channel] = (read[channel][0] * scale, read[channel][1])
    return read


def _explain(trial: Trial, channel: str, *, parts: Mapping[str, DataSet]) -> str:
    dataset, own = _own(trial, parts)
    return dataset.explain(own, channel)
