"""The cells of a result folder by name: `row/scenario/fold0`, in full `row/scenario/subject/repeat1/seed2/fold0`.

What is the run's first, or its only one, may be left out. Reads cells.json alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataprep.records import InputError
from painmodels.use.model_files import read_json


def cells(run: Path) -> list[tuple[str, str]]:
    """The shortest name of every cell, and how it ended: `done`, or another status with its reason."""
    records, first = _records(run)
    return [(_names(r, first)[0], f"{r['status']}{f' ({reason})' if (reason := r['reason']) else ''}") for r in records]


def the_cell(run: Path, cell: str, *, ensembles: bool = False) -> dict[str, Any]:
    """The record of a finished cell. Raises InputError if there is none, with a name that may have been meant.

    `ensembles`: whether the name of all folds of a row, as `eda/all87`, may be suggested.
    """
    records, first = _records(run)
    named = {name: r for r in records for name in reversed(_names(r, first))}
    found = named.get(cell)
    if found is None:
        raise InputError(f"{run}: {_unknown(cell, records, first, named, ensembles=ensembles)}")
    if found["status"] != "done":
        raise InputError(f"{run}: cell {cell} is {found['status']} ({found['reason']}), expected a finished one")
    return found


def _unknown(
    cell: str, records: Sequence[dict[str, Any]], first_seed: int, named: Mapping[str, dict[str, Any]], *, ensembles: bool
) -> str:
    """What is wrong with the name of no cell: it lacks the fold, or the scenario too, or is another one."""
    own = [n for n in named if n.rpartition("/fold")[0] == cell]
    if own:
        own = [n for n in own if named[n]["status"] == "done"] or own
        return f"found {cell!r}, which names no fold; expected a cell: {' or '.join(dict.fromkeys((own[0], own[-1])))}"
    done = [r for r in records if r["status"] == "done"] or records
    shortest = [_names(r, first_seed)[0] for r in done]
    of_row = [n for n in shortest if n.partition("/")[0] == cell]
    if of_row:
        such = of_row[0].rpartition("/fold")[0] if ensembles else of_row[0]
        return (
            f"found {cell!r}, a row without a scenario{'' if ensembles else ' and a fold'}; expected a name such as {such}"
        )
    some = ", ".join(dict.fromkeys([*shortest[:3], *shortest[-1:]]))
    meant = _meant(cell, list(named), ensembles=ensembles)
    hint = f". Did you mean {meant!r}?" if meant else ""
    return f"found no cell {cell!r}, expected one of {len(shortest)} such as {some}{hint}"


def folds_of(run: Path, name: str) -> list[str]:
    """The cells of all folds where `name` has no fold, such as `eda/all87`; empty for the name of a cell, or of nothing.

    Raises InputError if some of the folds are not done: their mean would be another one.
    """
    records, first = _records(run)
    mine = [r for r in records if name in {n.rpartition("/fold")[0] for n in _names(r, first)}]
    missing = [f"fold{r['fold']}" for r in mine if r["status"] != "done"]
    if missing:
        raise InputError(
            f"{run}: {name}: found {', '.join(missing)} without a result, expected all {len(mine)} folds to be done"
        )
    return [full_name(r) for r in mine]


def full_name(record: dict[str, Any]) -> str:
    """Row, scenario, protocol and fold, and before the fold the partition and the fit seed where they are not 0."""
    parts = [str(record[name]) for name in ("modality", "scenario", "protocol")]
    parts += [f"{name}{record[name]}" for name in ("repeat", "seed") if record.get(name)]
    return "/".join([*parts, f"fold{record['fold']}"])


def _records(run: Path) -> tuple[list[dict[str, Any]], int]:
    """All cells, and the first fit seed."""
    records = read_json(run / "cells.json")
    return records, min((r.get("seed", 0) for r in records), default=0)


def _names(record: dict[str, Any], first_seed: int) -> list[str]:
    """What a cell may be called, the shortest name first: what is the run's first, or its only one, may be left out."""
    repeat, seed = record.get("repeat", 0), record.get("seed", 0)
    repeats = ["", "repeat0/"] if repeat == 0 else [f"repeat{repeat}/"]
    seeds = ["", f"seed{seed}/"] if seed == first_seed else [f"seed{seed}/"]
    row = f"{record['modality']}/{record['scenario']}"
    places = [f"{r}{s}fold{record['fold']}" for r in repeats for s in seeds]
    return [f"{row}{protocol}/{place}" for protocol in ("", f"/{record['protocol']}") for place in places]


def _meant(name: str, names: Sequence[str], *, ensembles: bool) -> str:
    """The name of a cell (or of all folds of one) that may have been meant, or nothing.

    It has the parts of `name` in another order or case, or is spelled nearly so; never `name` itself.
    """

    def plain(text: str) -> tuple[str, str]:
        row, _, rest = text.lower().strip().partition("/")
        return "+".join(sorted(row.split("+"))), rest

    wholes = list(dict.fromkeys(n.rpartition("/fold")[0] for n in names))
    rows = list(dict.fromkeys(n.partition("/")[0] for n in names))
    near = [n for n in (*names, *wholes, *rows) if plain(n) == plain(name)]
    for found in near or difflib.get_close_matches(name, [*names, *wholes], n=1, cutoff=0.6):
        if found in names or (ensembles and found in wholes):
            meant = found
        else:
            cell = min((n for n in names if n.startswith(f"{found}/")), key=len)
            meant = cell.rpartition("/fold")[0] if ensembles else cell
        if meant != name:
            return meant
    return ""
