"""Content hashes of recordings: identity follows what a file holds, not where it lies or when it was copied.

Hashes are remembered beside the store by path, size and modification time, so that a data set is read for this once.
They are the same in a folder and in a bucket: so are all keys.
"""

from __future__ import annotations

import json
import os
import stat as stat_module
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from dataprep.places import Remote, digest, place


def fingerprints(
    files: Iterable[str], memory: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, str]:
    """SHA-256 (16 hex digits) of each file; an unreadable file is left out. `memory` is a JSON file, made or extended."""
    known: dict[str, list] = {}
    if memory.exists():
        try:
            known = json.loads(memory.read_text(encoding="utf-8"))
        except ValueError:
            known = {}  # cut short by a full disk or a kill of an older version: hash again
    wanted = sorted(set(files))
    found: dict[str, str] = {}
    todo: list[tuple[str, list]] = []
    for file, mark in _marks(wanted):
        if file in known and known[file][:2] == mark:
            found[file] = known[file][2]
        else:
            todo.append((file, mark))
    with ThreadPoolExecutor(8) as pool:
        for done, ((file, mark), value) in enumerate(zip(todo, pool.map(_hash, (f for f, _ in todo)), strict=True), 1):
            if value is not None:
                found[file] = value
                known[file] = [*mark, value]
            if on_progress:
                on_progress(done, len(todo))
    if todo:
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_suffix(".draft")
        draft.write_text(json.dumps(known), encoding="utf-8")
        os.replace(draft, memory)
    return found


def _marks(files: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Size and time of change of each regular file; of those in a bucket, from one listing of each folder."""
    listed: dict[str, list[int]] = {}
    seen: set[Remote] = set()
    for file in files:
        at = place(file)
        if isinstance(at, Remote):
            if at.parent not in seen:
                seen.add(at.parent)
                with suppress(OSError):
                    listed.update({str(child): [size, time_ns] for child, size, time_ns in at.parent.listing()})
            if file in listed:
                yield file, listed[file]
            continue
        with suppress(OSError):
            stat = at.stat()
            if stat_module.S_ISREG(stat.st_mode):  # reading a pipe or a device may never end
                yield file, [stat.st_size, stat.st_mtime_ns]


def _hash(file: str) -> str | None:
    try:
        return digest(file)[:16]
    except OSError:
        return None
