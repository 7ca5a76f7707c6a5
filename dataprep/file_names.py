"""Matches names of files and folders that differ in case, and ignores hidden files that operating systems add.

A name is matched without regard to case where just one fits; what nearly fits is named, never taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dataprep.storage import Place

SHADOWS = "__MACOSX"  # the folder that macOS puts beside what it packs; its files' names begin with "._"


def is_shadow(name: str) -> bool:
    """Whether a name belongs to a hidden file or to macOS's `__MACOSX`, so to no recording."""
    return name.startswith(".") or name == SHADOWS


def listed(folder: Place) -> frozenset[str] | None:
    """The names in a folder, shadows left out; None where there is no such folder. Raises OSError."""
    try:
        return frozenset(file.name for file in folder.iterdir() if not is_shadow(file.name))
    except (FileNotFoundError, NotADirectoryError):
        return None


def match(wanted: str, present: Iterable[str]) -> str | None:
    """The name itself, or the only one that differs in case alone."""
    names = set(present)
    if wanted in names:
        return wanted
    alike = [name for name in names if name.casefold() == wanted.casefold()]
    return alike[0] if len(alike) == 1 else None


def near(wanted: str, present: Iterable[str]) -> list[str]:
    """At most three names similar to `wanted`, the nearest first; never `wanted` itself, which may be there twice."""
    folded = {name: name.casefold() for name in sorted(present) if name != wanted}
    want = wanted.casefold()
    first = want.partition(".")[0].partition("_")[0]
    alike = [name for name, low in folded.items() if low == want or low.partition(".")[0] == want.partition(".")[0]]
    close = difflib.get_close_matches(want, list(folded.values()), n=3, cutoff=0.8)
    alike += [name for name, low in folded.items() if low in close and name not in alike]
    if "." not in want:  # a folder: of the same first word
        alike += [name for name, low in folded.items() if low.startswith(first) and name not in alike]
    return alike[:3]


def inside(folder: Place, *parts: str) -> Place | None:
    """The file or folder below `folder` that the parts lead to, each matched by `match`; None if there is none."""
    for part in parts:
        name = match(part, listed(folder) or ())
        if name is None:
            return None
        folder = folder / name
    return folder


def hint(near_names: Iterable[str]) -> str:
    """Similar names as the end of a sentence; empty if there are none."""
    names = list(near_names)
    return f"; there is {' and '.join(names)}" if names else ""
