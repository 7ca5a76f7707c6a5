"""Finds signal files that hold another signal than their neighbours by one part of the name, as A0 and A1 in P01_low_A0.csv.

Names that say the channel are told by `channel_files`. Here names say nothing, and values do: in nearly every group of files
whose names differ in one part alone, those with one word there look like EDA, say, and those with another like an ECG, and their
spectra lie apart. A repeated trial, which has the same channel, does neither.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dataprep.manifest.guess_channels import by_values

PARTS = re.compile(r"[^\W\d_]+|\d+")
FEWEST_GROUPS = 3
FEWEST_FILES = 2  # of a person who is held against the others
SHARE = 0.8  # of the groups, in which the two files look unlike, and of the spectra on their side
APART = 2.0  # ratio of the medians of the spectra's middles
APART_BY_LABEL = 5.0  # conditions change a signal, too, but not that much
LONGEST_S = 60.0


@dataclass(frozen=True)
class Look:
    """What a signal looks like: its channel by its values (empty: they say nothing), and the middle of its spectrum in Hz."""

    kind: str
    middle_hz: float


@dataclass(frozen=True)
class Pair:
    """Two files whose names differ in one part, and what they look like."""

    first: str
    second: str
    kinds: tuple[str, str]


def look(x: np.ndarray, rate_hz: float) -> Look:
    """What (n,) values at a rate look like; a wrong rate shifts all files alike."""
    x = np.asarray(x, dtype=np.float64)
    x = x[np.isfinite(x)][: int(LONGEST_S * rate_hz) or None]
    if len(x) < 8 or np.ptp(x) == 0:
        return Look("", 0.0)
    kind, _ = by_values(x, rate_hz)
    line = np.polynomial.Polynomial.fit(np.arange(len(x)), x, 1)
    power = np.abs(np.fft.rfft((x - line(np.arange(len(x)))) * np.hanning(len(x)))) ** 2
    return Look(kind, float((np.fft.rfftfreq(len(x), 1 / rate_hz) * power).sum() / max(power.sum(), 1e-300)))


def paired(looks: Mapping[str, Look], *, subjects: Mapping[str, str], labels: Mapping[str, str]) -> Pair | None:
    """Two files that hold different signals by a part of their names; None if there are none.

    Both are of one person. They are of one label, or their spectra lie so far apart that no condition explains it.
    """
    for groups in _groups(looks):
        for a, b in combinations(sorted({word for group in groups for word in group}), 2):
            pairs = [(group[a], group[b]) for group in groups if a in group and b in group]
            pairs = [(x, y) for x, y in pairs if subjects[x] == subjects[y]]
            for same in (True, False):
                chosen = [(x, y) for x, y in pairs if (labels[x] == labels[y]) is same]
                kinds = _differ([(looks[x], looks[y]) for x, y in chosen], APART if same else APART_BY_LABEL)
                if kinds and (same or all(kinds)):
                    return Pair(*chosen[0], kinds)
    return None


def unlike_people(looks: Mapping[str, Look], subjects: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """People whose files look unlike those of all others: person -> what theirs look like, and the others'.

    So does a person whose columns are in another order, or whose electrode recorded noise.
    """
    of: dict[str, list[Look]] = defaultdict(list)
    for path, seen in looks.items():
        of[subjects[path]].append(seen)
    found = {}
    for subject, own in of.items():
        others = [seen for other, of_other in of.items() if other != subject for seen in of_other]
        if len(own) < FEWEST_FILES or len(of) < FEWEST_GROUPS:
            continue
        (kind, _), (usual, n) = _most(own), _most(others)
        middle_hz = float(np.median([seen.middle_hz for seen in own]))
        low_hz, high_hz = np.quantile([seen.middle_hz for seen in others], [1 - SHARE, SHARE])
        far = middle_hz > APART_BY_LABEL * high_hz or middle_hz < low_hz / APART_BY_LABEL
        if far and n >= SHARE * len(others) and sum(seen.kind != usual for seen in own) >= SHARE * len(own):
            found[subject] = kind, usual
    return found


def _most(looks: list[Look]) -> tuple[str, int]:
    return Counter(seen.kind for seen in looks).most_common(1)[0]


def said(pair: Pair, *, one_label: bool) -> str:
    """The two files, what they look like, and what to do."""
    first, second = (kind or "no signal that is known" for kind in pair.kinds)
    what = "" if one_label else ", so that the label says which signal a trial holds"
    return (
        f"found {pair.first} (by its values {first}) and {pair.second} (by its values {second}), and nearly all pairs of such "
        f"names alike{what}; expected the same channels in every file. If they are channels of one trial, join them into one "
        "file (docs/own/first-table.md)"
    )


def _groups(paths: Mapping[str, Look]) -> Iterator[list[dict[str, str]]]:
    """For each part of the names: word there -> path, of files whose names are the same but for it."""
    parts = {path: PARTS.findall(path.rpartition(".")[0] or path) for path in paths}
    for n, at in sorted({(len(p), at) for p in parts.values() for at in range(len(p))}):
        found: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for path, words in parts.items():
            if len(words) == n:
                found[(*words[:at], "", *words[at + 1 :])][words[at]] = path
        yield [group for group in found.values() if len(group) > 1]


def _differ(pairs: list[tuple[Look, Look]], apart: float) -> tuple[str, str] | None:
    """The kinds of the first and the second of the pairs, where these differ throughout."""
    if len(pairs) < FEWEST_GROUPS:
        return None
    unlike = Counter((x.kind, y.kind) for x, y in pairs if x.kind != y.kind)
    if unlike.total() < SHARE * len(pairs):
        return None
    ((kinds, _),) = unlike.most_common(1)
    first, second = [x.middle_hz for x, _ in pairs], [y.middle_hz for _, y in pairs]
    low, high = sorted((first, second), key=lambda side: float(np.median(side)))
    separate = np.quantile(low, SHARE) < np.quantile(high, 1 - SHARE) and np.median(high) > apart * np.median(low)
    return kinds if separate else None
