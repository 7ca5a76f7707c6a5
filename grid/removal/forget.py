"""Removing a subject from result folders: everything that was derived from that subject's recordings.

    python -m grid.store forget SUBJECT [--out DIR …]      default: every result folder in runs/

Derived are the artefacts made from the recordings (face tracks, features, signals), fits that trained on them, predictions
of them, and whatever has one of those among its inputs. Their folders are removed; for each fit `<store>/stale.csv` notes
that it is to be made again. Tables, report, logs, hashes of recordings and the local MLflow database are removed too, in every
result folder that works with the same store: the same launch command writes them again. Killed at any moment, the same command
goes on; it ends when a search for the name finds nothing. The recordings themselves, copies, and what MLflow servers hold are
not touched: that is said.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import json
import shutil
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataprep.check import command
from dataprep.faults import MACHINE, exit_code, guarded
from dataprep.program import program
from dataprep.records import InputError
from dataprep.storage import Place, Remote, remove_tree, write_whole
from grid.removal.residue import residue
from grid.store import forgotten
from grid.store.artefacts import DRAFTS, MARKS, TUNE, Store
from grid.store.exclusive_lock import exclusive_lock
from grid.store.leases import folders, leased
from grid.tracking.mirrors import FILE as MIRRORS
from grid.tracking.mirrors import held

KEPT = {"store", "data", ".lock", MIRRORS}
"""What stays in a result folder; all else in it is derived from the store and written again."""
Name = tuple[str, str]


@dataclass
class Forgotten:
    """What was removed: artefacts by stage, how many of them were fits, now stale, and the result folders that were cleared.

    `left`: files in which the subject is still found. `elsewhere`: result folders of other machines, or that are gone.
    """

    artefacts: dict[str, int] = field(default_factory=dict)
    stale: int = 0
    cleared: list[Path] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def forget(outs: Sequence[Path], subject: str) -> Forgotten:
    """Remove a subject from a store and the result folders that work with it; those of `outs` have the same.

    Raises InputError if nothing there is known to come from that subject, and no earlier removal either.
    """
    store = Store(outs[0] / "store")
    gone = Forgotten()
    every = {out.resolve() for out in outs}
    for host, out in folders(store):
        if host == socket.gethostname() and (out / "store").exists() and Store(out / "store").root == store.root:
            every.add(out)
        elif out not in every:
            gone.elsewhere.append(f"{host}:{out}")
    with ExitStack() as held_alone:
        for out in sorted(every):
            held_alone.enter_context(exclusive_lock(out))
        mine = held_alone.enter_context(leased(store, alone=True))
        _remove(mine, sorted(every), subject, gone)
    return gone


def _remove(store: Store, outs: list[Path], subject: str, gone: Forgotten) -> None:
    manifests, broken = _manifests(store)
    known = {s for m in manifests.values() for s in _subjects(m)}
    named = any(subject in _subjects(m) for m in manifests.values())
    state = forgotten.state_of(store, subject)
    others = known - {subject}
    found = {out: residue(out, subject, others=others, skip=KEPT) for out in outs}
    if not named and not state and not any(found.values()):
        raise InputError(f"{store.root}: nothing there comes from a subject {subject!r}; it knows {len(known)} subjects")
    whole = named or state == forgotten.BEGUN
    if whole:
        forgotten.note(store, subject, forgotten.BEGUN)
        order = _in_order(manifests, _derived(manifests, subject))
        _note_stale(store, [n for n in order if n[0].startswith("fit-")], manifests, gone)
        for stage, key in order:
            store.remove(stage, key)
            gone.artefacts[stage] = gone.artefacts.get(stage, 0) + 1
        for stage, key in broken:
            store.remove(stage, key)
        for leftover in (".checkpoints", DRAFTS, MARKS):
            remove_tree(store.root / leftover)
        for scratch in store.root.glob(f"{TUNE}*"):
            remove_tree(scratch)
    for out in outs:
        if whole or found[out]:
            _clear(out)
            gone.cleared.append(out)
    gone.left = [
        *residue(store.root, subject, others=others),
        *(f for out in outs for f in residue(out, subject, skip=KEPT)),
    ]
    if not gone.left:
        forgotten.note(store, subject, forgotten.DONE)


def _clear(out: Path) -> None:
    for path in out.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _note_stale(store: Store, fits: list[Name], manifests: dict[Name, dict[str, Any]], gone: Forgotten) -> None:
    """Add fits to stale.csv, each once."""
    stale = store.root / "stale.csv"
    text = stale.read_text(encoding="utf-8") if stale.is_file() else ""
    there = {tuple(row[:2]) for row in csv.reader(io.StringIO(text))}
    lines = io.StringIO(newline="")
    rows = csv.writer(lines)
    for stage, key in fits:
        gone.stale += 1
        if (stage, key) not in there:
            label = manifests[stage, key]["facts"].get("label", "")
            rows.writerow([stage, key, label, datetime.date.today().isoformat()])
    write_whole(stale, (text + lines.getvalue()).encode())


def _manifests(store: Store) -> tuple[dict[Name, dict[str, Any]], list[Name]]:
    """Every manifest, and the folders that have none, or none that can be read: left behind by a kill, or a power cut."""
    found: dict[Name, dict[str, Any]] = {}
    broken = []
    for stage in store.stages():
        for at in (store.root / stage).iterdir():
            try:
                manifest = json.loads((at / "manifest.json").read_text(encoding="utf-8"))
                found[stage, at.name] = {"stage": manifest["stage"], "facts": manifest["facts"]}
            except (OSError, ValueError, KeyError, TypeError):
                broken.append((stage, at.name))
    return found, broken


def _subjects(manifest: dict[str, Any]) -> set[str]:
    facts = manifest["facts"]
    return {facts["subject"]} if "subject" in facts else set(facts.get("subjects", ()))


def _derived(manifests: dict[Name, dict[str, Any]], subject: str) -> set[Name]:
    """The subject's artefacts and all that follow from them. One that does not say whom it comes from counts as such."""
    mine = {n for n, m in manifests.items() if not _subjects(m) or subject in _subjects(m)}
    while True:
        keys = {key for _, key in mine}
        more = {n for n, m in manifests.items() if n not in mine and keys & set(m["stage"]["inputs"])}
        if not more:
            return mine
        mine |= more


