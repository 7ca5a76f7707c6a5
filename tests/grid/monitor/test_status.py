"""How far a grid is, from its folder."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from grid.launch import main
from grid.monitor import status
from grid.store.artefacts import Store
from grid.store.leases import leased


@pytest.fixture
def copy(tiny_grid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_grid, tmp_path / "grid"))


def text_of(out: Path, *, colour: bool = False) -> str:
    stream = io.StringIO()
    status.show(out, Console(file=stream, force_terminal=colour, width=200, soft_wrap=True, color_system="standard"))
    return stream.getvalue()


def test_a_finished_grid(copy: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--status", "--out", str(copy)]) == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("eda "))
    assert sum(line.count(mark) for mark in "●†‡") == 4  # two folds in each of two scenarios
    assert "done 32" in text
    assert "nothing left to do" in text


def test_half_a_grid_has_an_eta_and_says_what_runs_and_what_failed(copy: Path) -> None:
    cells = json.loads((copy / "plan.json").read_text())["cells"]
    gone = [c for c in cells if c["modality"] == "eda"]
    for cell in gone:
        fit = cell["fits"][0]
        shutil.rmtree(copy / "store" / fit["stage"] / fit["key"])
        shutil.rmtree(copy / "store" / "predict" / cell["predict"])
    fits = [c["fits"][0] for c in gone]
    (copy / "store" / ".running").mkdir(exist_ok=True)
    (copy / "store" / ".running" / f"dead.{fits[2]['stage']}-{fits[2]['key']}").touch()  # its process was killed
    (copy / "logs").mkdir(exist_ok=True)
    (copy / "logs" / f"{fits[1]['stage']}-{fits[1]['key']}.txt").write_text("trouble")
    assert "no process works here now: the same command goes on from here" in text_of(copy)
    with leased(Store(copy / "store")) as store:
        (copy / "store" / ".running" / f"{store.owner}.{fits[0]['stage']}-{fits[0]['key']}").touch()
        now = status.snapshot(copy)
        told, coloured = text_of(copy), text_of(copy, colour=True)
    states = [now.cells[c["modality"], c["scenario"], c["fold"], 0, 0] for c in gone]
    assert states[:3] == ["running", "failed", "todo"]
    assert now.stages["fit-physiological-eda"] == {"done": 0, "running": 1, "failed": 1, "todo": 2}
    assert now.eta_s is None  # no fit of this kind is known
    assert "ETA not known yet" in told
    assert "\x1b[33m◐" in coloured


def test_the_eta_follows_what_was_measured(copy: Path) -> None:
    cells = [c for c in json.loads((copy / "plan.json").read_text())["cells"] if c["modality"] == "ecg"]
    for cell in cells[:2]:
        shutil.rmtree(copy / "store" / cell["fits"][0]["stage"] / cell["fits"][0]["key"])
        shutil.rmtree(copy / "store" / "predict" / cell["predict"])
    eta = status.snapshot(copy).eta_s
    assert eta is not None
    manifests = (copy / "store" / "fit-physiological-ecg").glob("*/manifest.json")
    seconds = [json.loads(m.read_text())["facts"]["seconds"] for m in manifests]
    assert 0 < eta <= 2 * max(seconds) + 1e-9


def test_a_failed_cell_stays_failed_after_the_run(
    copy: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Learning rates beyond all reason: the loss is not finite, the fit fails, and so do the rows that need it."""
    mine = tmp_path / "mine.toml"
    mine.write_text(
        tiny_experiment.read_text().replace("[fusion]\nwidth = 8\nepochs = 2\nbatch = 8\nlr = 1e-2", "[fusion]\nlr = 1e38")
    )
    (copy / "cells.json").unlink()  # results of other settings would be kept from being lost
    base = ["--modalities", "eda,eda+video", "--scenarios", "all87", "--data", str(tiny_data), "--experiment", str(mine)]
    assert main([*base, "--out", str(copy), "--in-process"]) == 1
    assert set(pd.read_csv(copy / "failures.csv").modality) == {"eda+video"}
    capsys.readouterr()
    assert main(["--status", "--out", str(copy)]) == 0
    text = capsys.readouterr().out
    assert "✗✗" in text
    assert "failed 2" in text


def test_a_folder_without_a_grid(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--status", "--out", str(tmp_path)]) == 2
    assert "no grid was begun here" in capsys.readouterr().err
