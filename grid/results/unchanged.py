"""Whether the tables of a result folder are those that would be written now, so that a repeat of a finished run reads no arrays.

`tables.json`, written after all tables, has the SHA-256 of each and a digest of what they follow from: the cells with the keys of
their predictions and their states, what was left out, the targets, and the version of this program.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from dataprep.records import Defect
from dataprep.storage import write_whole
from grid.experiment.cells import Cell
from grid.plan.specs import Plan
from grid.store.identity import digest
from grid.store.versions import code_version

FILE = "tables.json"
TABLES = (
    *(
        "predictions.parquet",
        "scores.csv",
        "table2.csv",
        "table2.tex",
        "failures.csv",
        "quarantine.csv",
        "odd.csv",
        "curves.parquet",
        "attention.parquet",
    ),
    *("learning.csv", "costs.csv", "cells.json", "searches.json", "class_predictions.parquet", "class_scores.csv"),
    *("folds.csv", "trials.csv", "uncalibrated.parquet", "cards.json"),
)


def mark_of(
    plan: Plan,
    states: Mapping[Cell, tuple[str, str]],
    *,
    targets: Mapping[str, float],
    earlier: Mapping[Cell, tuple[str, str]],
    defects: list[Defect],
    odd: list[Defect],
) -> str:
    """A digest of all that the tables follow from."""
    cells = [[*astuple(c), *states[c], plan.predicts[c].stage.key if c in plan.predicts else ""] for c in plan.cells]
    before = [[*astuple(c), *state] for c, state in earlier.items()]
    failed = [[*what, why] for what, why in plan.unprepared.items()]
    out = [sorted(astuple(d) for d in some) for some in (defects, odd)]
    return digest([cells, before, failed, out, sorted(targets.items()), sorted(plan.decided), code_version()])


def unchanged(out: Path, mark: str) -> bool:
    """True if every table is as it was written last, and would be written again."""
    try:
        known: dict[str, Any] = json.loads((out / FILE).read_text(encoding="utf-8"))
        return bool(known["mark"] == mark and known["files"] == _files(out))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def note(out: Path, mark: str) -> None:
    """Store the digest of the data that the current tables were made from."""
    write_whole(out / FILE, json.dumps({"mark": mark, "files": _files(out)}, indent=1).encode())


def _files(out: Path) -> dict[str, str]:
    there = [name for name in TABLES if (out / name).is_file()]
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in there}
