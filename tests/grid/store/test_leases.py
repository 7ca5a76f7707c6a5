"""Several drivers and one store: what belongs to one that may be alive is never touched, what the dead left is removed."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.records import InputError
from grid.launch import main
from grid.monitor.status import snapshot
from grid.store import leases as lease_module
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.store.leases import ABANDONED_S, file_system, leased, leases, mounted, remove_stale, shares

ROOT = Path(__file__).parents[3]


def entry(root: Path, owner: str, *, silent_s: float = 0.0, **facts: object) -> None:
    """A lease as another driver would have written it."""
    at = root / ".leases" / owner
    at.parent.mkdir(parents=True, exist_ok=True)
    mine = {"host": "elsewhere", "pid": 7, "machine": "another boot", "started": "1", "alone": False}
    at.write_text(json.dumps({**mine, **facts}))
    os.utime(at, (time.time() - silent_s,) * 2)


def unfinished(root: Path, owner: str) -> list[Path]:
    """A draft, a mark and a Tune folder of a driver."""
    made = [root / f".drafts/{owner}.x-1-2/arrays.safetensors", root / f".running/{owner}.x-1", root / f".tune-{owner}.a/b"]
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return made


@pytest.mark.parametrize(
    ("silent_s", "facts", "stays"),
    [
        (0, {}, True),
        (ABANDONED_S / 2, {}, True),  # silent, but it may be a sleeping laptop
        (2 * ABANDONED_S, {}, False),
        (0, {"machine": "here", "pid": os.getppid()}, False),  # the number was given to another process
        (2 * ABANDONED_S, {"machine": "here", "pid": os.getppid(), "started": "its own"}, True),  # stopped for days, alive
        (0, {"machine": "here", "pid": 2**22 + 1}, False),
    ],
)
def test_only_the_dead_are_cleaned_up_behind(tmp_path: Path, silent_s: float, facts: dict, stays: bool) -> None:
    if facts.get("machine") == "here":
        facts = {**facts, "machine": lease_module.machine_id()}
    if facts.get("started") == "its own":
        facts = {**facts, "started": lease_module.started_at(os.getppid())}
    entry(tmp_path, "other", silent_s=silent_s, **facts)
    made = unfinished(tmp_path, "other")
    with leased(Store(tmp_path)) as store:
        mine = unfinished(tmp_path, store.owner)
        assert remove_stale(store) == (set() if stays else {"x-1"})
        assert all(path.exists() for path in mine)
        assert [path.exists() for path in made] == [stays] * 3
    assert [lease.owner for lease in leases(store)] == (["other"] if stays else [])


def test_what_older_versions_left_behind_is_removed(tmp_path: Path) -> None:
    """Without an owner's name."""
    for path in (tmp_path / ".drafts/x-1-2/arrays.safetensors", tmp_path / ".running/x-1", tmp_path / ".tune-abc/b"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with leased(Store(tmp_path)) as store:
        assert remove_stale(store) == {"x-1"}
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "layout.json"]


