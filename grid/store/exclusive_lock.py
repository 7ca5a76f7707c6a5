"""One run at a time in a result folder, by a lock of the operating system that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataprep.records import InputError


@contextmanager
def exclusive_lock(out: Path) -> Iterator[None]:
    """Hold `out` for this process. Raises ValueError that names the holder if another one, here or on another machine, has it."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / ".lock"
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InputError(
                f"{out}: {holder} is working in this folder; wait for it, or choose another --out "
                "(the lock ends with that process: there is nothing to remove)"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
        file.truncate(0)
