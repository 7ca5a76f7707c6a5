"""What must not happen: two runs in one folder, half-written artefacts, code run from data, a subject that stays."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grid.launch import main
from grid.removal.forget import main as store_main
from grid.store import artefacts as store_module
from grid.store.artefacts import Store
from grid.store.exclusive_lock import exclusive_lock
from grid.store.identity import Stage
from painmodels.weights import main as weights_main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_a_second_run_in_the_same_folder_says_so_and_stops(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    arguments = ["--modalities", "eda", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out)]
    with exclusive_lock(out):
        again = subprocess.run(
            [sys.executable, "-m", "grid.launch", *arguments, "--in-process"], capture_output=True, text=True, cwd=ROOT
        )
    assert again.returncode == 2
    assert f"process {os.getpid()} on " in again.stderr
    assert "Traceback" not in again.stderr
    assert not (out / "store").exists()
    assert main([*arguments, "--plan"]) == 0  # looking is always allowed
    with exclusive_lock(out):
        pass
    capsys.readouterr()


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import os, pathlib, sys\nfrom grid.store.exclusive_lock import exclusive_lock\n"
    code += "with exclusive_lock(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT).returncode == -9
    with exclusive_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_nothing_half_written_counts(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    block = np.random.default_rng(0).random((256, 1024), dtype=np.float32)  # 1 MB
    stages = [Stage("x", 1, {"i": i}) for i in range(4)]
    store.write(stages[0], {"a": block}, {})
    store.write(stages[1], {"a": block}, {})
    with pytest.raises(OSError, match=r"cannot write x/.*MB free there"):
        store.write(stages[2], {"a": block}, {})
    there = [s for s in stages if store.has(s)]
    assert len(there) == 2
    for stage in there:
        np.testing.assert_array_equal(store.arrays(stage)["a"], block)
    assert not list((small_disk / "store/.drafts").iterdir())


def test_a_run_on_a_full_disk_stops_with_one_message_and_goes_on_later(
    small_disk: Path, tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    out = small_disk / "out"
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (3 * 2**20 - 40_000))
    arguments = ["--modalities", "eda", "--scenarios", "all87", "--data", tiny_data, "--experiment", tiny_experiment]
    command = [sys.executable, "-m", "grid.launch", *map(str, arguments), "--out", str(out), "--in-process"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode in (1, 2)  # 2 where not even the tables found room
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr.splitlines()[-1]
    filler.unlink()
    assert subprocess.run(command, capture_output=True, cwd=ROOT).returncode == 0
    rows = ["modality", "scenario"]
    mine, whole = (pd.read_parquet(p / "predictions.parquet") for p in (out, tiny_grid))
    expected = whole[(whole[rows] == ["eda", "all87"]).all(axis=1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def test_the_bomb_goes_off_where_pickles_are_read(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))
    assert (tmp_path / "boom").exists()


def test_a_pickle_planted_in_the_store_is_not_run(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = Path(shutil.copytree(tiny_grid, tmp_path / "out"))
    bomb = pickle.dumps(Bomb(tmp_path / "boom"))
    eda = next(
        p for p in sorted((out / "store/fit-physiological-eda").iterdir()) if "all87" in (p / "manifest.json").read_text()
    )
    (eda / "arrays.safetensors").write_bytes(bomb)
    for predicted in (out / "store/predict").iterdir():
        if eda.name in json.loads((predicted / "manifest.json").read_text())["stage"]["inputs"]:
            shutil.rmtree(predicted)
    arguments = [
        "--modalities",
        "eda",
        "--scenarios",
        "all87",
        "--data",
        str(tiny_data),
        "--experiment",
        str(tiny_experiment),
    ]
    assert main([*arguments, "--out", str(out), "--in-process"]) == 1
    capsys.readouterr()
    reason = pd.read_csv(out / "failures.csv").reason.iloc[0]
    assert f"{eda.name}/arrays.safetensors: found a damaged or foreign file" in reason
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".mat"])
def test_a_pickle_given_as_weights_is_refused(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(pickle.dumps({"state_dict": Bomb(tmp_path / "boom")}))
    out = tmp_path / "w.safetensors"
    assert weights_main(["import", str(file), "--as", "alexnet-fer-bn", "--out", str(out)]) == 2
    assert str(file) in capsys.readouterr().err
    assert not (tmp_path / "boom").exists()
    assert not out.exists()


BETWEEN_PROCESSES_OF_RAY = ["ray_mailbox.py"]
"""One line reads messages of processes of one run, sent as arguments of Ray, which pickles every argument; it reads no file."""


def test_no_code_reads_pickles() -> None:
    reading = re.compile(r"pickle\.loads?\(|read_pickle|allow_pickle=True|joblib|torch\.load\((?!.*weights_only=True)")
    found = []
    for package in ("dataprep", "painmodels", "grid", "dashboards", "pain_grid"):
        for path in (ROOT / package).rglob("*.py"):
            found += [f"{path.name}: {line}" for line in path.read_text().splitlines() if reading.search(line)]
    assert sorted(line.partition(":")[0] for line in found) == BETWEEN_PROCESSES_OF_RAY, found
    assert reading.search("torch.load(path)")


def test_a_subject_is_forgotten(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = Path(shutil.copytree(tiny_grid, tmp_path / "out"))
    table = pd.read_parquet(out / "predictions.parquet")
    subject = table[(table.scenario == "all87") & (table.fold == 0)].subject_name.iloc[0]
    before = {p.parent.name: json.loads(p.read_text()) for p in (out / "store").glob("*/*/manifest.json")}
    assert store_main(["forget", subject, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "fits are stale" in said
    assert "Not touched: the recordings" in said
    # Nothing names the subject any more, and what is left was made without: all87's fits of fold 0, which tested on it.
    for path in out.rglob("*"):
        assert subject not in path.name
        if path.is_file():
            assert subject.encode() not in path.read_bytes(), path
    left = {p.parent.name for p in (out / "store").glob("*/*/manifest.json")}
    trained_without = {k for k, m in before.items() if "subjects" in m["facts"] and subject not in m["facts"]["subjects"]}
    assert left & {k for k, m in before.items() if m["stage"]["name"].startswith("fit-")} <= trained_without
    assert sum(before[k]["stage"]["name"].startswith("fit-") for k in left) >= 9
    stale = (out / "store/stale.csv").read_text().splitlines()
    assert f"{len(stale)} fits are stale" in said
    assert not {line.split(",")[1] for line in stale} & left
    for name in ("predictions.parquet", "report.html", "mlflow.db", "fingerprints.json"):
        assert not (out / name).exists()
    # With the recordings gone too, the grid is computed for everybody else.
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for part in ("video", "biosignals_filtered"):
        shutil.rmtree(data / part / subject)
    index = data / "starting_point/samples.csv"
    index.write_text("\n".join(line for line in index.read_text().splitlines() if subject not in line))
    arguments = ["--modalities", "eda", "--scenarios", "all87", "--data", str(data), "--experiment", str(tiny_experiment)]
    assert main([*arguments, "--out", str(out), "--in-process"]) == 0
    assert subject not in set(pd.read_parquet(out / "predictions.parquet").subject_name)


def test_an_unknown_subject_or_folder_is_said(tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = Path(shutil.copytree(tiny_grid, tmp_path / "out"))
    assert store_main(["forget", "no-such-person", "--out", str(out)]) == 2
    assert "nothing there comes from a subject 'no-such-person'; it knows 5 subjects" in capsys.readouterr().err
    assert (out / "predictions.parquet").exists()
    assert store_main(["forget", "no-such-person", "--out", str(tmp_path)]) == 2
    run = subprocess.run(
        [sys.executable, "-m", "grid.store", "forget", "no-such-person"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 2
    assert "no result folder in runs/" in run.stderr
    assert store_module.__doc__
    assert "forget SUBJECT" in store_module.__doc__
