"""What a data set's keys depend on: the recordings that are used and how they are read; nothing else beside them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataprep.datasets import datasets as all_datasets
from dataprep.datasets import synthetic
from grid.experiment import config
from grid.plan.inventory import read_inventory
from grid.plan.planner import Planner
from grid.store import content_hashes as fingerprints_module
from grid.store.content_hashes import fingerprints

INDEX = Path("starting_point/samples.csv")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set was written a moment ago; as if it had been before."""
    monkeypatch.setattr(fingerprints_module, "FRESH_S", -1.0)


def keys(
    data: Path, experiment: Path, memory: Path, *rows: str, scenarios: tuple[str, ...] = ("all87",), **changes: Any
) -> Any:
    """Fingerprint, (row, fold) -> key and seed of the fit, and the keys of the signals' blocks."""
    loaded = config.load(str(experiment), **changes)
    found = read_inventory(data, loaded, rows=rows, scenarios=scenarios, memory=memory / "fingerprints.json")
    plan = Planner(loaded, found.dataset, found.inputs()).build(rows, scenarios)
    fits = {(c.modality, c.scenario, c.fold): (p.fit.stage.key, p.fit.stage.seed) for c, p in plan.predicts.items()}
    return found.fingerprint, fits, {job.subject: job.stage.key for job in found.signals}


