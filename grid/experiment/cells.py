"""Rows, scenarios and cells: the squares of the grid (paper, Table 2).

A row names what a model sees: `frame`, `video`, signals joined by `+`, or both, as in `eda+ecg+video`. The eight rows of the
paper are `PAPER_ROWS`; any other combination of channels of the data set is a row too (`eda+ecg+emg+video`, `eda+resp`). A
method other than the paper's is named after a colon, `eda:argmax`; one that needs no recording is a row by its name alone:
`majority` (painmodels/methods/).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dataprep.records import InputError
from dataprep.signals.derived import DERIVED, rate_of

PAPER_ROWS = ("frame", "video", "ecg", "eda", "eda+video", "ecg+video", "eda+ecg", "eda+ecg+video")
SIGNALS = {"eda": "eda", "ecg": "ecg", "emg": "emg_trapezius"}
"""Word in a row's name -> channel, of the paper's signals, in the order in which channels enter the network; then come all others

by their names, which are words as they are."""
RECORDINGS = ("video", "frame")
"""The words that are no signals."""
WORD = re.compile(r"[a-z][a-z0-9_]*(@[1-9]\d{0,4})?")
ALSO_CALLED = {"face": "video", "gsr": "eda", "scl": "eda", "heart": "ecg", "ekg": "ecg"}
"""What people type, and the word of a row for it."""
CELL = ["modality", "scenario", "protocol", "fold", "repeat", "seed"]
"""What tells cells apart: the fields of `Cell`, and the first columns of every table of cells."""


@dataclass(frozen=True)
class Row:
    """A modality row. `clip`: uses the video as a sequence; `frame`: scores single frames; `signals`: words of SIGNALS.

    `method`: the name of its method (painmodels/methods/); `control`: the column of the data set's table that it sees instead.
    """

    name: str
    signals: tuple[str, ...]
    clip: bool
    frame: bool
    method: str = "hybrid"
    control: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What its method sees, signals first."""
        return (*self.signals, *(["video"] if self.clip else []), *(["frame"] if self.frame else []))

    @property
    def parts(self) -> tuple[str, ...]:
        """The recordings that a trial must have for this row: 'video', 'signals' or both."""
        return (("video",) if self.clip or self.frame else ()) + (("signals",) if self.signals else ())

    @property
    def needs(self) -> tuple[str, ...]:
        """What of a trial must be usable for this row, in its words: 'video', and its own signals."""
        return (("video",) if self.clip or self.frame else ()) + self.signals + self.columns

    @property
    def columns(self) -> tuple[str, ...]:
        """The part of a trial that a control sees instead of a recording."""
        return (f"column:{self.control}",) if self.control else ()


@dataclass(frozen=True)
class Scenario:
    """A subset of subjects and the part of each trial that is used, in seconds: from `skip_s` to `end_s`, or to the trial's end.

    `adapt`: how its rows are adapted to the tested people, without labels; empty: not at all.
    """

    name: str
    subset: str
    skip_s: float
    end_s: float | None = None
    adapt: str = ""


@dataclass(frozen=True)
class Cell:
    """One square of the grid, trained and tested once: on fold `fold` of partition `repeat`, from the fit seed `seed`."""

    modality: str
    scenario: str
    protocol: str
    fold: int
    repeat: int = 0
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.modality}/{self.scenario}/{self.protocol}/{place(self.fold, self.repeat, self.seed)}"


ONSET = "@"
"""Between a scenario's name and the second at which the windows of a sensitivity analysis begin: `all87@3s`."""


def base_of(scenario: str) -> str:
    """The scenario of whose trials another window is used; itself where it is none of a sensitivity analysis."""
    return scenario.partition(ONSET)[0]


def is_further(scenario: str) -> bool:
    """Whether a scenario is one with another window, of a sensitivity analysis."""
    return ONSET in scenario


def place(fold: int, repeat: int = 0, seed: int = 0) -> str:
    """The last part of a cell's name: `fold3`, or `repeat1/seed2/fold3` where these are not 0."""
    return (f"repeat{repeat}/" if repeat else "") + (f"seed{seed}/" if seed else "") + f"fold{fold}"


def is_signal(word: str) -> bool:
    """Whether a word of a row is a signal."""
    return word not in RECORDINGS


def channel_of(word: str, channels: Iterable[str]) -> str:
    """The channel of these that a row's word means: the one of its name, else that of SIGNALS (at its rate)."""
    if word in channels:
        return word
    of, at, rate = word.partition("@")
    return (of if of in channels else SIGNALS.get(of, of)) + at + rate


def recorded(word: str) -> str:
    """The word of what a word is made of (dataprep.signals.derived): `ecg` of `hr` and of `ecg@128`; else itself."""
    of = word.partition("@")[0]
    return DERIVED[of].sources[0] if of in DERIVED else of


def with_unseen(rows: Iterable[str], channels: Iterable[str]) -> tuple[str, ...]:
    """These rows, and for each channel that none of them sees a row that sees it alone."""
    rows = tuple(rows)
    seen = {channel_of(word, channels) for name in rows for word in row(name).signals}
    alone = tuple(row(channel).name for channel in channels if channel not in seen)
    baselines = [name for name in rows if row(name).method != Row.method]
    return (*(name for name in rows if name not in baselines), *alone, *baselines)


def refuse_unknown(rows: Iterable[str], channels: Iterable[str]) -> None:
    """Raises InputError with a suggestion for a row with a word that is neither one of the paper's nor a channel of the data."""
    known = list(dict.fromkeys([*SIGNALS, *(c for c in channels if c not in SIGNALS.values())]))
    known += [word for word, made in DERIVED.items() if word not in known and {*made.sources} & {*known}]
    for name in rows:
        if not {word.partition("@")[0] for word in row(name).signals} <= {*known}:
            raise _unknown(name, known)


