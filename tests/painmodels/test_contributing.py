"""CONTRIBUTING.md, followed to the letter: one new file, one table in a TOML, and the grid trains and exports it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_sub_network_in_one_file(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.split("## A sub-network in one file")[1].split("\n## ")[0]
    name = re.search(r"this is a whole one, `painmodels/networks/(\w+\.py)`", section, re.IGNORECASE).group(1)
    code, table = (re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL).group(1) for kind in ("python", "toml"))

    checkout = tmp_path / "checkout"  # as a contributor has it: the packages, and the one new file
    for package in ("dataprep", "painmodels", "grid", "dashboards"):
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    assert not (checkout / "painmodels" / "networks" / name).exists()
    (checkout / "painmodels" / "networks" / name).write_text(code)
    mine = re.sub(r"\[temporal\]\nhidden = 8\n", table, tiny_experiment.read_text())
    assert table in mine
    (tmp_path / "mine.toml").write_text(mine)
    out = tmp_path / "out"
    shutil.copytree(tiny_grid / "store", out / "store")  # what other fits share is there already

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    arguments = ["--modalities", "eda+video", "--scenarios", "all87", "--folds", "0", "--data", str(tiny_data)]
    said = run("grid.launch", *arguments, "--experiment", str(tmp_path / "mine.toml"), "--out", str(out), "--in-process")
    assert "3 fits computed, 2 reused, 0 failed" in said  # temporal, attention and fusion are new
    weights = [p for p in (out / "store" / "fit-temporal").glob("*/manifest.json") if '"gru"' in p.read_text()]
    assert len(weights) == 1
    settings = json.loads(weights[0].read_text())["stage"]["params"]["settings"]
    assert (settings["hidden"], settings["epochs"], settings["classes"]) == (32, 2, 2)
    run("painmodels.export", "--run", str(out), "--cell", "eda+video/all87/fold0", "--to", str(tmp_path / "model"))
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    assert [n["network"] for n in about["networks"] if n["role"] == "temporal"] == ["gru"]