def test_a_killed_driver_is_known_to_be_dead_at_once(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\nfrom grid.store.leases import leased\nfrom grid.store.artefacts import Store\n"
        "with leased(Store(pathlib.Path(sys.argv[1])), alone=True): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -9
    assert len(leases(Store(tmp_path))) == 1
    with leased(Store(tmp_path)) as store:
        remove_stale(store)
        assert len(leases(store)) == 1


def _sweep_forever(root: Path) -> None:
    while True:
        with leased(Store(root)) as store:
            remove_stale(store)


def test_a_driver_that_begins_during_a_clean_up_keeps_what_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, made = lease_module.leases, []

    def listed(store: Store) -> list[lease_module.Lease]:
        found = whole(store)
        entry(tmp_path, "newcomer")
        made.extend(unfinished(tmp_path, "newcomer"))
        return found

    with leased(Store(tmp_path)) as store:
        monkeypatch.setattr(lease_module, "leases", listed)
        assert remove_stale(store) == set()
        monkeypatch.undo()
    assert len(made) == 3
    assert all(path.exists() for path in made)


def test_a_lease_that_was_taken_away_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a day of sleep, when others took this machine for dead."""
    monkeypatch.setattr(lease_module, "HEARTBEAT_S", 0.01)
    with leased(Store(tmp_path)) as store:
        at = tmp_path / ".leases" / store.owner
        at.unlink()
        until = time.monotonic() + 10
        while not at.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        (lease,) = leases(store)
        assert (lease.owner, lease.pid, lease.at_work) == (store.owner, os.getpid(), True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(b"/mnt/a b/\xc3\xbc/store", "nfs4"), (b"/mnt/\xff/x", "xfs"), (b"/mnt/a", "ext4"), (b"/mnt/a b", "fuse.s3fs")],
)
def test_mounts_of_any_name_are_told_apart(path: bytes, kind: str) -> None:
    lines = rb"""22 1 8:1 / / rw - ext4 /dev/a rw
23 22 8:2 / /mnt/a\040b rw - fuse.s3fs x rw
24 23 8:3 / /mnt/a\040b/\303\274 rw - nfs4 x rw
25 22 8:4 / /mnt/"""
    assert mounted(lines + b"\xff rw - xfs x rw\n", Path(os.fsdecode(path))) == kind


@pytest.mark.slow
def test_no_write_is_lost_beside_a_driver_that_begins_again_and_again(tmp_path: Path) -> None:
    """Drafts used to be removed under the writer's hands: 55 of 200 writes failed."""
    other = multiprocessing.get_context("fork").Process(target=_sweep_forever, args=(tmp_path,))
    other.start()
    try:
        with leased(Store(tmp_path)) as store:
            for i in range(200):
                with store.marked(Stage("y", 1, {})):
                    store.write(Stage("x", 1, {"i": i}), {"a": np.full(1000, i)}, {})
                    assert store.running() == {f"y-{Stage('y', 1, {}).key}"}
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.join()
    assert len(store.keys("x")) == 200


def test_a_writer_that_was_taken_for_dead_writes_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, stage = Store(tmp_path, owner="sleeper"), Stage("x", 1, {})
    whole, seen = os.fsync, []

    def swept(handle: int) -> None:
        whole(handle)
        if not seen:
            seen.append(handle)
            shutil.rmtree(tmp_path / ".drafts")

    monkeypatch.setattr(os, "fsync", swept)
    store.write(stage, {"a": np.arange(3)}, {"f": 1})
    assert seen
    assert store.facts(stage) == {"f": 1}


def test_write_and_has_agree_after_half_a_removal(tmp_path: Path) -> None:
    store, stage = Store(tmp_path), Stage("x", 1, {})
    for left in ("arrays.safetensors", None):
        store.write(stage, {"a": np.arange(3)}, {})
        (store.folder("x", stage.key) / "manifest.json").unlink()
        if left is None:
            (store.folder("x", stage.key) / "arrays.safetensors").unlink()
        assert not store.has(stage)
        assert store.keys("x") == set()
        store.write(stage, {"a": np.arange(4)}, {"again": left})
        assert store.facts(stage) == {"again": left}
        assert len(store.arrays(stage)["a"]) == 4
        store.remove("x", stage.key)
        assert not store.folder("x", stage.key).exists()


def test_where_folders_cannot_be_shared_the_second_driver_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shares(tmp_path), f"{file_system(tmp_path)} is local"
    monkeypatch.setattr(lease_module, "file_system", lambda path: "fuse.s3fs")
    alone = r"process \d+ on .* is working in this store, and several at once need"
    with leased(Store(tmp_path)), pytest.raises(InputError, match=alone):
        leased(Store(tmp_path)).__enter__()
    with leased(Store(tmp_path)) as store:
        pass
    entry(tmp_path, "silent", silent_s=3600)
    with leased(store):
        pass
    entry(tmp_path, "alive", silent_s=60)
    with pytest.raises(InputError, match="process 7 on elsewhere"):
        leased(store).__enter__()


def test_a_driver_for_itself_refuses_and_is_refused(tmp_path: Path) -> None:
    with leased(Store(tmp_path)), pytest.raises(InputError, match="a subject is removed, or may be, by one process alone"):
        leased(Store(tmp_path), alone=True).__enter__()
    with leased(Store(tmp_path), alone=True), pytest.raises(InputError, match="is working in this store"):
        leased(Store(tmp_path)).__enter__()
    with leased(Store(tmp_path)), leased(Store(tmp_path)):
        pass
    entry(tmp_path, "at work", silent_s=-5, alone=True, at_work=True)  # its heartbeat is later than the question
    with pytest.raises(InputError, match="process 7 on elsewhere is working"):
        leased(Store(tmp_path), alone=True).__enter__()


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ['{"layout": 3}', '{"layout": 0}', "{}", "", "[]", '{"layout": "2"}', '{"layout": true}']
)
def test_a_store_of_another_layout_is_refused_in_one_sentence(
    tmp_path: Path, content: str, tiny_data: Path, tiny_experiment: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/layout.json").write_text(content)
    arguments = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(tmp_path), "--in-process"]
    for more in ([], ["--plan"]):
        assert main([*arguments, "--modalities", "eda", *more]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert f"{tmp_path}/store/layout.json: found layout" in line
        assert "choose another --store" in line


def test_a_store_of_the_first_layout_is_read(tiny_grid: Path, tmp_path: Path) -> None:
    """One without a word on its layout."""
    out = Path(shutil.copytree(tiny_grid, tmp_path / "out"))
    (out / "store/layout.json").unlink()
    assert set(snapshot(out).cells.values()) == {"done"}
    with leased(Store(out / "store")) as store:
        assert json.loads((store.root / "layout.json").read_text()) == {"layout": 2}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_two_drivers_on_ray_share_a_store(tiny_data: Path, tiny_experiment: Path, tiny_grid: Path, tmp_path: Path) -> None:
    """Two commands at once, other folders, rows in common: both end well, with the results of one alone."""
    rows = {"a": "eda,eda+ecg", "b": "ecg,eda"}
    runs = {}
    for name, wanted in rows.items():
        arguments = [
            "--data",
            tiny_data,
            "--experiment",
            tiny_experiment,
            "--out",
            tmp_path / name,
            "--store",
            tmp_path / "s",
        ]
        command = [sys.executable, "-m", "grid.launch", *map(str, arguments), "--modalities", wanted, "--scenarios", "all87"]
        runs[name] = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    whole = pd.read_parquet(tiny_grid / "predictions.parquet")
    for name, run in runs.items():
        said, errors = run.communicate(timeout=400)
        assert run.returncode == 0, said + errors
        mine = pd.read_parquet(tmp_path / name / "predictions.parquet")
        expected = whole[whole.modality.isin(rows[name].split(",")) & (whole.scenario == "all87")]
        keys = ["modality", "fold", "sample_name"]
        mine, expected = (t.sort_values(keys).reset_index(drop=True) for t in (mine, expected))
        pd.testing.assert_frame_equal(mine, expected)
    left = [p for p in (tmp_path / "s").rglob("*") if p.is_file() and p.parts[-2] in (".drafts", ".running", ".leases")]
    assert left == []
    assert not list((tmp_path / "s").glob(".tune-*"))
