"""A subject is forgotten in every folder of a store, whatever is killed when; a search for the name finds nothing afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from grid.launch import main
from grid.removal.forget import main as forget_main
from grid.removal.residue import residue
from grid.store.artefacts import Store
from grid.store.leases import leased
from grid.tracking import mirrors
from grid.tracking.mirrors import held

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SKIP = ("data", "store", ".lock")


@pytest.fixture(scope="module")
def shared(tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two result folders, a and b, that work with one store, s. Not to be changed: see `copied`."""
    at = tmp_path_factory.mktemp("shared")
    for name, rows in (("a", "eda,eda:argmax"), ("b", "ecg,eda")):
        arguments = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(at / name)]
        more = ["--store", str(at / "s"), "--modalities", rows, "--scenarios", "all87", "--in-process"]
        assert main([*arguments, *more]) == 0
    return at


def copied(shared: Path, to: Path) -> Path:
    """The two folders and their store elsewhere, told of each other as if they had been made there."""
    shutil.copytree(shared, to)
    for name in ("a", "b"):
        (to / name / "store").write_text(f"{to / 's'}\n")
    for entry in (to / "s/.folders").iterdir():
        facts = json.loads(entry.read_text())
        entry.write_text(json.dumps({**facts, "out": str(to / Path(facts["out"]).name)}))
    (to / "s/.checkpoints").mkdir(exist_ok=True)
    (to / "s/.checkpoints/fit-x-1.safetensors").touch()
    return to


@pytest.fixture
def subject(shared: Path) -> str:
    return str(pd.read_parquet(shared / "a/predictions.parquet").subject_name.iloc[0])


def left(at: Path, subject: str) -> list[str]:
    """An own search, beside the one of the command: bytes of every file, and the tables' columns."""
    found = []
    for path in at.rglob("*"):
        inside = path.is_file() and subject.encode() in path.read_bytes()
        if path.suffix == ".parquet":
            inside |= subject in pd.read_parquet(path).astype(str).to_numpy()
        if inside or subject in path.name:
            found.append(str(path))
    return found


def test_the_search_finds_what_there_is(shared: Path, subject: str) -> None:
    """So that finding nothing says something: tables, manifests, hashes of recordings and the report's data."""
    found = {Path(p).relative_to(shared).as_posix() for p in residue(shared, subject)}
    assert {f"{x}/{name}" for x in "ab" for name in ("predictions.parquet", "fingerprints.json")} <= found
    assert any(p.startswith("s/signals/") for p in found)
    assert any(p.startswith("s/fit-physiological-eda/") for p in found)
    assert set(left(shared, subject)) <= {str(shared / p) for p in found}
    assert not residue(shared, "nobody_w_99")


@pytest.mark.parametrize("asked", [["a"], ["a", "b"], ["b", "a"]])
def test_all_folders_of_a_store_are_cleaned_and_again_is_no_error(
    shared: Path, subject: str, tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture
) -> None:
    at = copied(shared, tmp_path / "at")
    command = ["forget", subject, *(word for name in asked for word in ("--out", str(at / name)))]
    assert forget_main(command) == 0
    said = capsys.readouterr().out
    assert f"a search for {subject} in {at / 's'} and" in said
    assert "finds nothing" in said
    assert left(at, subject) == []
    assert not (at / "s/.checkpoints").exists()
    kept = set((at / "s").glob("*/*/manifest.json"))
    assert kept, "what did not come from the subject stays"
    stale = (at / "s/stale.csv").read_text()
    assert forget_main(command) == 0
    assert "removed nothing" in capsys.readouterr().out
    assert set((at / "s").glob("*/*/manifest.json")) == kept
    assert (at / "s/stale.csv").read_text() == stale
    assert forget_main(["forget", "nobody", "--out", str(at / "a")]) == 2
    assert "comes from a subject 'nobody'" in capsys.readouterr().err


class Killed(BaseException):
    """As SIGKILL: nothing catches it, and nothing after it is done."""


@contextmanager
def killed_at(moment: int) -> Iterator[list[int]]:
    """Every call that changes a file is counted; the one with this number, and all after it, are not made."""
    count = [0]
    names = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            whole = getattr(os, name)

            def call(*args: object, _whole: object = whole, **more: object) -> object:
                count[0] += 1
                if moment and count[0] >= moment:
                    raise Killed
                return _whole(*args, **more)  # type: ignore[operator]

            patch.setattr(os, name, call)
        yield count


def test_killed_at_seeded_moments_the_same_command_ends_it(
    shared: Path, subject: str, tmp_path: Path, tiny_data: Path, tiny_experiment: Path, capsys: pytest.CaptureFixture
) -> None:
    def command(at: Path) -> list[str]:
        return ["forget", subject, "--out", str(at / "a"), "--out", str(at / "b")]

    at = copied(shared, tmp_path / "whole")
    with killed_at(0) as count:
        assert forget_main(command(at)) == 0
    whole = {p.parent.name for p in (at / "s").glob("*/*/manifest.json")}
    moments = sorted({8, *random.Random(13).sample(range(5, count[0]), 3), count[0] - 3})
    for moment in moments:
        at = copied(shared, tmp_path / str(moment))
        with killed_at(moment), pytest.raises(Killed):
            forget_main(command(at))
        capsys.readouterr()
        for stage in (at / "s").glob("[!.]*/"):
            for folder in stage.iterdir() if stage.is_dir() else ():
                assert (folder / "manifest.json").exists(), "an artefact is there whole, or not at all"
        arguments = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(at / "a"), "--in-process"]
        assert main([*arguments, "--modalities", "eda", "--scenarios", "all87"]) in (0, 2)
        refused = capsys.readouterr().err
        assert not refused or "the removal of a subject was begun here and has not ended" in refused
        assert forget_main(command(at)) == 0, capsys.readouterr().err
        assert left(at, subject) == [], moment
        assert {p.parent.name for p in (at / "s").glob("*/*/manifest.json")} <= whole
        assert "finds nothing" in capsys.readouterr().out


