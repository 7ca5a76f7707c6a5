"""Methods: how the recordings of a row become predictions. Every module of this folder that exports `METHOD` adds one.

A method is a graph of parts (painmodels/methods/graph.py). A row `WORDS` is the paper's method, `hybrid`, on these recordings; a
row `WORDS:NAME` (`eda:argmax`, `eda+ecg:rf`) is the method NAME; one that sees no recording (`majority`) is a row by its name
alone. The grid plans, trains, searches and stores the parts of every method alike.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from dataprep.records import InputError
from painmodels.methods.graph import Method

PAPER = "hybrid"


@cache
def methods() -> Mapping[str, Method]:
    """All methods by name; a module with `METHODS` adds several."""
    found: dict[str, Method] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for method in getattr(module, "METHODS", (getattr(module, "METHOD", None),)):
            if isinstance(method, Method):
                found[method.name] = method
    return found


def method(name: str) -> Method:
    """The method of that name. Raises InputError that lists the names there are."""
    if name not in methods():
        raise InputError(f"no method is called {name!r}; there are: {', '.join(sorted(methods()))}")
    return methods()[name]


def of_row(name: str) -> tuple[str, tuple[str, ...]]:
    """The method of a row by the row's name, and the words that it sees: `eda+video:rf` is ('rf', ('eda', 'video'))."""
    seen, colon, after = name.partition(":")
    if colon:
        return after, tuple(seen.split("+"))
    return (name, ()) if name in methods() and not methods()[name].on else (PAPER, tuple(seen.split("+")))


def default_rows() -> tuple[str, ...]:
    """The rows that `--baselines` adds, simplest first."""
    rows = [row for entry in methods().values() for row in entry.rows]
    first = {"majority": 0, "eda:argmax": 1}
    return tuple(sorted(rows, key=lambda row: (first.get(row, 2), row)))
