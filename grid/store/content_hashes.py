"""Content hashes of recordings: identity follows what a file holds, not where it lies or when it was copied.

Hashes are remembered beside the store by path, size, and the times of modification and of change, so that a data set is read for
this once. The time of change cannot be set back: a recording that was replaced by one of the same size and modification time has
another. A file that changed a moment ago is not remembered, since it may change again within the same tick of the clock. Hashes
are the same in a folder and in a bucket: so are all keys.
"""

from __future__ import annotations

import hashlib
import json
import stat as stat_module
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from dataprep.storage import Place, Remote, digest, place, write_whole
from dataprep.video.picture_folders import PICTURES, content_of, sizes_and_times

FRESH_S = 2.0
"""The coarsest tick of a file system's clock that is met (FAT)."""


def fingerprints(
    files: Iterable[str], memory: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, str]:
    """SHA-256 (16 hex digits) of each file; an unreadable file is left out. `memory` is a JSON file, made or extended.

    A folder of pictures has one over all of their names and contents, which begins with a word of its own.
    """
    known: dict[str, Any] = {}
    if memory.exists():
        try:
            known = json.loads(memory.read_text(encoding="utf-8"))
        except ValueError:
            known = {}  # cut short by a full disk or a kill of an older version: hash again
    known = known if isinstance(known, dict) else {}
    wanted = sorted(set(files))
    found: dict[str, str] = {}
    todo: list[tuple[str, list[int]]] = []
    for file, mark in _marks(wanted):
        entry = known.get(file)
        if isinstance(entry, list) and len(entry) == len(mark) + 1 and entry[:-1] == mark:
            found[file] = entry[-1]
        else:
            todo.append((file, mark))
    with ThreadPoolExecutor(8) as pool:
        for done, ((file, mark), value) in enumerate(zip(todo, pool.map(hash_of, (f for f, _ in todo)), strict=True), 1):
            if value is not None:
                found[file] = value
                known.pop(file, None)
                if _settled(file, mark):
                    known[file] = [*mark, value]
            if on_progress:
                on_progress(done, len(todo))
    if todo:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_whole(memory, json.dumps(known).encode())
    return found


def _marks(files: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Size and times in ns of each regular file; in a bucket, where nobody can set a time, from one listing of each folder."""
    listed: dict[str, list[int]] = {}
    seen: set[Remote] = set()
    for file in files:
        at = place(file)
        if isinstance(at, Remote):
            if at.parent not in seen:
                seen.add(at.parent)
                with suppress(OSError):
                    listed.update({str(child): [size, time_ns] for child, size, time_ns in at.parent.listing()})
            if listed.get(file, [0, 0])[1]:
                yield file, listed[file]
            elif file in listed:
                yield from _mark_of_folder(file, at)
            continue
        with suppress(OSError):
            stat = at.stat()
            if stat_module.S_ISREG(stat.st_mode):  # reading a pipe or a device may never end
                yield file, [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            elif stat_module.S_ISDIR(stat.st_mode):
                yield from _mark_of_folder(file, at)


def _mark_of_folder(file: str, folder: Place) -> Iterator[tuple[str, list[int]]]:
    """Of a folder of pictures: how many bytes, what all names, sizes and times come to, and the newest time of change."""
    with suppress(OSError):
        found = sizes_and_times(folder)
        if found:
            told = int(hashlib.sha256(repr(found).encode()).hexdigest()[:12], 16)
            yield file, [sum(size for _, size, *_ in found), told, max(changed for *_, changed in found)]


def _settled(file: str, mark: list[int]) -> bool:
    """Whether a file of this machine is what it was before it was hashed, and has been for a while."""
    if isinstance(place(file), Remote):
        return True
    now = next((found for _, found in _marks([file])), None)
    return now == mark and abs(time.time() - mark[-1] / 1e9) > FRESH_S


def hash_of(file: str) -> str | None:
    """16 hex digits of the SHA-256 of a file, or of a folder of pictures; None if it cannot be read."""
    with suppress(OSError):
        return digest(file)[:16]
    try:
        at = place(file)
        return f"{PICTURES}{content_of(at)[:16]}" if at.is_dir() else None
    except OSError:
        return None
