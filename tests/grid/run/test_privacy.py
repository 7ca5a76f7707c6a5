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

LAUNCH = [sys.executable, "-m", "grid.launch"]
FEW = ("--modalities", "eda,frame", "--scenarios", "all87", "--folds", "0")
CACHES = re.compile(r"\.cache/(matplotlib|fontconfig|torch)(/|$)|\.config/matplotlib(/|$)")
"""What libraries keep at home, by name: fonts as Matplotlib and fontconfig found them, and what torch compiled."""


def fresh(folder: Path, data: Path, experiment: Path, *wanted: str) -> tuple[list[str], dict[str, str]]:
    """A command in a home of its own, with a copy of the data, and its environment."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    shutil.copytree(data, folder / "data")
    named = ["--data", str(folder / "data"), "--experiment", str(experiment), "--out", str(folder / "out")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "MLFLOW_", "RAY_", "XDG_", "MPL"))}
    return [*LAUNCH, *wanted, *named], {**kept, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_an_empty_home_stays_empty_and_no_data_are_touched(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    command, environment = fresh(tmp_path, tiny_data, tiny_experiment, *FEW)
    before = files_below(tmp_path / "data")
    done = subprocess.run([*command, "--in-process"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path / "data") == before
    assert {p for p in files_below(tmp_path / "home") if not CACHES.search(p)} == set()
    assert {p.name for p in tmp_path.iterdir()} == {"home", "tmp", "data", "out"}
    written = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert not [p for p in written if re.search(r"device.?id|telemetry|events?\.db|\.onnxruntime|usage_stats", p.name, re.I)]


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
