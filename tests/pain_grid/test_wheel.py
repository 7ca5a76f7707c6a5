"""The wheel as pip builds it, installed away from the checkout, computes a tiny grid."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path) -> str:
    """A command that must succeed, without the checkout on its path; what it printed."""
    done = subprocess.run(command, cwd=cwd, env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("wheel")
    sources = to / "sources"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            (sources / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(to)]
    run(*pip, str(sources), cwd=to)
    (found,) = to.glob("*.whl")
    return found


def test_the_wheel_has_what_the_packages_need_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = Parser().parsestr(archive.read(next(n for n in names if n.endswith("METADATA"))).decode())
    packages = ("dataprep", "painmodels", "grid", "dashboards", "pain_grid")
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {"grid/experiments/paper.toml", "dashboards/templates/report.html", "grid/reference/paper_table2.csv"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(packages)
    assert about["License-Expression"] == "Apache-2.0"
    assert any("Scientific/Engineering" in c for c in about.get_all("Classifier") or [])


def test_the_installed_command_computes_a_tiny_grid(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    run(*pip, cwd=tmp_path)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # an editable checkout there stays unseen
    where = run(python, "-c", "import grid.launch, pain_grid; print(grid.launch.__file__)", cwd=tmp_path)
    assert where.startswith(str(site))
    command = str(tmp_path / "venv" / "bin" / "pain-grid")
    assert run(command, "--version", cwd=tmp_path).startswith("pain-grid 0.")
    run(command, "synthetic", "data", "--subjects", "5", "--trials", "1", "--signals-only", cwd=tmp_path)
    (tmp_path / "tiny.toml").write_text(
        (site / "grid" / "experiments" / "demo.toml").read_text().replace("epochs = ", "epochs = 1 #")
    )
    rows = ["--modalities", "eda", "--no-baselines", "--scenarios", "all87", "--protocol", "holdout"]
    said = run(
        command, "launch", *rows, "--data", "data", "--experiment", "tiny.toml", "--in-process", "--out", "out", cwd=tmp_path
    )
    assert (tmp_path / "out" / "report.html").is_file(), said
    assert '"command": "pain-grid launch' in (tmp_path / "out" / "run.json").read_text()
