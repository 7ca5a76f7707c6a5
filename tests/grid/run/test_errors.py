"""Bad input: exit code 2, one message that says what was found and what is expected, no traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from grid.launch import main


def launch(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return code, out.out, out.err


def test_nothing_asked_for(capsys: pytest.CaptureFixture) -> None:
    code, _, err = launch(capsys)
    assert code == 2
    assert "say what to compute: --all" in err


def test_a_limit_on_processors_is_for_ray_on_this_machine(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for wrong in (("--cpus", 0), ("--cpus", "two"), ("--cpus", 1, "--in-process"), ("--cpus", 1, "--address", "auto")):
        code, _, err = launch(capsys, "--all", *wrong, "--out", tmp_path / "o")
        assert code == 2
        assert "--cpus" in err
    wanted = (
        "--modalities",
        "eda",
        "--data",
        tiny_data,
        "--experiment",
        "demo",
        "--protocol",
        "loso",
        "--out",
        tmp_path / "o",
    )
    code, out, _ = launch(capsys, *wanted, "--plan", "--cpus", 1)
    assert code == 0
    assert "for the 1 at once of this machine" in out
    assert "this machine (1 processor)" in out


def test_data_path_missing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code, _, err = launch(capsys, "--all", "--data", tmp_path / "nowhere", "--experiment", "demo", "--out", tmp_path / "o")
    assert code == 2
    assert f"{tmp_path / 'nowhere'}: there is no such folder" in err


def test_not_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "holiday.jpg").touch()
    code, _, err = launch(capsys, "--all", "--data", tmp_path, "--experiment", "demo", "--out", tmp_path / "o")
    assert code == 2
    assert "found holiday.jpg" in err
    assert "starting_point" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--modalities", "edaa"), "unknown modality 'edaa': did you mean 'eda'?"),
        (("--scenarios", "all78"), "unknown scenario 'all78': did you mean 'all87'?"),
        (("--folds", "9"), "there are 2 folds, numbered 0 to 1"),
        (("--all", "--dataset", "biovit"), "Did you mean 'biovid'?"),
        (("--all", "--trunk", "alexnet"), "alexnet-fer-bn"),
    ],
)
def test_mistyped(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: tuple, message: str
) -> None:
    code, _, err = launch(capsys, *arguments, "--data", tiny_data, "--experiment", tiny_experiment, "--out", tmp_path)
    assert code == 2
    assert message in err


def test_more_folds_than_subjects(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code, _, err = launch(capsys, "--modalities", "eda", "--data", tiny_data, "--experiment", "demo", "--out", tmp_path)
    assert code == 2
    assert "10 folds by subject asked for, but there are 5 subjects" in err


def test_the_paper_s_weights_missing(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIN_GRID_WEIGHTS", str(tmp_path / "none"))
    code, _, err = launch(capsys, "--all", "--data", tiny_data, "--out", tmp_path)
    assert code == 2
    for hint in (
        "Albanie",
        "painmodels.weights import",
        "--trunk mini-xception-fer",
        "--trunk alexnet-table1 --random-trunk",
        "These rows need none: --modalities ecg,eda,eda+ecg,",
    ):
        assert hint in err
    free = err.rpartition("--modalities ")[2].strip()
    code, _, _ = launch(capsys, "--modalities", free, "--data", tiny_data, "--protocol", "loso", "--out", tmp_path, "--plan")
    assert code == 0
    code, _, err = launch(capsys, "--modalities", "video", "--data", tiny_data, "--out", tmp_path)
    assert code == 2
    assert "Rows without video need none: --modalities eda" in err


def test_a_detector_without_weights_stops_before_any_work(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIN_GRID_RETINAFACE", "")  # put back afterwards
    absent = tmp_path / "absent.onnx"
    base = ("--modalities", "frame", "--data", tiny_data, "--experiment", tiny_experiment, "--in-process", "--out", tmp_path)
    code, _, err = launch(capsys, *base, "--detector", "retinaface", "--detector-weights", absent)
    assert code == 2
    assert f"{absent}: no such file" in err
    assert not (tmp_path / "quarantine.csv").exists()
    code, _, err = launch(capsys, *base, "--detector", "haar")
    assert code == 2
    assert "expected one of retinaface-mobile, retinaface" in err


@pytest.fixture
def copy(tiny_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_data, tmp_path / "copy"))


def test_a_subject_folder_missing_is_said_and_the_rest_goes_on(
    copy: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    gone = sorted((copy / "biosignals_filtered").iterdir())[0]
    shutil.rmtree(gone)
    out = tmp_path / "out"
    arguments = ("--modalities", "eda", "--scenarios", "all87", "--in-process")
    code, text, _ = launch(capsys, *arguments, "--data", copy, "--experiment", tiny_experiment, "--out", out)
    assert code == 0
    assert gone.name in text
    left_out = pd.read_csv(out / "quarantine.csv")
    assert set(left_out.subject) == {gone.name}
    assert len(left_out) == 2
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert gone.name not in set(predictions.subject_name)
    assert predictions.subject_name.nunique() == 4


@pytest.mark.slow
def test_broken_recordings_are_left_out_and_counted(
    copy: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    csv_files = sorted((copy / "biosignals_filtered").rglob("*.csv"))
    csv_files[0].write_text(csv_files[0].read_text().replace("gsr", "gsx", 1))
    videos = sorted((copy / "video").rglob("*.mp4"))
    videos[3].write_bytes(videos[3].read_bytes()[:2000])
    out = tmp_path / "out"
    arguments = ("--modalities", "eda,frame", "--scenarios", "all87", "--in-process")
    base = ("--data", copy, "--experiment", tiny_experiment, "--out", out)
    code, text, _ = launch(capsys, *arguments, *base)
    assert code == 0
    assert "2 recordings left out" in text
    left_out = pd.read_csv(out / "quarantine.csv").set_index("part")
    assert left_out.loc["signals", "trial_id"] in csv_files[0].name
    assert "gsr" in left_out.loc["signals", "reason"]
    assert left_out.loc["video", "trial_id"] == videos[3].stem
    predictions = pd.read_parquet(out / "predictions.parquet")
    tested = predictions.groupby("modality").sample_name.nunique()
    assert tested.to_dict() == {"eda": 9, "frame": 9}
    code, text, err = launch(capsys, *arguments, *base, "--strict")
    assert code == 2
    assert "--strict" in err


def test_rows_that_a_data_set_cannot_serve_are_rows_with_a_reason(
    copy: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shutil.rmtree(copy / "video")
    out = tmp_path / "out"
    base = ("--data", copy, "--experiment", tiny_experiment, "--out", out, "--in-process")
    assert launch(capsys, "--modalities", "ecg,video", *base)[0] == 0
    problems = pd.read_csv(out / "failures.csv")
    assert len(problems) == 4
    assert set(problems.modality) == {"video"}
    assert set(problems.status) == {"impossible"}
    assert problems.reason.str.contains("no usable video").all()
    scores = pd.read_csv(out / "scores.csv")
    assert len(scores) == 8
    assert scores.accuracy.notna().sum() == 4
    code, _, err = launch(capsys, "--modalities", "video", *base)
    assert code == 2
    assert "no usable video" in err
