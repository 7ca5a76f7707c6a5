"""The processes below a process, from /proc."""

from __future__ import annotations

import signal
from pathlib import Path


def below(root: int) -> dict[int, str]:
    """Process id -> command line of every descendant that is alive."""
    parent: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: dict[int, str] = {}
    newest = {root}
    while newest:
        newest = {pid for pid, above in parent.items() if above in newest}
        for pid in newest:
            try:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return found


def hears_interrupts() -> None:
    """`preexec_fn` of a process that SIGINT is to end: a shell starts what runs in its background deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
