"""What --plan says of the places that a run would use, and where Ray puts its sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dataprep.records import InputError
from grid.execute.ray_addresses import probe
from grid.launch import main
from grid.run import probes


def test_a_plan_tells_and_checks_its_places(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--all", "--plan", "--data", str(tiny_data), "--experiment", str(tiny_experiment)]
    out = tmp_path / "out"
    assert main([*given, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert f"results     {out} (" in told
    assert f"artefacts   {out / 'store'} (new)" in told
    assert f"tracking    a database in {out}" in told
    assert not (out / "store").exists()
    assert main([*given, "--out", str(out), "--tracking-uri", "http://127.0.0.1:9"]) == 0
    assert "no MLflow answers there now" in capsys.readouterr().out
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it listens, and is no web server
        mute.settimeout(0)
        monkeypatch.setattr(probes, "ANSWER_S", 0.2)
        assert "no MLflow answers there now" in probes.tracking(f"http://127.0.0.1:{mute.getsockname()[1]}", out)
    assert main([*given, "--out", str(out), "--tracking-uri", "htp://127.0.0.1"]) == 2
    assert "--tracking-uri" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([*given, "--out", str(tmp_path / "file" / "out")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert main([*given, "--out", str(out), "--store", str(tmp_path / "file")]) == 2
    assert "--store" in capsys.readouterr().err


def test_a_plan_asks_each_place_once(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked = []
    for name in ("folder", "store", "tracking"):
        whole = getattr(probes, name)
        monkeypatch.setattr(probes, name, lambda *a, _whole=whole, _name=name: (asked.append(_name), _whole(*a))[1])
    given = ["--all", "--plan", "--data", str(tiny_data), "--experiment", str(tiny_experiment)]
    assert main([*given, "--out", str(tmp_path / "out"), "--tracking-uri", f"sqlite:///{tmp_path}/x.db"]) == 0
    assert sorted(asked) == ["folder", "folder", "store", "tracking"]  # the store is a folder, too
    assert f"tracking    sqlite:///{tmp_path}/x.db" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--out", "--store"])
def test_a_folder_that_nobody_may_make_is_a_wrong_option_of_a_run_too(
    option: str, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    named = ["--modalities", "eda", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--in-process"]
    places = {"--out": str(tmp_path / "out")} | {option: "/proc/of nobody/place"}
    assert main([*named, *(part for pair in places.items() for part in pair)]) == 2
    assert f"{option} /proc/of nobody/place: nothing may be written into /proc by this user" in capsys.readouterr().err


def test_a_folder_that_may_not_be_written_to() -> None:
    with pytest.raises(InputError, match=r"--out .*(may be written|is a file)"):
        probes.folder("--out", Path("/proc/self/status/x"))
    if os.geteuid():
        with pytest.raises(InputError, match="may be written"):
            probes.folder("--out", Path("/usr/x"))


def test_auto_asks_whether_a_ray_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match="no Ray runs on this machine"):
        probe("auto", running=frozenset)
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        probe("auto", running=lambda: {there})
        probe(there, running=frozenset)
        monkeypatch.setenv("RAY_ADDRESS", there)
        probe("auto", running=frozenset)
    with pytest.raises(InputError, match="no Ray answers there"):
        probe("auto", running=frozenset)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_long_folder_for_temporary_files_is_no_hindrance(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    long = tmp_path / ("a-long-name-" * 8)
    long.mkdir()
    command = [sys.executable, "-m", "grid.launch", "--modalities", "eda", "--scenarios", "all87", "--folds", "0"]
    named = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "TMPDIR": str(long)}
    environment.pop("RAY_TMPDIR", None)
    done = subprocess.run([*command, *named], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "report.html").exists()
