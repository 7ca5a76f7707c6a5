"""One run of the whole tiny grid on Ray, watched: its bytes, what listens, what is called, and what it leaves at home."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.grid.execute.test_sockets import Listening, is_loopback
from tests.grid.run.test_grid import fits
from tests.grid.run.test_privacy import CACHES, files_below, fresh
from tests.processes import below

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ADDRESSES = (
    r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)',
    r'sin6_port=htons\((\d+)\).*?"([0-9a-f:.]+)"',
)
STRACE = shutil.which("strace")
WATCHED = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o"]


@dataclass(frozen=True)
class Run:
    """Where it ran, what it said, and what listened meanwhile: 'address:port' -> the command line of its process."""

    place: Path
    said: str
    doors: dict[str, str]


@pytest.fixture(scope="module")
def on_ray(tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """In a home of its own, under strace where that is installed."""
    place = tmp_path_factory.mktemp("on-ray")
    command, environment = fresh(place, tiny_data, tiny_experiment, "--all")
    command = [*WATCHED, str(place / "calls"), *command] if STRACE else command
    seen, names = Listening(), dict[int, str]()
    deadline = time.monotonic() + 550
    with (place / "said").open("w") as said:
        run = subprocess.Popen(command, env=environment, stdout=said, stderr=said)

        def ours() -> set[int]:
            children = below(run.pid)
            names.update({pid: line for pid, line in children.items() if line})  # empty once a process is ending
            return {run.pid, *children}

        while run.poll() is None and time.monotonic() < deadline:
            seen.look(ours)
            time.sleep(0.1)
    text = (place / "said").read_text()
    assert run.poll() == 0, text
    return Run(place, text, {local: names.get(pid, "") for local, pid in seen.found.items()})


def test_ray_and_this_process_give_the_same_bytes(on_ray: Run, tiny_grid: Path) -> None:
    out = on_ray.place / "out"
    assert "Ray: 1 node(s)" in on_ray.said
    assert (out / "predictions.parquet").read_bytes() == (tiny_grid / "predictions.parquet").read_bytes()
    there, here = fits(out), fits(tiny_grid)
    assert there.keys() == here.keys()
    for key, weights in here.items():
        for name, value in weights.items():
            assert value.tobytes() == there[key][name].tobytes(), f"{key}: {name}"
    assert not list((out / "store").glob(".tune-*"))


def test_a_running_grid_listens_on_loopback_alone(on_ray: Run) -> None:
    """Nobody on the network can reach it."""
    assert any("raylet" in name for name in on_ray.doors.values()), "Ray was seen"
    assert not {local: name[:80] for local, name in on_ray.doors.items() if not is_loopback(local)}


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_no_connection_leaves_the_machine_and_no_name_is_looked_up(on_ray: Run) -> None:
    calls = (on_ray.place / "calls").read_text(errors="replace").splitlines()
    met = set()
    for line in calls:
        for pattern in ADDRESSES:
            met |= {(address, int(port)) for port, address in re.findall(pattern, line)}
    assert met, "nothing was traced"
    outside = {m for m in met if not (m[0].startswith("127.") or m[0] in ("::1", "0.0.0.0", "::", "::ffff:127.0.0.1"))}
    # a socket that is connected for datagrams, and sent nothing, asks the kernel for this machine's own address
    sends = "\n".join(line for line in calls if "sendto(" in line or "sendmsg(" in line or "EINPROGRESS" in line)
    outside -= {m for m in outside if f'"{m[0]}"' not in sends}
    assert outside == set()
    # to 8.8.8.8 Ray connects a socket for datagrams and sends nothing: so it learns this machine's own address
    assert not [m for m in met if m[1] == 53 and m[0] != "8.8.8.8"]


def test_nothing_of_it_is_left_at_home(on_ray: Run) -> None:
    home = files_below(on_ray.place / "home")
    assert {p for p in home if not CACHES.search(p) and ".ray/" not in p} == set()
