"""The cells of a result folder by name: `row/scenario/fold0`, in full `row/scenario/subject/repeat1/seed2/fold0`.

What is the run's first, or its only one, may be left out. Reads cells.json alone.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from dataprep.records import InputError
from painmodels.use.model_files import read_json


def cells(run: Path) -> list[tuple[str, str]]:
    """The shortest name of every cell, and how it ended: `done`, or another status with its reason."""
    records, first = _records(run)
    return [(_names(r, first)[0], f"{r['status']}{f' ({reason})' if (reason := r['reason']) else ''}") for r in records]


def the_cell(run: Path, cell: str) -> dict[str, Any]:
    """The record of a finished cell. Raises InputError if there is none, with the name that may have been meant."""
    records, first = _records(run)
    named = {name: r for r in records for name in reversed(_names(r, first))}
    found = named.get(cell)
    if found is None:
        shortest = [_names(r, first)[0] for r in records]
        raise InputError(
            f"{run}: found no cell {cell!r}, expected one of {len(shortest)} such as "
            f"{', '.join([*shortest[:3], *shortest[-1:]])}{_meant(cell, list(named))}"
        )
    if found["status"] != "done":
        raise InputError(f"{run}: cell {cell} is {found['status']} ({found['reason']}), expected a finished one")
    return found


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


def _meant(name: str, names: list[str]) -> str:
    """The name that may have been meant, as a question: its parts in another order or case, or spelled nearly so."""

    def plain(text: str) -> tuple[str, str]:
        row, _, rest = text.lower().strip().partition("/")
        return "+".join(sorted(row.split("+"))), rest

    known = [*dict.fromkeys([*names, *(n.rpartition("/fold")[0] for n in names)])]
    same = [n for n in known if plain(n) == plain(name)]
    rows = [n.partition("/")[0] for n in names]
    same = same or [row for row in dict.fromkeys(rows) if plain(row) == plain(name)]
    near = same or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f". Did you mean {near[0]!r}?" if near else ""
