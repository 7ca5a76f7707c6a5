"""Nobody on the network can reach what shows a grid: it listens on loopback. (Of the grid itself: run/test_on_ray.py.)"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import below

ROOT = Path(__file__).parents[3]


class Listening:
    """`found`: 'address:port' (hexadecimal, as the kernel writes it) -> process, of every listening TCP socket that was seen.

    Whose a socket is takes a look at every file of every process: asked until it is known, some times if it is nobody's here.
    """

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self._owned: set[str] = set()
        self._others: Counter[str] = Counter()

    def look(self, pids: Callable[[], set[int]]) -> None:
        """Look once more; `pids()`: the processes whose sockets are wanted, asked where there is a new one."""
        now = self._listening_now()
        new = {name for name in now if name not in self._owned and self._others[name] < 3}
        if not new:
            return
        self._others.update(new)
        for pid in pids():
            try:
                for handle in Path(f"/proc/{pid}/fd").iterdir():
                    name = str(handle.readlink())
                    if name in now:
                        self._owned.add(name)
                        self.found[now[name]] = pid
            except OSError:
                continue

    def _listening_now(self) -> dict[str, str]:
        found = {}
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    found[f"socket:[{fields[9]}]"] = fields[1]
        return found


def listening(pids: set[int]) -> dict[str, int]:
    """'address:port' -> process, for every TCP socket on which these processes listen now."""
    seen = Listening()
    seen.look(lambda: pids)
    return seen.found


def is_loopback(local: str) -> bool:
    address = local.partition(":")[0]
    # 127.x.y.z, ::1 and ::ffff:127.x.y.z, each 32-bit word in this machine's byte order
    return (
        address.endswith("7F")
        if len(address) == 8
        else address in ("0" * 24 + "01000000",) or (address.startswith("0" * 16 + "FFFF0000") and address.endswith("7F"))
    )


def test_the_scan_sees_an_open_door() -> None:
    code = "import socket, sys; s = socket.create_server((sys.argv[1], 0)); print(1, flush=True); input()"
    for address, closed in (("0.0.0.0", False), ("127.0.0.1", True)):
        door = subprocess.Popen([sys.executable, "-c", code, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert door.stdout
        door.stdout.readline()
        (local,) = listening({door.pid})
        assert is_loopback(local) is closed
        door.communicate(b"\n")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_what_one_looks_at_a_grid_with_listens_on_loopback_alone(tiny_grid: Path) -> None:
    """The MLflow UI, the grid's figures and the Prometheus that scrapes them, by the commands of the README."""
    ui, figures, prometheus = (free_port() for _ in range(3))
    look = ["grid.tracking", "ui", str(tiny_grid), "--port", str(ui)]
    live = ["dashboards.live", str(tiny_grid), "--port", str(figures), "--prometheus-port", str(prometheus)]
    wanted = {ui, figures, *([prometheus] if shutil.which("prometheus") else [])}
    quiet = subprocess.DEVNULL
    run = [
        subprocess.Popen([sys.executable, "-m", *m], cwd=ROOT, stdout=quiet, start_new_session=True) for m in (look, live)
    ]
    try:
        seen: dict[str, int] = {}
        until = time.monotonic() + 120
        while not wanted <= {int(local.rpartition(":")[2], 16) for local in seen}:
            assert all(p.poll() is None for p in run)
            assert time.monotonic() < until
            time.sleep(0.2)
            seen = listening({pid for p in run for pid in (p.pid, *below(p.pid))})
        assert not [local for local in seen if not is_loopback(local)]
    finally:
        for p in run:
            with suppress(ProcessLookupError):  # it ended by itself, and the test has failed
                os.killpg(p.pid, signal.SIGKILL)
            p.wait()
