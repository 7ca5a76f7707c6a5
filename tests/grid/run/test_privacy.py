"""Nothing is written or sent that the user did not ask for: no id, no event, no look-up of a name, no face."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataprep.check.command import main as check
from grid.removal.forget import main as forget

LAUNCH = [sys.executable, "-m", "grid.launch", "--modalities", "eda,frame", "--scenarios", "all87", "--folds", "0"]
ADDRESSES = (
    r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)',
    r'sin6_port=htons\((\d+)\).*?"([0-9a-f:.]+)"',
)
CACHES = re.compile(r"\.cache/(matplotlib|fontconfig|torch)(/|$)|\.config/matplotlib(/|$)")
"""What libraries keep at home, by name: fonts as Matplotlib and fontconfig found them, and what torch compiled."""


def fresh(folder: Path, data: Path, experiment: Path) -> tuple[list[str], dict[str, str]]:
    """A command in a home of its own, with a copy of the data, and its environment."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    shutil.copytree(data, folder / "data")
    named = ["--data", str(folder / "data"), "--experiment", str(experiment), "--out", str(folder / "out")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "MLFLOW_", "RAY_", "XDG_", "MPL"))}
    return [*LAUNCH, *named], {**kept, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}


def below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_an_empty_home_stays_empty_and_no_data_are_touched(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    command, environment = fresh(tmp_path, tiny_data, tiny_experiment)
    before = below(tmp_path / "data")
    done = subprocess.run([*command, "--in-process"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert below(tmp_path / "data") == before
    assert {p for p in below(tmp_path / "home") if not CACHES.search(p)} == set()
    assert {p.name for p in tmp_path.iterdir()} == {"home", "tmp", "data", "out"}
    written = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert not [p for p in written if re.search(r"device.?id|telemetry|events?\.db|\.onnxruntime|usage_stats", p.name, re.I)]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_connection_leaves_the_machine_and_no_name_is_looked_up(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    command, environment = fresh(tmp_path, tiny_data, tiny_experiment)
    calls = tmp_path / "calls"
    traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(calls), *command]
    done = subprocess.run(traced, env=environment, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p for p in below(tmp_path / "home") if not CACHES.search(p) and ".ray/" not in f"{p}"} == set()
    met = set()
    for line in calls.read_text(errors="replace").splitlines():
        for pattern in ADDRESSES:
            met |= {(address, int(port)) for port, address in re.findall(pattern, line)}
    assert met, "nothing was traced"
    outside = {m for m in met if not (m[0].startswith("127.") or m[0] in ("::1", "0.0.0.0", "::", "::ffff:127.0.0.1"))}
    # a socket that is connected for datagrams, and sent nothing, asks the kernel for this machine's own address
    outside -= {m for m in outside if f'"{m[0]}"' not in sends(calls)}
    assert outside == set()
    # to 8.8.8.8 Ray connects a socket for datagrams and sends nothing: so it learns this machine's own address
    assert not [m for m in met if m[1] == 53 and m[0] != "8.8.8.8"]


def sends(calls: Path) -> str:
    """The calls by which something is sent or a stream is opened."""
    lines = calls.read_text(errors="replace").splitlines()
    return "\n".join(line for line in lines if "sendto(" in line or "sendmsg(" in line or "EINPROGRESS" in line)


@pytest.mark.slow
def test_faces_of_a_census_are_told_and_forgotten(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    look = tmp_path / "look"
    check([str(tiny_data), "--out", str(look), "--jobs", "2"])
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "faces.png" in line]
    assert "personal data" in told
    subject = sorted((tiny_data / "video").iterdir())[0].name
    assert (look / "faces.png").exists()
    assert forget(["forget", subject, "--out", str(look)]) == 0
    assert list(look.iterdir()) == []
