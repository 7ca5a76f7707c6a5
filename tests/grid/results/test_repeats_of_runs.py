"""A repeat of a finished run reads manifests alone; these say what made them; a disk that is too small is met before the work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dashboards.report import write_report
from grid.launch import main
from grid.plan import disk
from grid.results.provenance import made_with, mixed, versions
from grid.store import artefacts
from grid.store.artefacts import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A finished run with a clip and a signal file that cannot be used; its folder, and its command without --out."""
    at = tmp_path_factory.mktemp("finished")
    data = Path(shutil.copytree(tiny_data, at / "data"))
    next((data / "video").rglob("*-BL1-*.mp4")).write_bytes(b"no video")
    next((data / "biosignals_filtered").rglob("*PA4*_bio.csv")).write_text("time\tgsr\n")
    command = ["--data", str(data), "--experiment", str(tiny_experiment), "--modalities", "frame,eda"]
    command += ["--scenarios", "all87", "--in-process"]
    assert main([*command, "--out", str(at / "out")]) == 0
    return at / "out", command


def no_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> Any:
        raise AssertionError("an array was read")

    monkeypatch.setattr(Store, "arrays", read)
    monkeypatch.setattr(artefacts, "load_file", read)


def test_a_repeat_reads_manifests_alone(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """With recordings in quarantine, too; the tables stay, byte by byte."""
    out = Path(shutil.copytree(finished[0], tmp_path / "out"))
    before = {p.name: p.read_bytes() for p in out.glob("*.*") if p.suffix in (".csv", ".parquet")}
    no_arrays(monkeypatch)
    assert main([*finished[1], "--out", str(out)]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "nothing was computed again" in said
    assert "2 recordings left out" in said
    assert {name: (out / name).read_bytes() for name in before} == before


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.long
def test_a_repeat_of_what_ray_did_opens_no_array(finished: tuple[Path, list[str]], tmp_path: Path) -> None:
    """Every file that is opened is seen, by whatever process. Ray judges the two bad recordings here, and fits."""
    out = tmp_path / "out"
    for stage in ("faces", "features"):
        shutil.copytree(finished[0] / "store" / stage, out / "store" / stage)
    wanted = [a for a in finished[1] if a != "--in-process"]
    command = [sys.executable, "-m", "grid.launch", *wanted, "--out", str(out)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2 recordings left out" in first.stdout
    assert len(list((out / "store/quarantine").iterdir())) == 1
    opened = tmp_path / "opened"
    traced = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", str(opened), *command]
    again = subprocess.run(traced, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing was computed again" in again.stdout
    assert "starting Ray" not in again.stdout
    inside = [line for line in opened.read_text(errors="replace").splitlines() if f"{out}/store/" in line]
    assert [line for line in inside if "manifest.json" in line]
    assert not [line for line in inside if "safetensors" in line]


@pytest.mark.parametrize(("name", "gone"), [("scores.csv", False), ("predictions.parquet", True), ("tables.json", False)])
def test_a_table_that_is_lost_or_changed_is_written_again(
    finished: tuple[Path, list[str]], tmp_path: Path, name: str, gone: bool, capsys: pytest.CaptureFixture
) -> None:
    out = Path(shutil.copytree(finished[0], tmp_path / "out"))
    before = (out / name).read_bytes()
    if gone:
        (out / name).unlink()
    else:
        (out / name).write_bytes(before[:-1])
    assert main([*finished[1], "--out", str(out)]) == 0
    capsys.readouterr()
    assert (out / name).read_bytes() == before


def test_work_that_needs_no_video_reads_none(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out = Path(shutil.copytree(finished[0], tmp_path / "out"))
    shutil.rmtree(out / "store/fit-physiological-eda")
    for path in (out / "store/predict").iterdir():
        if (
            json.loads((path / "manifest.json").read_text())["facts"]["first_step"] == 0
            and "frame" not in (path / "manifest.json").read_text()
        ):
            shutil.rmtree(path)
    whole, read = Store.arrays, []
    monkeypatch.setattr(Store, "arrays", lambda self, stage: (read.append(stage.name), whole(self, stage))[1])
    assert main([*finished[1], "--out", str(out)]) == 0
    assert "2 fits computed" in capsys.readouterr().out
    assert not {"features", "faces"} & set(read)


def test_a_manifest_says_what_made_it(finished: tuple[Path, list[str]]) -> None:
    import av
    import numpy as np
    import torch

    manifests = [json.loads(p.read_text()) for p in (finished[0] / "store").glob("*/*/manifest.json")]
    assert {m["stage"]["name"] for m in manifests} >= {
        "faces",
        "features",
        "signals",
        "quarantine",
        "predict",
        "fit-spatial",
    }
    for manifest in manifests:
        made = manifest["made_by"]
        assert {"python", "torch", "numpy", "scikit-learn", "scipy", "av", "onnxruntime", "commit", "device"} == set(made)
        assert (made["numpy"], made["av"], made["device"]) == (np.__version__, av.__version__, "cpu")
        assert torch.__version__.startswith(made["torch"].split("+")[0])
    run = json.loads((finished[0] / "run.json").read_text())
    assert len(run["made_with"]) == 1
    assert not [n for n in run["notes"] if n.startswith("Mixed")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"torch": "1.0"}, "torch: "),
        (None, "not recorded"),
        ({"device": "cuda"}, "device: cpu and cuda within fit-physiological-eda"),
    ],
)
def test_a_mixed_set_is_told_in_run_json_and_in_the_report(
    finished: tuple[Path, list[str]],
    tmp_path: Path,
    changed: dict[str, str] | None,
    said: str,
    capsys: pytest.CaptureFixture,
) -> None:
    """As after an upgrade half-way: the old weights keep the old versions."""
    out = Path(shutil.copytree(finished[0], tmp_path / "out"))
    path = next((out / "store/fit-physiological-eda").glob("*/manifest.json"))
    manifest = json.loads(path.read_text())
    path.write_text(
        json.dumps(
            {**manifest, "made_by": {**manifest["made_by"], **changed}}
            if changed
            else {k: v for k, v in manifest.items() if k != "made_by"}
        )
    )
    assert main([*finished[1], "--out", str(out)]) == 0
    capsys.readouterr()
    run = json.loads((out / "run.json").read_text())
    (note,) = [n for n in run["notes"] if n.startswith("Mixed")]
    assert said in note
    assert len(run["made_with"]) == 2
    if changed and "torch" in changed:
        assert run["versions"]["torch"] == f"1.0 and {manifest['made_by']['torch']}"
    page = write_report(out).read_text()
    assert "were not all made alike" in page
    assert "1 fit-physiological-eda" in page


def test_face_tracks_of_another_version_are_told(
    finished: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """They serve new features: what detected the faces is a part of what made the results."""
    out = Path(shutil.copytree(finished[0], tmp_path / "out"))
    path = next((out / "store/faces").glob("*/manifest.json"))
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "made_by": {**manifest["made_by"], "onnxruntime": "1.0"}}))
    assert main([*finished[1], "--out", str(out)]) == 0
    capsys.readouterr()
    run = json.loads((out / "run.json").read_text())
    assert "onnxruntime: " in " ".join(n for n in run["notes"] if n.startswith("Mixed"))
    assert {row["stage"] for row in run["stages"]} == {"features", "signals", "fit-spatial", "fit-physiological-eda"}


