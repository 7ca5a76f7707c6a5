"""What comes after the tables, the report and the MLflow mirror, cannot cost them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grid
from grid.launch import main
from grid.tracking import sync

pytestmark = pytest.mark.slow

ROW = ["--modalities", "eda", "--scenarios", "all87", "--in-process"]


@pytest.fixture
def finished(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """A result folder in which everything is in the store, and the arguments that write its tables."""
    out = tmp_path / "out"
    out.mkdir()
    shutil.copytree(tiny_grid / "store", out / "store")
    return out, [*ROW, "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out)]


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty folder"])
def test_a_damaged_database_is_one_line_and_exit_1(
    damage: str, finished: tuple[Path, list[str]], capsys: pytest.CaptureFixture
) -> None:
    out, arguments = finished
    if damage == "cut":
        assert main(arguments) == 0
        content = (out / "mlflow.db").read_bytes()
        (out / "mlflow.db").write_bytes(content[: len(content) // 2])
        (out / "report.html").unlink()
    elif damage == "garbage":
        (out / "mlflow.db").write_bytes(b"this is no database " * 1000)
    else:
        (out / "mlflow.db").mkdir()
    capsys.readouterr()
    assert main(arguments) == 1
    (line,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith("MLflow mirror")]
    assert "the database cannot be used" in line
    assert "grid.tracking sync" in line
    assert (out / "report.html").exists()
    assert len(json.loads((out / "cells.json").read_text())) == 2


def test_a_server_that_is_away_is_told_before_and_after_and_is_exit_1(
    finished: tuple[Path, list[str]], capsys: pytest.CaptureFixture
) -> None:
    out, arguments = finished
    uri = "http://127.0.0.1:9/tracking"
    assert main([*arguments, "--tracking-uri", uri]) == 1
    said = capsys.readouterr()
    assert f"warning: tracking    {uri}: no MLflow answers there now" in said.err
    assert (
        f"MLflow could not be reached at {uri}, or refuses (nothing answers); the results are complete; mirror later"
        in said.out
    )
    assert f"MLflow   {uri}, experiment 'tiny'" in said.out
    assert (out / "report.html").exists()


def test_an_unexpected_error_in_the_mirror_is_exit_3_with_the_report_there(
    finished: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out, arguments = finished

    def broken(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(sync, "sync", broken)
    assert main(arguments) == 3
    told = capsys.readouterr().out
    assert "this is a bug in this program (KeyError: 'planted')" in told
    assert "in broken" in (out / "logs" / "bug.txt").read_text()
    assert (out / "report.html").exists()


def test_an_mlflow_that_cannot_be_loaded_costs_the_mirror_alone(
    finished: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out, arguments = finished
    monkeypatch.delattr(grid, "tracking")
    monkeypatch.setitem(sys.modules, "grid.tracking", None)
    assert main(arguments) == 3
    told = capsys.readouterr().out
    assert "2 cells; 0 fits computed" in told
    assert "MLflow mirror: error: this is a bug in this program (ModuleNotFoundError" in told
    assert (out / "report.html").exists()


@pytest.mark.parametrize("name", ["a?b#c ü;&n", "100% a%20b"])
def test_names_with_signs_that_mean_something_in_a_uri(
    name: str, finished: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out, arguments = finished
    folder = tmp_path / name
    out.rename(folder)
    before = {p.name for p in tmp_path.iterdir()}
    assert main([*arguments[:-1], str(folder)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == before  # no database beside the folder
    assert (folder / "mlflow.db").stat().st_size > 100_000
    assert "6 runs made" in capsys.readouterr().out
    assert main([*arguments[:-1], str(folder)]) == 0
    assert "0 runs made" in capsys.readouterr().out


def test_a_folder_whose_name_is_not_utf8_has_its_report(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    data = os.fsencode(tmp_path) + b"/d\xff\xe9ta"
    shutil.copytree(tiny_data, os.fsdecode(data))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "grid.launch", *ROW, "--folds", "0"]
    named = ["--data", data, "--experiment", str(tiny_experiment), "--out", str(out)]
    done = subprocess.run([*command, *named], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "d\\xff\\xe9ta" in page
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))


NAMELESS = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]


def can_be_nameless() -> bool:
    return bool(shutil.which("unshare")) and not subprocess.run([*NAMELESS, "true"], capture_output=True).returncode


@pytest.mark.skipif(not can_be_nameless(), reason="needs user namespaces")
def test_without_a_home_and_without_a_name(finished: tuple[Path, list[str]]) -> None:
    """A user id that no passwd entry names, and no HOME, as in many containers."""
    out, arguments = finished
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "USER", "LOGNAME", "USERNAME")}
    command = [*NAMELESS, sys.executable, "-m", "grid.launch", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (out / "report.html").exists()
    assert (out / "mlflow.db").exists()
