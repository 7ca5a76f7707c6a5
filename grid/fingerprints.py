"""Content hashes of recordings: identity follows what a file holds, not where it lies or when it was copied.

Hashes are remembered beside the store by path, size and modification time, so that a data set is read for this once.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat as stat_module
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


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
    for file in wanted:
        try:
            stat = os.stat(file)
        except OSError:
            continue
        if not stat_module.S_ISREG(stat.st_mode):
            continue  # reading a pipe or a device may never end
        mark = [stat.st_size, stat.st_mtime_ns]
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


def _hash(file: str) -> str | None:
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError:
        return None
