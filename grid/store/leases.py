"""Who works in a store: each driver keeps a lease there, a small file with a heartbeat, and what is unfinished bears its name.

Drafts, marks and Tune's folder of a driver are removed when it is over: its process is known to be dead on this machine, or its
heartbeat has been silent for `ABANDONED_S`. Those of a driver that may be alive are never touched, so that several drivers can
share a store. That needs a place where a folder is renamed in one step: the file systems of `SHARED`. Elsewhere, in a bucket for
one, a second driver is refused while the first lives; so is any driver while a subject is being removed.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dataprep.records import InputError
from dataprep.storage import Place, Remote, remove_tree, write_whole
from grid.store.artefacts import DRAFTS, MARKS, TUNE, Store
from grid.store.forgotten import refuse_unfinished
from grid.store.layout import check_layout, mark_layout

LEASES = ".leases"
HEARTBEAT_S = 30.0
SILENT_S = 900.0
"""Without a heartbeat for so long, another driver may begin where one alone is allowed."""
ABANDONED_S = 86_400.0
"""Without a heartbeat for so long, what a driver of another machine left behind is removed."""
_LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "ramfs", "overlay", "apfs", "hfs")
SHARED = frozenset((*_LOCAL, "nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "virtiofs"))
"""File systems that rename a folder in one step, for all machines that see it."""

_MINE: set[str] = set()
"""Owners at work in this process."""


@dataclass(frozen=True)
class Lease:
    """One driver's, as it stands in a store. `at_s`: last heartbeat by the store's clock; `alone`: no other may work there.

    `at_work`: it has looked at all others and stays; until then it is asking.
    """

    owner: str
    host: str
    pid: int
    machine: str
    started: str
    alone: bool
    at_s: float
    at_work: bool = False

    @property
    def holder(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"

    def over(self, now_s: float, silent_s: float) -> bool:
        """The process is dead for sure, or silent for too long to be waited for."""
        if self.machine == machine_id() and self.pid == os.getpid():
            return self.owner not in _MINE
        if self.machine == machine_id():
            return started_at(self.pid) != self.started
        return now_s - self.at_s > silent_s


@contextmanager
def leased(store: Store, *, alone: bool = False, out: Path | None = None) -> Iterator[Store]:
    """Work in a store; gives it with an owner's name. `out` is noted as one of its folders.

    `alone`: for a removal, refuse every other driver, and go on with one that was begun.

    Raises InputError that names the holder if another driver has the store for itself, or must not share it.
    """
    check_layout(store)
    owner = uuid.uuid4().hex[:12]
    at = store.root / LEASES / owner
    removing, alone = alone, alone or not shares(store.root)
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "machine": machine_id(), "started": started_at(os.getpid())}
    at.parent.mkdir(parents=True, exist_ok=True)
    facts = {**mine, "alone": alone}
    write_whole(at, json.dumps(facts).encode())
    stop = threading.Event()
    _MINE.add(owner)
    settled = json.dumps({**facts, "at_work": True}).encode()
    beat = threading.Thread(target=_beat, args=(at, settled, stop), name="lease", daemon=True)
    try:
        _refuse(store, owner)
        write_whole(at, settled)
        if not removing:
            refuse_unfinished(store)
        mark_layout(store)
        if out and (out / "store").is_file():  # a folder with a store of its own is beside it
            note_folder(store, out)
        beat.start()
        yield replace(store, owner=owner)
    finally:
        _MINE.discard(owner)
        stop.set()
        if beat.is_alive():
            beat.join()
        with suppress(OSError):
            at.unlink(missing_ok=True)


def _refuse(store: Store, owner: str) -> None:
    """Raises InputError if another lives with whom this driver must not share the store; of two at once, the later goes."""
    every = {lease.owner: lease for lease in leases(store)}
    mine = every[owner]
    for other in every.values():
        if other.owner == owner or not (mine.alone or other.alone) or other.over(mine.at_s, SILENT_S):
            continue
        if other.at_work or (other.at_s, other.owner) < (mine.at_s, owner) or not (mine.alone and other.alone):
            raise InputError(
                f"{store.root}: {other.holder} is working in this store, and "
                + (
                    "a subject is removed, or may be, by one process alone"
                    if shares(store.root)
                    else "several at once need a folder of a local disk or NFS"
                )
                + f"; wait for it, or choose another --store (if it is dead, it counts as such after {SILENT_S / 60:.0f} minutes)"
            )


def living(store: Store) -> set[str]:
    """Owners of drivers that work in the store now, as far as this machine can tell."""
    return {lease.owner for lease in leases(store) if not lease.over(time.time(), SILENT_S)}


def leases(store: Store) -> list[Lease]:
    """All that are there, of the living and the dead."""
    found = []
    folder = store.root / LEASES
    for at in folder.glob("*"):
        if at.name.startswith("."):
            continue
        with suppress(OSError, ValueError, TypeError):  # it ended in this moment, or is no lease
            facts: dict[str, Any] = json.loads(at.read_text(encoding="utf-8"))
            found.append(Lease(owner=at.name, at_s=at.stat().st_mtime, **facts))
    return found


def remove_stale(store: Store) -> set[str]:
    """Remove what drivers that are over left behind; gives the marks (`<stage>-<key>`) of what they were at."""
    marks: list[Place] = [*(store.root / MARKS).glob("*")]
    scratch: list[Place] = [*(store.root / DRAFTS).glob("*"), *store.root.glob(f"{TUNE}*")]
    every = leases(store)  # after the rest: whoever begins now has its lease before it leaves anything
    now_s = next((lease.at_s for lease in every if lease.owner == store.owner), time.time())
    alive = {lease.owner for lease in every if not lease.over(now_s, ABANDONED_S)}
    left = set()
    for at in marks:
        owner, _, mark = at.name.rpartition(".")
        if owner not in alive:
            left.add(mark)
            at.unlink(missing_ok=True)
    for folder in scratch:
        owner = folder.name.removeprefix(TUNE).partition(".")[0]
        if owner not in alive:
            remove_tree(folder)
    for lease in every:
        if lease.owner not in alive:
            (store.root / LEASES / lease.owner).unlink(missing_ok=True)
    return left


def shares(root: Place) -> bool:
    """Whether several drivers may work at this place at once."""
    return isinstance(root, Path) and file_system(root) in SHARED


def file_system(path: Path) -> str:
    """The type of the file system that holds a path, the innermost mount; 'ext4' where the system does not say (no Linux)."""
    try:
        return mounted(Path("/proc/self/mountinfo").read_bytes(), path.resolve())
    except OSError:
        return "ext4"


def mounted(mountinfo: bytes, path: Path) -> str:
    """The type of the file system that holds a path, by the lines of Linux: bytes that are no letters stand as \\ooo there."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(b" - ")
        name = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), head.split()[4])
        point = Path(os.fsdecode(name))
        if (path == point or point in path.parents) and len(point.parts) >= best:  # of two on one point, the later
            best, kind = len(point.parts), tail.split()[0].decode()
    return kind


