"""Removing a subject from result folders: everything that was derived from that subject's recordings.

    python -m grid.store forget SUBJECT [--out DIR …]      default: every result folder in runs/

Derived are the artefacts made from the recordings (face tracks, features, signals), fits that trained on them, predictions
of them, and whatever has one of those among its inputs. Their folders are removed; for each fit `<store>/stale.csv` notes
that it is to be made again. The tables, the report and the local MLflow database are removed too: the same launch
command writes them again. The recordings themselves, copies and MLflow servers elsewhere are not touched: that is said.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataprep.places import remove_tree, write_whole
from dataprep.records import InputError
from grid.lock import alone
from grid.store import Store

KEPT = {"store", "data", ".lock"}
"""What stays in a result folder; all else in it is derived from the store and written again."""


@dataclass
class Forgotten:
    """What was removed: artefacts by stage, and how many of them were fits, now stale."""

    artefacts: dict[str, int] = field(default_factory=dict)
    stale: int = 0


def forget(out: Path, subject: str) -> Forgotten:
    """Remove a subject from one result folder. Raises ValueError if nothing there is known to come from that subject."""
    store = Store(out / "store")
    manifests = dict(_manifests(store))
    mine = _derived(manifests, subject)
    if not any(subject in _subjects(manifests[name]) for name in mine):
        known = {s for m in manifests.values() for s in _subjects(m)}
        raise InputError(f"{store.root}: nothing there comes from a subject {subject!r}; it knows {len(known)} subjects")
    gone = Forgotten()
    stale = store.root / "stale.csv"
    with io.StringIO(stale.read_text(encoding="utf-8") if stale.is_file() else "", newline="") as file:
        file.seek(0, os.SEEK_END)
        rows = csv.writer(file)
        for name in sorted(mine):
            stage, key = name
            if stage.startswith("fit-"):
                gone.stale += 1
                rows.writerow([stage, key, manifests[name]["facts"].get("label", ""), datetime.date.today().isoformat()])
            gone.artefacts[stage] = gone.artefacts.get(stage, 0) + 1
        write_whole(stale, file.getvalue().encode())
    for stage, key in mine:
        store.remove(stage, key)
    for leftover in (".checkpoints", ".drafts"):
        remove_tree(store.root / leftover)
    for path in out.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return gone


def _manifests(store: Store) -> Iterable[tuple[tuple[str, str], dict[str, Any]]]:
    for stage in store.stages():
        for key in store.keys(stage):
            path = store.folder(stage, key) / "manifest.json"
            yield (stage, key), json.loads(path.read_text(encoding="utf-8"))


def _subjects(manifest: dict[str, Any]) -> set[str]:
    facts = manifest["facts"]
    return {facts["subject"]} if "subject" in facts else set(facts.get("subjects", ()))


def _derived(manifests: dict[tuple[str, str], dict[str, Any]], subject: str) -> set[tuple[str, str]]:
    """The subject's artefacts and all that follow from them. One that does not say whom it comes from counts as such."""
    mine = {n for n, m in manifests.items() if not _subjects(m) or subject in _subjects(m)}
    while True:
        keys = {key for _, key in mine}
        more = {n for n, m in manifests.items() if n not in mine and keys & set(m["stage"]["inputs"])}
        if not more:
            return mine
        mine |= more


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives 0, or 2 after saying what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m grid.store", description="The artefact store.")
    commands = parser.add_subparsers(dest="command", required=True)
    forgetting = commands.add_parser("forget", help="remove everything derived from a subject's recordings")
    forgetting.add_argument("subject", help="the subject as the data set names it, such as 071309_w_21")
    forgetting.add_argument("--out", type=Path, action="append", metavar="DIR", help="a result folder; may be repeated")
    options = parser.parse_args(arguments)
    folders = options.out or sorted(p.parent for p in Path("runs").glob("*/store"))
    if not folders:
        print("error: there is no result folder in runs/: name one with --out DIR", file=sys.stderr)
        return 2
    code = 0
    for out in folders:
        try:
            if not (out / "store").exists():
                raise InputError(f"{out} is no result folder: it has no store")
            with alone(out):
                gone = forget(out, options.subject)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            code = 2
            continue
        counts = ", ".join(f"{n} {stage}" for stage, n in sorted(gone.artefacts.items()))
        print(
            f"{out}: removed {counts}; {gone.stale} fits are stale, the launch command makes them again without the subject"
        )
    print("Not touched: the recordings themselves (remove them, or the next run prepares them again), copies of results,")
    print("and MLflow servers elsewhere.")
    return code


if __name__ == "__main__":
    sys.exit(main())
