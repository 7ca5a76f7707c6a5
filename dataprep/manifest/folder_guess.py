"""Guesses what the files of a folder are: which belong to one trial, to whom, and under which condition. Writes manifest.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from dataprep.manifest.formats import NOT_TEXT
from dataprep.manifest.guess_recordings import TEXTS, Recordings, recordings
from dataprep.outputs import drafted
from dataprep.records import InputError

PERSON = re.compile(
    r"^(s|p|sub|subj|subject|vp|id|participant|proband|person|pat|patient)[-_ ]?\d+$|^\d{2,6}_[mwf]_\d{1,3}$", re.I
)
CALM = re.compile(
    r"^(bl\d*|base.*|rest.*|no|none|(no|without)[ _-]?(pain|stimul\w*|stress)|kein\w*([ _-].*)?|ohne.*|nicht.*|neutral|control|"
    r"calm|relax.*|ruhe|0)$",
    re.I,
)
STRONG = re.compile(
    r"(pain|pa\d|stress|heat|cold|hot|high|low|mild|medium|moderate|severe|strong|level|stim|task|electric|schmerz)", re.I
)
LEVELS = (
    "no",
    "none",
    "low",
    "mild",
    "light",
    "leicht",
    "schwach",
    "medium",
    "moderate",
    "mittel",
    "high",
    "stark",
    "strong",
    "severe",
)


def draft_manifest(folder: Path, path: Path) -> list[str]:
    """Write manifest.csv; gives a sentence for each guess. Raises InputError if there are no recordings."""
    found = recordings(folder)
    files = found.files
    if not files:
        raise InputError(
            f"{folder}: found no recordings, expected files such as *{', *'.join((*TEXTS[:2], '.mp4', *NOT_TEXT))}"
        )
    words = {stem: _words(stem) for stem in files}
    at_person = _place(words, _people)
    at_label = _place(words, lambda column: 0.0 if column == _column(words, at_person) else _labels(column))
    parts = [part for part in ("video", "signals") if any(part in of for of in files.values())]
    times = ["start_s", "end_s"] if found.events and at_label is None else []
    columns = ["trial", "subject", "label", *parts, *times]
    rows = []
    for stem, of in files.items():
        subject = words[stem][at_person] if at_person is not None else stem
        label = words[stem][at_label] if at_label is not None else ""
        rows.append([stem.replace("/", "-"), subject, label, *[of.get(part, "") for part in parts], *("" for _ in times)])
    said = []
    if at_person is None:
        said.append("subject: no part of the names looks like a person's; each recording is taken for a person of its own")
    else:
        said.append(f"subject: part {at_person + 1} of the names, such as {rows[0][1]!r}")
    if at_label is not None:
        said.append(f"label: part {at_label + 1} of the names, such as {rows[0][2]!r}")
    elif times:
        said.append("label, start_s, end_s: a recording seems to hold many trials. FILL IN a row for each of its events")
    else:
        said.append("label: no part of the names looks like a condition. FILL IN the column label")
    if len(parts) == 2:
        said += [
            f"{part}: {n} of {len(files)} trials name none: no file's name is that of their other one"
            for part in parts
            if (n := sum(part not in of for of in files.values()))
        ]
    said += left_out(found)
    with drafted(path) as draft, open(draft, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return said


def left_out(found: Recordings) -> list[str]:
    """A sentence about the tables of events, and one about the other files that are no recordings."""
    said = []
    if found.events:
        said.append(
            f"left out   {_some(found.events)}: a table of events, no recording. An event is a row of manifest.csv: trial, "
            "subject, label, the recording in the column signals (or video), and start_s and end_s, or onset_s, in its seconds"
        )
    if found.others:
        said.append(f"left out   {_some(found.others)}: no recording by the name's ending, or by its first word")
    return said


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def label_order(labels: Sequence[str]) -> list[str]:
    """Labels from no pain to the most, as far as their words and numbers say."""

    def rank(label: str) -> tuple[int, int, list[tuple[int, float, str]]]:
        level = next((n for n, word in enumerate(LEVELS) if word in label.lower()), 0)
        natural = [(0, float(p), "") if p.isdigit() else (1, 0.0, p.lower()) for p in re.split(r"(\d+)", label) if p]
        return (0 if CALM.match(label) else 1, level, natural)

    return sorted(set(labels), key=rank)


def order_is_told(labels: Sequence[str]) -> bool:
    """Whether the words or numbers of the labels say which comes first: one is without pain, or all are levels or numbered."""
    if any(CALM.match(label) for label in labels):
        return True
    levels = [next((n for n, word in enumerate(LEVELS) if word in label.lower()), 0) for label in labels]
    if all(levels) and len(set(levels)) == len(labels):
        return True
    stems, numbers = (
        {re.sub(r"\d+", "#", label.lower()) for label in labels},
        {re.sub(r"\D+", " ", label) for label in labels},
    )
    return len(stems) == 1 and len(numbers) == len(labels)


def _words(stem: str) -> list[str]:
    """The parts of a name: folders, and what stands between the signs of a file's name."""
    *folders, name = stem.split("/")
    return [*folders, *(w for w in re.split(r"[_\-. ]+", name) if w)]


def _column(words: dict[str, list[str]], place: int | None) -> list[str]:
    return [] if place is None else [w[place] for w in words.values()]


def _place(words: dict[str, list[str]], score: object) -> int | None:
    """The part of the names with the highest score above 0."""
    shortest = min(map(len, words.values()))
    scores = {n: score(_column(words, n)) for n in range(shortest)}  # type: ignore[operator]
    best = max(scores, key=lambda n: scores[n], default=None)
    return best if best is not None and scores[best] > 0 else None


def _people(column: list[str]) -> float:
    """How much a part looks like the names of people: many values, several recordings each, and named like people."""
    values = set(column)
    named = sum(bool(PERSON.match(v)) for v in values) / len(values)
    if len(values) < 2 or (
        named < 0.5 and (len(values) == len(column) or all(STRONG.search(v) or CALM.match(v) for v in values))
    ):
        return 0.0
    return named + 0.1 * any(c.isdigit() for v in values for c in v) + 0.01


def _labels(column: list[str]) -> float:
    """How much a part looks like conditions: few values with letters, named like conditions."""
    values = set(column)
    if not 2 <= len(values) <= 12 or len(values) == len(column) or all(PERSON.match(v) for v in values):
        return 0.0
    named = sum(bool(STRONG.search(v) or CALM.match(v)) for v in values) / len(values)
    lettered = sum(any(c.isalpha() for c in v) for v in values) / len(values)
    return named + 0.2 * lettered if named or lettered == 1.0 else 0.0