FOLDERS = ".folders"


def note_folder(store: Store, out: Path) -> None:
    """Let the store know of a result folder, so that a removal reaches it."""
    entry = {"host": socket.gethostname(), "out": str(out.resolve())}
    name = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(entry)).hex[:12]
    at = store.root / FOLDERS / name
    if not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        write_whole(at, json.dumps(entry).encode())


def folders(store: Store) -> list[tuple[str, Path]]:
    """Host and path of every result folder that ever worked in a store."""
    found = []
    for at in (store.root / FOLDERS).glob("*"):
        with suppress(ValueError, KeyError, OSError):
            entry = json.loads(at.read_text(encoding="utf-8"))
            found.append((entry["host"], Path(entry["out"])))
    return sorted(found)


def _beat(at: Place, content: bytes, stop: threading.Event) -> None:
    """Touch a lease until told to stop. What cannot be reached now may be the next time.

    Written anew where it is gone: a machine that slept for a day was taken for dead.
    """
    while not stop.wait(HEARTBEAT_S):
        with suppress(OSError):
            if isinstance(at, Remote) or not at.exists():
                write_whole(at, content)
            else:
                os.utime(at)


@cache
def machine_id() -> str:
    """Equal for processes that see each other's numbers: one boot of one machine, one space of process ids."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {uuid.uuid4()}"


def started_at(pid: int) -> str:
    """When a process began, in ticks since the boot; empty if there is none (or it has ended and waits to be collected)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