def _in_order(manifests: dict[Name, dict[str, Any]], mine: set[Name]) -> list[Name]:
    """What follows from something goes before it, and what names nobody before all: what is left says what is still to go."""
    of_key: dict[str, list[Name]] = {}
    for name in mine:
        of_key.setdefault(name[1], []).append(name)
    depth: dict[Name, int] = {}

    def deep(name: Name) -> int:
        if name not in depth:
            above = [n for key in manifests[name]["stage"]["inputs"] for n in of_key.get(key, ())]
            depth[name] = 1 + max(map(deep, above), default=0)
        return depth[name]

    return sorted(mine, key=lambda n: (bool(_subjects(manifests[n])), -deep(n), n))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("grid.store"), description="The artefact store.")
    commands = p.add_subparsers(dest="command", required=True)
    forgetting = commands.add_parser("forget", help="remove everything derived from a subject's recordings")
    forgetting.add_argument("subject", help="the subject as the data set names it, such as 071309_w_21")
    forgetting.add_argument(
        "--out", type=Path, action="append", metavar="DIR", help="a result folder, or one of dataprep.check; may be repeated"
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives 0, 1 if something could not be removed, or 2 after saying what is wrong."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _command(options.out, options.subject), kept="the same command goes on from here")


def _command(asked: list[Path] | None, subject: str) -> int:
    if not subject.strip():
        raise InputError("found an empty subject, expected one as the data set names it, such as 071309_w_21")
    outs = asked or sorted(p.parent for p in Path("runs").glob("*/store"))
    if not outs:
        raise InputError("there is no result folder in runs/: name one with --out DIR")
    groups: dict[Place, list[Path]] = {}
    checked_folders = 0
    for out in outs:
        if not (out / "store").exists() and (out / "check.json").is_file():
            files = command.forget(out, subject)
            print(f"{out}: a data check by dataprep.check; {len(files)} files removed")
            checked_folders += 1
            continue
        if not (out / "store").exists():
            raise InputError(f"{out} is no result folder: it has no store")
        root = Store(out / "store").root
        groups.setdefault(root if isinstance(root, Remote) else root.resolve(), []).append(out)
    unknown, kinds, knew = [], set(), bool(checked_folders)
    for root, mine in groups.items():
        try:
            gone = forget(mine, subject)
        except InputError as error:
            unknown.append(str(error))
            continue
        knew = True
        kinds |= _told(root, mine, subject, gone)
    for reason in unknown if not knew or asked else ():
        print(f"error: {reason}", file=sys.stderr)
    if not knew:
        return 2
    print(
        "Not touched: the recordings themselves (remove them, or the next run prepares them again), copies of results and of"
    )
    print(
        "exported models, other folders of dataprep.check --out (faces.png shows people: name them with --out), and Ray's own"
    )
    print("logs (on each node, in /tmp/ray or its temporary folder).")
    return exit_code(kinds) or (2 if unknown and asked else 0)


def _told(root: Place, outs: list[Path], subject: str, gone: Forgotten) -> set[str]:
    """Say what was removed and what is left; gives the kinds of failures."""
    where = ", ".join(map(str, dict.fromkeys([*outs, *gone.cleared])))
    counts = ", ".join(f"{n} {stage}" for stage, n in sorted(gone.artefacts.items())) or "nothing, since nothing was there"
    print(f"{where}: removed {counts}; {gone.stale} fits are stale, the launch command makes them again without the subject")
    for folder in gone.elsewhere:
        print(
            f"this store is also used from {folder}, which is not there, or not here: run the same command there with --out"
        )
    for line in held(gone.cleared or outs, root):
        print(line)
    if gone.left:
        print(f"error: {subject} is still found in {len(gone.left)} files, which could not be removed:", file=sys.stderr)
        print("\n".join(gone.left[:20]), file=sys.stderr)
        return {MACHINE}
    print(f"a search for {subject} in {root} and {where} finds nothing")
    return set()
