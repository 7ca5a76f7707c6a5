"""Nobody on the network can reach a running grid: everything it starts listens on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import below

ROOT = Path(__file__).parents[3]


def listening(pids: set[int]) -> dict[str, int]:
    """'address:port' (hexadecimal, as the kernel writes it) -> process, for every listening TCP socket of these processes."""
    owner: dict[str, int] = {}
    for pid in pids:
        try:
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                owner[str(handle.readlink())] = pid
        except OSError:
            continue
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_rest = line.split()
            inode = line.split()[9]
            if state == "0A" and f"socket:[{inode}]" in owner:
                found[local] = owner[f"socket:[{inode}]"]
    return found


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


@pytest.mark.ray
@pytest.mark.slow
def test_a_running_grid_listens_on_loopback_alone(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grid.launch", "--modalities", "eda", "--data", str(tiny_data)]
    command += ["--experiment", str(tiny_experiment), "--out", str(tmp_path / "out")]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    seen: dict[str, int] = {}
    names: dict[int, str] = {}
    while run.poll() is None:
        children = below(run.pid)
        names |= {pid: line for pid, line in children.items() if line}  # empty once a process is ending
        seen |= listening({run.pid, *children})
        time.sleep(0.1)
    _, errors = run.communicate()
    assert run.returncode == 0, errors
    assert any("raylet" in names.get(pid, "") for pid in seen.values()), "Ray was seen"
    open_doors = {local: names.get(pid, "")[:80] for local, pid in seen.items() if not is_loopback(local)}
    assert not open_doors


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