def test_devices_of_other_stages_are_no_mixture() -> None:
    def one(device: str) -> dict[str, Any]:
        return {"facts": {}, "made_by": {"torch": "2", "device": device}}

    makers = made_with({"features": (1, [one("cuda:0"), one("cuda:1")]), "signals": (1, [one("cpu")])})
    assert mixed(makers) == ""
    assert versions(makers, {"ray": "3", "torch": "9"}) == {"ray": "3", "torch": "2"}


def test_a_disk_that_is_too_small_is_met_before_the_work(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(disk, "free", lambda root: 100_000)
    monkeypatch.setattr("grid.run.show.free", lambda root: 100_000)
    assert main([*finished[1], "--out", str(tmp_path / "new")]) == 1
    error = capsys.readouterr().err
    assert "No space left on device for what is to be made: found 100 kB free" in error
    assert not list((tmp_path / "new/store").glob("[a-z]*/*/manifest.json"))
    assert main([*finished[1], "--out", str(tmp_path / "new"), "--plan"]) == 0
    assert "TOO LITTLE" in capsys.readouterr().out
    out = Path(shutil.copytree(finished[0], tmp_path / "out"))
    assert main([*finished[1], "--out", str(out)]) == 0  # nothing is to be made


def test_the_plan_says_what_the_disk_is_asked_for(
    finished: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Features: within a tenth of what they then take; signals are so small here that their manifests weigh as much."""
    assert main([*finished[1], "--out", str(tmp_path / "new"), "--plan"]) == 0
    said = capsys.readouterr().out
    taken = {
        name: sum(p.stat().st_size for p in (finished[0] / "store" / name).rglob("*") if p.is_file())
        for name in ("features", "signals", "faces")
    }
    units = {"kB": 1e3, "MB": 1e6}
    told = {
        line.split()[0]: line.split()[-2:] for line in said.splitlines() if line.split()[:1] in (["features"], ["signals"])
    }
    for name, (number, unit) in told.items():
        made = len(list((finished[0] / "store" / name).iterdir()))
        planned = 10 if name == "features" else 5
        trials = 9 / 10 if name == "signals" else 1
        assert float(number) * units[unit] * made / planned * trials == pytest.approx(
            taken[name], rel=0.1 if name == "features" else 0.4
        )
    assert "face tracks" in said
