"""Kinds of recording: what a trial's files become before anything is trained. Every module that exports `RECORDING` adds one.

A part of a method names the kinds that it takes (painmodels/methods/graph.py). Planner, preparation, disk estimate and training
look a kind up here, and one is made only if a wanted row takes it. What is fitted is none: a kind sees one trial.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache

from dataprep.recordings.kind import SIGNALS, VIDEO, Recording
from dataprep.records import InputError

FIRST = ("features", "mask", "faces", "signals")
"""The kinds of the paper's method and of the baselines come first."""


@cache
def recordings() -> Mapping[str, Recording]:
    """All kinds by name."""
    found: dict[str, Recording] = {}
    for info in pkgutil.iter_modules(__path__):
        kind = getattr(importlib.import_module(f"{__name__}.{info.name}"), "RECORDING", None)
        if isinstance(kind, Recording):
            found[kind.name] = kind
    order = {name: n for n, name in enumerate(FIRST)}
    return {name: found[name] for name in sorted(found, key=lambda name: (order.get(name, len(order)), name))}


def recording(name: str) -> Recording:
    """The kind of that name. Raises InputError that lists the names there are."""
    if name not in recordings():
        raise InputError(f"no kind of recording is called {name!r}; there are: {', '.join(recordings())}")
    return recordings()[name]


def sources(names: Iterable[str]) -> tuple[str, ...]:
    """'video', 'signals' or both: what of a trial these kinds are made of."""
    found = {recording(name).of for name in names}
    return tuple(source for source in (VIDEO, SIGNALS) if source in found)


def stored(names: Iterable[str], of: str) -> tuple[Recording, ...]:
    """Those of these kinds that are made of `of` and have an artefact of their own."""
    wanted = set(names)
    mine = [kind for kind in recordings().values() if kind.name in wanted and kind.of == of]
    return tuple(kind for kind in mine if kind.of_video or kind.of_channel)


def in_words(columns: Iterable[str]) -> tuple[str, ...]:
    """What columns of `key_columns` are, for people: `video`, and signals by their words."""
    kinds = recordings()
    return tuple(dict.fromkeys(VIDEO if c in kinds and kinds[c].of == VIDEO else c for c in columns if not _of_channel(c)))


def _of_channel(column: str) -> bool:
    return column in recordings() and recordings()[column].of_channel is not None


def key_columns(names: Iterable[str], signals: Iterable[str]) -> tuple[str, ...]:
    """What of a trial has to be usable for these kinds and these signals, and decides what is made of it: names of columns.

    A kind made of the video is a column by its name, `features` by the name `video`; the track is in each of their keys.
    A signal is a column by its word, and what is made of a channel a further one.
    """
    wanted = [kind.name for kind in recordings().values() if kind.name in set(names)]
    of_video = [name for name in wanted if recordings()[name].of == VIDEO]
    of_video = [name for name in of_video if name != "mask"] or of_video
    of_channel = [name for name in wanted if recordings()[name].of_channel]
    return (*("video" if name == "features" else name for name in of_video), *signals, *of_channel)