def reading(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Another version of the reader."""
    other = {**all_datasets(), "synthetic": replace(synthetic.DATASET, **changes)}
    monkeypatch.setattr("dataprep.datasets.datasets", lambda: other)


ROWS = ("eda", "video", "eda+ecg+video", "eda:argmax")


def test_the_order_of_the_index_is_nobodys_identity(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    whole = keys(tiny_data, tiny_experiment, tmp_path, *ROWS)
    for seed in range(3):
        data = Path(shutil.copytree(tiny_data, tmp_path / f"data{seed}"))
        head, *lines = (data / INDEX).read_text().splitlines()
        (data / INDEX).write_text("\n".join([head, *np.random.default_rng(seed).permutation(lines)]))
        assert keys(data, tiny_experiment, tmp_path, *ROWS) == whole
    lines = lines[::-1]
    (data / INDEX).write_text("\n".join([head, *lines]))
    for protocol in ("sample", "loso"):
        changed = {"protocol": {"name": protocol}}
        assert keys(data, tiny_experiment, tmp_path, *ROWS, **changed) == keys(
            tiny_data, tiny_experiment, tmp_path, *ROWS, **changed
        )


def test_a_mended_reader_makes_new_signals_and_no_new_faces(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before, blocks = keys(tiny_data, tiny_experiment, tmp_path, *ROWS)
    reading(monkeypatch, version=2)
    _, after, others = keys(tiny_data, tiny_experiment, tmp_path, *ROWS)
    assert set(blocks.values()).isdisjoint(others.values())
    for cell, key in before.items():
        assert (after[cell] == key) == (cell[0] == "video")


@pytest.mark.parametrize("channels", [("eda", "ecg", "emg_trapezius", "skin"), ("skin", "ecg", "eda"), ("eda", "ecg")])
def test_channels_that_no_row_uses_are_in_no_key(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: tuple[str, ...]
) -> None:
    _, fits, blocks = keys(tiny_data, tiny_experiment, tmp_path, "eda", "eda:argmax")
    reading(monkeypatch, channels=channels)
    assert keys(tiny_data, tiny_experiment, tmp_path, "eda", "eda:argmax")[1:] == (fits, blocks)


def test_the_rows_and_scenarios_asked_for_change_no_key_of_the_others(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    fingerprint, whole, _ = keys(tiny_data, tiny_experiment, tmp_path, *ROWS, scenarios=("all87", "expressive67"))
    for rows in (("eda",), ("video",), ("eda:argmax", "eda")):
        for scenarios in (("all87",), ("expressive67",)):
            found, fits, _ = keys(tiny_data, tiny_experiment, tmp_path, *rows, scenarios=scenarios)
            assert found == fingerprint
            assert fits == {cell: whole[cell] for cell in fits}


def test_a_recording_that_changes_changes_the_fingerprint_though_no_row_asks_for_it(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    before = keys(data, tiny_experiment, tmp_path, "eda")
    file = next((data / "video").rglob("*.mp4"))
    file.write_bytes(file.read_bytes() + b"x")
    after = keys(data, tiny_experiment, tmp_path, "eda")
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_under_sample_a_held_out_trial_reaches_no_fit(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """A subject's trials are on both sides there: other signals of a held-out one leave key and seed as they are."""
    how = {"protocol": {"name": "sample", "folds": 2}}
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    _, before, _ = keys(data, tiny_experiment, tmp_path, "eda", "eda:argmax", **how)
    loaded = config.load(str(tiny_experiment), **how)
    found = read_inventory(data, loaded, rows=["eda"], scenarios=["all87"], memory=tmp_path / "fingerprints.json")
    plan = Planner(loaded, found.dataset, found.inputs()).build(["eda"], ["all87"])
    (predict,) = [p for c, p in plan.predicts.items() if c.fold == 0]
    trial = predict.test.trial_ids[0]
    subject = trial.partition("-")[0]
    assert subject in predict.fit.train.subjects
    file = data / "biosignals_filtered" / subject / f"{trial}_bio.csv"
    file.write_text(file.read_text().replace("\n", " \n", 1))
    _, after, _ = keys(data, tiny_experiment, tmp_path, "eda", "eda:argmax", **how)
    for cell, key in before.items():
        assert (after[cell] == key) == (cell[2] == 0), cell


@pytest.mark.parametrize("how", ["written in place", "renamed over", "copied over"])
def test_a_recording_replaced_with_the_same_size_and_time_is_noticed(tmp_path: Path, how: str) -> None:
    file, other, memory = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "memory.json"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    (before,) = fingerprints([str(file)], memory).values()
    stat = file.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    if how == "written in place":
        file.write_bytes(b"two")
    elif how == "renamed over":
        os.replace(other, file)
    else:
        shutil.copy2(other, file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (3, stat.st_mtime_ns)
    assert list(fingerprints([str(file)], memory).values()) != [before]


def test_what_is_remembered_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the hashes of before, or these: never an empty file."""
    file, memory, done = tmp_path / "x.csv", tmp_path / "fingerprints.json", []
    file.write_text("1")
    for name in ("fsync", "replace"):
        whole = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _whole=whole, _name=name: (done.append(_name), _whole(*a))[1])
    fingerprints([str(file)], memory)
    assert done[:2] == ["fsync", "replace"]
    assert [p.name for p in tmp_path.iterdir() if "fingerprints" in p.name] == ["fingerprints.json"]


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, memory = tmp_path / "a", tmp_path / "memory.json"
    file.write_bytes(b"one")
    hashed: list[str] = []
    whole = fingerprints_module.hash_of
    monkeypatch.setattr(fingerprints_module, "hash_of", lambda f: (hashed.append(f), whole(f))[1])
    for fresh_s, times in ((3600.0, 1), (3600.0, 2), (-1.0, 3), (-1.0, 3)):
        monkeypatch.setattr(fingerprints_module, "FRESH_S", fresh_s)
        fingerprints([str(file)], memory)
        assert len(hashed) == times


@pytest.mark.parametrize("entry", [[3, 1, "0" * 16], None, "x", [], {}])
def test_what_an_older_version_remembered_is_hashed_again(tmp_path: Path, entry: object) -> None:
    file, memory = tmp_path / "a", tmp_path / "memory.json"
    file.write_bytes(b"one")
    (value,) = fingerprints([str(file)], tmp_path / "new.json").values()
    memory.write_text(json.dumps({str(file): entry}))
    assert fingerprints([str(file)], memory) == {str(file): value}
    memory.write_text("[]")
    assert fingerprints([str(file)], memory) == {str(file): value}