def test_a_store_at_work_is_left_alone(shared: Path, subject: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    at = copied(shared, tmp_path / "at")
    with leased(Store(at / "s")):
        assert forget_main(["forget", subject, "--out", str(at / "a")]) == 2
    assert "is working in this store" in capsys.readouterr().err
    assert (at / "a/predictions.parquet").exists()


def test_what_cannot_be_removed_is_said(shared: Path, subject: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The search at the end is a search, not a formality."""
    at = copied(shared, tmp_path / "at")
    note = at / "s/notes.txt"
    note.write_text(f"{subject} moved a lot")
    assert forget_main(["forget", subject, "--out", str(at / "a")]) == 1
    assert str(note) in capsys.readouterr().err
    note.unlink()
    assert forget_main(["forget", subject, "--out", str(at / "a")]) == 0


def test_damaged_files_do_not_stop_a_removal(
    shared: Path, subject: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """A table cut short by a full disk, manifests that the power cut left behind."""
    at = copied(shared, tmp_path / "at")
    table = at / "a/predictions.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    for name, content in (("x", b"{"), ("y", b"[]"), ("z", b"\0\0")):
        (at / f"a/mlartifacts/{name}").mkdir(parents=True)
        (at / f"a/mlartifacts/{name}/manifest.json").write_bytes(content)
        (at / f"s/signals/{name}").mkdir()
        (at / f"s/signals/{name}/manifest.json").write_bytes(content)
    assert forget_main(["forget", subject, "--out", str(at / "a")]) == 0, capsys.readouterr().err
    assert left(at, subject) == []
    assert not (at / "s/signals/x").exists()


@pytest.mark.parametrize(("subject", "others"), [("07", ["071"]), ("P1", ["P10", "P1-b"]), ("δ_m", []), ('a"b', [])])
def test_names_of_every_sort_are_found_and_no_others(tmp_path: Path, subject: str, others: list[str]) -> None:
    def manifest(name: str, facts: dict) -> None:
        at = tmp_path / f"s/signals/{name}/manifest.json"
        at.parent.mkdir(parents=True)
        at.write_text(json.dumps({"stage": {}, "facts": facts}))

    for i, other in enumerate(others):
        manifest(f"other{i}", {"subject": other})
    pd.DataFrame({"subject_name": others, "n": 1}).to_parquet(tmp_path / "others.parquet")
    assert residue(tmp_path, subject, others=others) == []
    manifest("mine", {"subject": subject})
    pd.DataFrame({"subject_name": [subject, *others], "n": 1}).to_parquet(tmp_path / "mine.parquet")
    pd.DataFrame({"trial": [f"{subject}-BL1-1"]}).astype("category").to_parquet(tmp_path / "trials.parquet")
    found = {Path(p).relative_to(tmp_path).parts[-1] for p in residue(tmp_path, subject, others=others)}
    assert found == {"manifest.json", "mine.parquet", "trials.parquet"}


def test_a_name_in_a_database_is_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("create table t (a text)")
        database.execute("insert into t values ('/data/071309_w_21/071309_w_21-BL1-1.mp4')")
    database.close()
    assert residue(tmp_path, "071309_w_21") == [str(tmp_path / "x.db")]


def test_what_a_server_holds_is_listed(shared: Path, subject: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Another database than the folder's own stands for a server; one that does not answer is told of, too."""
    from grid.tracking import sync

    out = copied(shared, tmp_path / "at") / "a"
    sync.sync(out, f"sqlite:///{tmp_path / 'elsewhere.db'}")
    for again in range(2):
        assert forget_main(["forget", subject, "--out", str(out)]) == 0
        said = capsys.readouterr().out
        assert f"MLflow at sqlite:///{tmp_path / 'elsewhere.db'} holds" in said, again
        assert "delete them there" in said
        assert "of 'tiny stages': physiological-" in said
    (out / "mirrors.json").write_text('[{"uri": "http://127.0.0.1:9", "experiment": "tiny"}]')
    assert forget_main(["forget", subject, "--out", str(out)]) == 0
    assert "MLflow at http://127.0.0.1:9 could not be asked" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"\xff"])
def test_a_server_that_is_no_mlflow_is_told_of(answer: bytes, tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "mirrors.json").write_text(json.dumps([{"uri": uri, "experiment": "tiny"}]))
        (tmp_path / "stale.csv").write_text("fit-x,1,x,2026-01-01\n")
        (line,) = held([tmp_path], tmp_path)
        server.shutdown()
    assert f"MLflow at {uri} could not be asked" in line


def test_a_bug_in_the_question_to_a_server_is_no_answer(
    shared: Path, subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("planted")

    out = copied(shared, tmp_path / "at") / "a"
    (out / "mirrors.json").write_text(json.dumps([{"uri": f"sqlite:///{tmp_path}/x.db", "experiment": "tiny"}]))
    monkeypatch.setattr(mirrors, "runs_of", broken)
    assert forget_main(["forget", subject, "--out", str(out)]) == 3
    assert "this is a bug in this program (KeyError: 'planted')" in capsys.readouterr().err
