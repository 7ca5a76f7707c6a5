"""The data sets there are: every module of this folder that exports `DATASET` adds one. Nothing else knows a file layout.

A folder with manifest.csv and dataset.toml describes itself (`manifest`): it has the name that dataset.toml gives it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from dataprep.datasets import manifest, pooled
from dataprep.records import DataSet, InputError
from dataprep.storage import Place


@cache
def datasets() -> Mapping[str, DataSet]:
    """All data sets by name, found by importing the modules of this folder."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = [m.DATASET for m in modules if isinstance(getattr(m, "DATASET", None), DataSet)]
    return {d.name: d for d in sorted(found, key=lambda d: d.name)}


def dataset(name: str, description: Mapping[str, Any] | None = None, *, whole: bool = False) -> DataSet:
    """The data set called `name`, or the one that a `description` speaks of, to read its signals (`whole`: not cut to a trial).

    Raises ValueError that names the nearest one and all there are.
    """
    if description and "pooled" in description:
        return pooled.described(name, description, dataset)
    if description:
        return manifest.described(name, description, whole=whole)
    table = datasets()
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"no data set is called {name!r}.{hint} There are: {', '.join([*table, 'manifest'])}")
    return table[name]


def opened(path: Place, name: str | None = None) -> DataSet:
    """The data set of a folder, read as that called `name`, or as it is recognised; or several (`pooled`). InputError."""
    if pooled.recognise(path):
        return pooled.dataset_of(path, opened)
    if name is None:
        return recognise(path)
    return _own(path) if name == "manifest" else dataset(name)


def _own(path: Place) -> DataSet:
    """The data set that a folder describes itself. Raises InputError if it has the name of a reader."""
    described = manifest.dataset_of(path)
    if described.name in (*datasets(), "manifest"):
        raise InputError(f"{path / manifest.SETTINGS}: found the name {described.name!r} of a reader, expected another")
    return described


def recognise(path: Place) -> DataSet:
    """The data set whose layout the folder has. Raises InputError that says what is there and what is expected."""
    if not path.is_dir():
        raise InputError(f"{path}: found {'a file' if path.exists() else 'nothing'}, expected the folder of a data set")
    match = _own(path) if manifest.recognise(path) else _reader(path)
    if match:
        return match
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in path.iterdir())
    seen = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "an empty folder"
    inner = [p for p in (path / name for name in names if name.endswith("/")) if manifest.recognise(p) or _reader(p)]
    hint = f" The folder {inner[0]} would do." if inner else ""
    layouts = "".join(f"\n  {d.name}: {d.layout}" for d in datasets().values()) + f"\n  manifest: {manifest.LAYOUT}"
    raise InputError(f"{path}: found {seen}; expected one of these layouts:{layouts}\n{hint}".rstrip())


def _reader(path: Place) -> DataSet | None:
    return next((d for d in datasets().values() if d.recognise(path)), None)
