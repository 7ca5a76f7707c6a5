"""Recordings of one trial in a file a channel, as trial1_EDA.csv beside trial1_ECG.csv: recognised by their names, and refused.

A row of a manifest names one signal file. Were each of these files taken for a trial, two channels would be read as one, and a
trial would be there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataprep.records import InputError

WORDS: Mapping[str, str] = {
    "eda": r"eda|gsr|scl|scr|galvanic(?: ?skin)?(?: ?resp\w*)?|skin(?: ?(?:conductance|cond|resistance))"
    r"|ele[ck]tro ?dermal\w*|haut ?leit\w*",
    "ecg": r"ecg|ekg|ele[ck]tro ?[ck]ardio ?gra\w*",
    "emg": r"s?emg|ele[ck]tro ?myo ?gra\w*",
    "resp": r"resp|rsp|respiration|breath|breathing|atem|atmung",
    "bvp": r"bvp|ppg|pleth\w*|blood ?volume ?pulse",
    "spo2": r"spo2|sao2",
    "temp": r"skt|temp|temperature|skin ?temp(?:erature)?",
    "acc": r"acc[xyz]?|accel|acceleration|accelerometer",
    "hr": r"(?<!\d)hr|heart ?rate",
    "ibi": r"ibi",
    "eeg": r"eeg",
    "eog": r"eog",
}
"""Channel -> the words that files are named by."""
CHANNEL = re.compile(rf"(?<![a-z])(?:{'|'.join(f'(?P<{name}>{words})' for name, words in WORDS.items())})(?![a-z])")
MUSCLE = re.compile(r" *\b(?P<muscle>trap\w*|corr\w*|zyg\w*|mass\w*|front\w*|orbi\w*|biceps|left|right|l|r)(?![a-z])")
VERSION = re.compile(r"\b(raw|filt|filtered|clean|cleaned|processed)\b")
RATE = re.compile(r"(?<!\d)\d+(?:[.,]\d+)? ?k?(?:hz|sps)\b")
CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{3})(?=[a-z]{3})")


@dataclass(frozen=True)
class Named:
    """What a file's name says: its channels, and all else in it, by which the channels of a trial are found."""

    channels: frozenset[str]
    rest: str


def named(path: str) -> Named:
    """What the path of a signal file, from the data set's folder on, says of its channels."""
    plain = CAPITALS.sub(" ", path.rpartition(".")[0] or path).lower()
    plain = RATE.sub(" ", re.sub(r"[_\-. ()\[\]]+", " ", plain))
    channels = set()
    rest, at = "", 0
    for found in CHANNEL.finditer(plain):
        if found.start() < at:
            continue
        channel, end = str(found.lastgroup), found.end()
        muscle = MUSCLE.match(plain, end) if channel == "emg" else None
        if muscle:
            channel, end = f"{channel} ({muscle['muscle']})", muscle.end()
        channels.add(channel)
        rest, at = f"{rest}{plain[at : found.start()]} ", end
    rest = VERSION.sub(" ", rest + plain[at:]) if channels else plain
    words = (" ".join(part.split()) for part in rest.split("/"))
    return Named(frozenset(channels), "/".join(word for word in words if word))


def refuse(folder: Path, signals: Sequence[str], *, otherwise: str) -> None:
    """Raises InputError that names two of these files, if the channels of a trial seem to be in a file each.

    `otherwise`: what can be done if they are not, as a sentence.
    """
    two = two_of_a_trial(signals)
    if two:
        raise InputError(f"{folder}: {said(two)}. {otherwise}")


def two_of_a_trial(signals: Iterable[str]) -> tuple[str, str] | None:
    """Two of these files that by their names are channels of one trial, or hold other channels; None if there are none."""
    names = {path: named(path) for path in signals}
    alone: dict[str, str] = {}
    for path, name in names.items():
        other = alone.setdefault(name.rest, path)
        if names[other].channels != name.channels:
            return other, path
    first: dict[frozenset[str], str] = {}
    for path, name in names.items():
        for channels, other in first.items():
            if not (channels <= name.channels or name.channels <= channels):
                return other, path
        first.setdefault(name.channels, path)
    return None


def said(two: tuple[str, str]) -> str:
    """The two files, what they seem to be, and what to do."""
    seen = " and ".join(f"{path} ({' and '.join(sorted(named(path).channels)) or 'no channel named'})" for path in two)
    return (
        f"found {seen}, by their names channels of one trial in a file each; expected one file a trial with all its "
        "channels: columns of a table where they have one rate, else variables of an .npz, .mat or HDF5 file with a rate "
        "for each (docs/own/first-table.md joins such files)"
    )
