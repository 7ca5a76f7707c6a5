"""Limits on one piece of work in a worker process: time, and how to tell that memory ran out."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STARTS = 20
"""How many workers in a row may fail to start before the work is given up: not a lost node, it cannot start anywhere."""


@contextmanager
def time_limit(seconds: float, log: Path) -> Iterator[None]:
    """End this process if the block takes longer, after writing to `log` where every thread stood. One at a time.

    It works on code that holds the interpreter's lock too (a decoder that never returns). The death of the process is
    then handled like any other: tried again elsewhere.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        faulthandler.dump_traceback_later(seconds, file=file, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    log.unlink(missing_ok=True)


def hung(log: Path) -> bool:
    """Whether a process was ended by its time limit: it left word of where it stood."""
    return log.exists() and log.stat().st_size > 0


def crash_reason(log: Path, limit_s: float, times: int) -> tuple[str, bool]:
    """Why a worker process died, for people, and whether its time limit ended it. `log` is that of `time_limit`."""
    if hung(log):
        return f"took longer than its limit of {limit_s:g} s, {times} times; where it stood: {log}", True
    return f"the worker process died {times} times (out of memory, or killed)", False


def out_of_memory(error: BaseException) -> bool:
    """True if `error` says that memory, of the machine or of a GPU, ran out."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )
