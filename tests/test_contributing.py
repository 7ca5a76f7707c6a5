"""CONTRIBUTING.md, followed to the letter: one new file, and the grid plans, trains and exports with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dataprep", "painmodels", "grid", "dashboards", "pain_grid")


def section(title: str) -> str:
    """The text below a heading of CONTRIBUTING.md."""
    return (ROOT / "CONTRIBUTING.md").read_text().split(f"## {title}")[1].split("\n## ")[0]


def code(text: str, kind: str) -> str:
    """The first block of that kind in a section."""
    block = re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    assert block
    return block.group(1)


def checkout_with_the_new_file(text: str, folder: Path) -> Path:
    """The packages as a contributor has them, and the new files that the section shows."""
    named = re.findall(r"this is\s(?:a whole )?one,\s`([\w/]+\.py)`", text, re.IGNORECASE)
    assert named
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, block in zip(named, re.findall(r"```python\n(.*?)```", text, re.DOTALL), strict=True):
        assert not (folder / name).exists()
        (folder / name).write_text(block)
    return folder


def run(checkout: Path, *arguments: str) -> str:
    """A command of the checkout, which must succeed; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def my_lab(folder: Path) -> Path:
    """Recordings of four people as the data set of CONTRIBUTING expects them; one trial has no file of signals."""
    (folder / "signals").mkdir(parents=True)
    rng = np.random.default_rng(0)
    index = ["trial\tsubject\tpain"]
    for subject in ("anna", "ben", "cleo", "dan"):
        for pain in ("no", "yes"):
            for n in range(2):
                trial = f"{subject}-{pain}-{n}"
                index.append(f"{trial}\t{subject}\t{pain}")
                if trial != "dan-yes-1":
                    lines = ["eda\tecg", *(f"{eda:.5f}\t{ecg:.5f}" for eda, ecg in rng.normal(size=(1376, 2)))]
                    (folder / "signals" / f"{trial}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "trials.tsv").write_text("\n".join(index) + "\n")
    return folder


def test_a_data_set_in_one_file(tiny_experiment: Path, tmp_path: Path) -> None:
    text = section("A data set in one file")
    checkout = checkout_with_the_new_file(text, tmp_path / "checkout")
    data, out = my_lab(tmp_path / "recordings"), tmp_path / "out"
    grid = ["grid.launch", *["--modalities", "eda,eda+video", "--scenarios", "all", "--folds", "0"]]
    grid += ["--data", str(data), "--experiment", str(tiny_experiment)]
    plan = run(checkout, *grid, "--plan")
    assert "My lab: " in plan
    run(checkout, *grid, "--out", str(out), "--in-process")
    scores = [line.split(",") for line in (out / "scores.csv").read_text().splitlines()]
    accuracy = scores[0].index("accuracy")
    assert [line[:2] for line in scores[1:] if line[accuracy]] == [["eda", "all"]]
    reasons = (out / "failures.csv").read_text()
    assert "no usable video" in reasons
    assert "dan-yes-1.tsv: the file is missing" in (out / "quarantine.csv").read_text()

    ruff = [str(checkout / "dataprep" / "datasets" / "my_lab.py"), "--config", str(ROOT / "pyproject.toml")]
    run(checkout, "ruff", "check", *ruff)  # `make test` stays green
    run(checkout, "ruff", "format", "--check", *ruff)
    contract = run(
        checkout,
        "pytest",
        "-vv",
        "-p",
        "no:cacheprovider",
        "-o",
        f"pythonpath={checkout}",
        str(ROOT / "tests" / "dataprep" / "datasets" / "test_datasets.py"),
    )
    assert "[my-lab] PASSED" in contract


def test_a_sub_network_in_one_file(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    text = section("A sub-network in one file")
    checkout = checkout_with_the_new_file(text, tmp_path / "checkout")
    table = code(text, "toml")
    mine = re.sub(r"\[temporal\]\nhidden = 8\n", table, tiny_experiment.read_text())
    assert table in mine
    (tmp_path / "mine.toml").write_text(mine)
    out = tmp_path / "out"
    shutil.copytree(tiny_grid / "store", out / "store")  # what other fits share is there already

    arguments = ["--modalities", "eda+video", "--scenarios", "all87", "--folds", "0", "--data", str(tiny_data)]
    arguments += ["--experiment", str(tmp_path / "mine.toml"), "--out", str(out), "--in-process"]
    said = run(checkout, "grid.launch", *arguments)
    assert "3 fits computed, 2 reused, 0 failed" in said  # temporal, attention and fusion are new
    weights = [p for p in (out / "store" / "fit-temporal").glob("*/manifest.json") if '"gru"' in p.read_text()]
    assert len(weights) == 1
    settings = json.loads(weights[0].read_text())["stage"]["params"]["settings"]
    assert (settings["hidden"], settings["epochs"], settings["classes"]) == (32, 2, 2)
    run(checkout, "painmodels.export", "--run", str(out), "--cell", "eda+video/all87/fold0", "--to", str(tmp_path / "model"))
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    assert [n["network"] for n in about["networks"] if n["role"] == "temporal"] == ["gru"]


def test_a_method_in_one_file(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    checkout = checkout_with_the_new_file(section("A method in one file"), tmp_path / "checkout")
    out = tmp_path / "out"
    shutil.copytree(tiny_grid / "store", out / "store")
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_experiment.read_text() + "\n[methods.range]\nquantile = 0.4\n")
    what = ["--modalities", "eda:range", "--scenarios", "all87", "--folds", "0", "--data", str(tiny_data)]
    said = run(checkout, "grid.launch", *what, "--experiment", str(mine), "--out", str(out), "--in-process")
    assert "eda:range" in said
    (cell,) = json.loads((out / "cells.json").read_text())
    assert (cell["status"], cell["fits"][0]["settings"]["quantile"]) == ("done", 0.4)


def test_a_recording_kind_in_one_file(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    checkout = checkout_with_the_new_file(section("A recording kind in one file"), tmp_path / "checkout")
    out = tmp_path / "out"
    shutil.copytree(tiny_grid / "store", out / "store")  # the faces are found already
    what = ["--modalities", "video:dark", "--scenarios", "all87", "--folds", "0", "--data", str(tiny_data)]
    what += ["--experiment", str(tiny_experiment), "--out", str(out)]
    plan = run(checkout, "grid.launch", *what, "--plan")
    assert re.search(r"brightness +10 +0 +10 .* 21 kB", plan), plan  # 10 trials of 138 float32, and their manifests
    assert "features" not in plan
    run(checkout, "grid.launch", *what, "--in-process")
    (cell,) = json.loads((out / "cells.json").read_text())
    assert cell["status"] == "done"
    manifest = json.loads(next((out / "store" / "brightness").glob("*/manifest.json")).read_text())
    assert manifest["facts"]["frames"] == 138
    ruff = [
        str(checkout / "dataprep" / "recordings" / "brightness.py"),
        str(checkout / "painmodels" / "methods" / "dark.py"),
    ]
    run(checkout, "ruff", "check", *ruff, "--config", str(ROOT / "pyproject.toml"))


def test_a_search_algorithm_in_one_file(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    checkout = checkout_with_the_new_file(section("A search algorithm in one file"), tmp_path / "checkout")
    space = "[search]\nalgorithm = 'climb'\ninner_folds = 2\n[search.physiological]\nlr = {low = 1e-3, high = 1e-1, log = true}\n"
    (tmp_path / "mine.toml").write_text(f"{tiny_experiment.read_text()}\n{space}hidden = [4, 8, 16]\n")
    out = tmp_path / "out"
    what = ["--modalities", "eda", "--scenarios", "all87", "--folds", "0", "--search", "4", "--data", str(tiny_data)]
    run(checkout, "grid.launch", *what, "--experiment", str(tmp_path / "mine.toml"), "--out", str(out), "--in-process")
    (search,) = [json.loads(p.read_text()) for p in (out / "store").glob("search-physiological-eda/*/manifest.json")]
    assert search["stage"]["params"]["algorithm"] == "climb"
    first, *others = [trial["params"] for trial in search["facts"]["trials"]]
    assert len(others) == 3
    assert sum(a != b for a, b in zip(first.values(), others[0].values(), strict=True)) <= 1