def _unknown(name: str, signals: Iterable[str]) -> InputError:
    known = [*signals, "video"]
    words = [word.strip().lower() for word in name.split("+")]
    meant = "+".join(ALSO_CALLED.get(word, word) for word in words)
    hint = f": did you mean {meant!r}?" if meant != name and set(meant.split("+")) <= {*known, "frame"} else ""
    hint = hint or suggestion(name, (*PAPER_ROWS, *known, *_without_recordings()))
    return InputError(
        f"unknown modality {name!r}{hint or '.'} A row is frame, or some of {', '.join(known)} joined by +, "
        "or one of another method such as eda:argmax"
    )


def row(name: str) -> Row:
    """The row of that name, its words in canonical order. Raises ValueError for what cannot be a row of any data set.

    Whether a data set has its channels is seen by `refuse_unknown`.
    """
    if name == "frame":
        return Row("frame", (), clip=False, frame=True)
    recordings, colon, after = name.partition(":")
    if colon or name in _without_recordings():
        return _method_row(recordings if colon else "", after if colon else name)
    words = name.split("+")
    for word in words:
        if not WORD.fullmatch(word) or (word == "frame" and len(words) > 1):
            raise _unknown(name, SIGNALS)
    if len(set(words)) != len(words):
        raise InputError(f"modality {name!r} names the same thing twice")
    of_channel = {channel: word for word, channel in SIGNALS.items()}
    named = {of_channel.get(w, w) for w in words} - {"video"}
    signals = (*(s for s in SIGNALS if s in named), *sorted(named - SIGNALS.keys()))
    clip = "video" in words
    if len({rate_of(word) for word in signals}) > 1:
        asked = next(word.partition("@")[2] for word in signals if rate_of(word))
        meant = "+".join(word if rate_of(word) else f"{word}@{asked}" for word in words if word != "video")
        raise InputError(f"modality {name!r}: the signals of a row have one rate; did you mean {meant!r}?")
    return Row("+".join([*signals, *(["video"] if clip else [])]), signals, clip=clip, frame=False)


def _without_recordings() -> list[str]:
    """Methods that are rows by their name alone."""
    from painmodels.methods import methods  # here: most readers of this module need no networks

    return [entry.name for entry in methods().values() if not entry.on]


def _method_row(recordings: str, name: str) -> Row:
    from painmodels.methods import PAPER, methods

    if name not in methods():
        hint = suggestion(name, methods())
        raise InputError(f"unknown method {name!r}{hint}; there are: {', '.join(sorted(methods()))}")
    entry = methods()[name]
    if name == PAPER:
        raise InputError(f"{recordings}:{name}: write {recordings!r} alone, which is the method {name}")
    if not entry.on:
        if recordings:
            raise InputError(f"the method {name} sees no recording: write {name!r}, not '{recordings}:{name}'")
        return Row(name, (), clip=False, frame=False, method=name, control=entry.control)
    seen = row(recordings)
    every = entry.any_signal
    wrong = [word for word in recordings.split("+") if recorded(word) not in entry.on and not (every and is_signal(word))]
    if wrong or (len(recordings.split("+")) > 1 and not entry.several):
        more = " and every other signal" if every else ""
        joined = " joined by +" if entry.several else ""
        raise InputError(f"the method {name} cannot see {recordings!r}; it sees {', '.join(entry.on)}{more}{joined}")
    words = recordings.split("+")
    if entry.joins and (entry.joins not in words or len(words) < 2):
        raise InputError(
            f"the method {name} cannot see {recordings!r}; it sees {entry.joins} joined to others: {entry.compared[0]}"
        )
    return Row(f"{seen.name}:{name}", seen.signals, clip=seen.clip, frame=seen.frame, method=name)


def choose(asked: str, there: Iterable[str], what: str) -> tuple[str, ...]:
    """The comma-separated names of `asked`, each checked against `there`. Raises ValueError with a suggestion."""
    names = list(there)
    chosen = [n.strip() for n in asked.split(",") if n.strip()]
    if not chosen:
        raise InputError(f"no {what} named in {asked!r}; there are: {', '.join(names)}")
    for name in chosen:
        if name not in names:
            raise InputError(f"unknown {what} {name!r}{suggestion(name, names)}; there are: {', '.join(names)}")
    return tuple(dict.fromkeys(chosen))


def fold_numbers(asked: str, n_folds: int) -> tuple[int, ...]:
    """Fold numbers from text such as `0-4,7`. Raises ValueError for anything but folds 0 to n_folds - 1."""
    chosen = numbers(asked, "--folds")
    if max(chosen) >= n_folds:
        raise InputError(f"--folds {asked!r}: there are {n_folds} folds, numbered 0 to {n_folds - 1}")
    return chosen


def numbers(asked: str, option: str) -> tuple[int, ...]:
    """The whole numbers of text such as `0-4,7`, ascending, each once. Raises ValueError that names the `option`."""
    found: set[int] = set()
    for part in asked.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"{option} {asked!r}: {part.strip()!r} is neither a number nor a range such as 0-4")
        if int(last if dash else first) < int(first):
            raise InputError(f"{option} {asked!r}: the range {part.strip()!r} is empty; expected one such as 0-4")
        found.update(range(int(first), int(last if dash else first) + 1))
    return tuple(sorted(found))


def suggestion(name: str, known: Iterable[str]) -> str:
    """ ": did you mean 'x'?" for a name that is nearly one of those known, else nothing."""
    close = difflib.get_close_matches(name, [other for other in known if other != name], n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else ""
