"""A failure is never a result: what is the machine's or this program's fault costs cells, never recordings, and never exits 0."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dataprep import faces
from dataprep.faults import BUG, DIVERGED, INPUT, MACHINE, RECORDING, classify, exit_code, guarded
from dataprep.records import InputError, RecordingError
from grid.execute import in_process_executor
from grid.experiment.config import ConfigError, load
from grid.launch import main
from grid.store.artefacts import Store
from grid.work import attempts, prepare
from painmodels.training.loop import DivergedError


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSE_S", 0.0)


def arguments(data: Path, experiment: Path, out: Path, rows: str = "eda") -> list[str]:
    named = ["--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    return ["--modalities", rows, "--scenarios", "all87", "--in-process", *named]


def scores(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "scores.csv").drop(columns=["n_test"])


def test_kinds_and_exit_codes() -> None:
    assert classify(RecordingError("a")) == RECORDING
    assert classify(InputError("a")) == classify(ConfigError("a")) == INPUT
    full, lost = OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "Input/output error")
    for error in (full, lost, FileNotFoundError(errno.ENOENT, "", "x"), MemoryError(), TimeoutError(), BlockingIOError()):
        assert classify(error) == MACHINE
    assert classify(DivergedError("nan")) == DIVERGED
    assert classify(RuntimeError("CUDA error: initialization error")) == MACHINE
    for bug in (ValueError("a"), KeyError("a"), TypeError("a"), AssertionError(), RuntimeError("a"), ImportError("a")):
        assert classify(bug) == BUG
    assert [exit_code(k) for k in ([], [RECORDING], [INPUT], [INPUT, MACHINE], [MACHINE, BUG, INPUT])] == [0, 0, 2, 1, 3]


def test_a_bug_says_that_it_is_one_and_where_its_traceback_lies(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def broken() -> int:
        raise KeyError("eda")

    assert guarded(broken, log=lambda: tmp_path / "logs") == 3
    told = capsys.readouterr().err
    assert "this is a bug in this program (KeyError: 'eda')" in told
    assert "in broken" in (tmp_path / "logs" / "bug.txt").read_text()
    assert str(tmp_path / "logs" / "bug.txt") in told
    assert guarded(broken) == 3
    assert "Traceback" in capsys.readouterr().err

    def stopped() -> int:
        raise KeyboardInterrupt

    assert guarded(stopped) == 130


@pytest.mark.slow
def test_writes_that_time_out_now_and_then_cost_nothing(
    tiny_data: Path, tiny_experiment: Path, tiny_grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Store.write, [0]

    def flaky(self: Store, stage, arrays, facts) -> None:
        if stage.name in ("signals", "features"):
            calls[0] += 1
            if calls[0] % 3 == 1:
                raise TimeoutError("the store did not answer")
        real(self, stage, arrays, facts)

    monkeypatch.setattr(Store, "write", flaky)
    assert main(arguments(tiny_data, tiny_experiment, tmp_path, "eda,frame")) == 0
    assert calls[0] > 5
    assert pd.read_csv(tmp_path / "quarantine.csv").empty
    mine, whole = scores(tmp_path), scores(tiny_grid)
    whole = whole[whole.modality.isin(["eda", "frame"]) & (whole.scenario == "all87")]
    pd.testing.assert_frame_equal(
        mine.sort_values(["modality", "fold"], ignore_index=True), whole.sort_values(["modality", "fold"], ignore_index=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "no such file", "x.mp4"), 1),
        (ImportError("no module named cv2"), 3),
    ],
)
def test_a_failed_preparation_fails_what_needs_it_and_is_tried_again(
    error: Exception,
    code: int,
    tiny_data: Path,
    tiny_experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def broken(job, store) -> None:
        if job.subject == sorted((tiny_data / "biosignals_filtered").iterdir())[2].name:
            raise error
        return prepare.run_signals(job, store)

    with monkeypatch.context() as patch:
        patch.setattr(in_process_executor, "run_signals", broken)
        assert main(arguments(tiny_data, tiny_experiment, tmp_path)) == code
    assert pd.read_csv(tmp_path / "quarantine.csv").empty
    failures = pd.read_csv(tmp_path / "failures.csv")
    failed = failures[failures.status == "preparation failed"]
    assert len(failed) == 2  # both trials of the subject
    assert failed.reason.str.contains(type(error).__name__).all()
    cells = failures[failures.status == "failed"]
    assert set(cells.fold) == {0, 1}  # in one fold the subject trains, in the other it is tested
    assert cells.reason.str.contains("whose preparation failed").all()
    assert pd.read_parquet(tmp_path / "predictions.parquet").empty
    assert "preparations failed" in capsys.readouterr().err
    assert main(arguments(tiny_data, tiny_experiment, tmp_path)) == 0
    assert (pd.read_csv(tmp_path / "failures.csv").empty, len(scores(tmp_path))) == (True, 2)


@pytest.mark.slow
def test_a_bad_recording_is_judged_once(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    videos, tables = sorted((data / "video").rglob("*.mp4")), sorted((data / "biosignals_filtered").rglob("*.csv"))
    videos[3].write_bytes(videos[3].read_bytes()[:2000])
    tables[5].write_text(tables[5].read_text().replace("gsr", "gsx", 1))
    out = tmp_path / "out"
    assert main(arguments(data, tiny_experiment, out, "eda,frame")) == 0
    first = (out / "quarantine.csv").read_text()
    assert videos[3].stem in first
    assert tables[5].stem.removesuffix("_bio") in first

    def never(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(faces, "follow", never)
        capsys.readouterr()
        assert main(arguments(data, tiny_experiment, out, "eda,frame")) == 0
    assert "nothing was computed again" in capsys.readouterr().out
    assert (out / "quarantine.csv").read_text() == first
    shutil.copy(tiny_data / videos[3].relative_to(data), videos[3])  # mended: another content
    assert main(arguments(data, tiny_experiment, out, "eda,frame")) == 0
    assert videos[3].stem not in (out / "quarantine.csv").read_text()


def test_no_usable_recording_is_bad_input(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for file in (data / "biosignals_filtered").rglob("*.csv"):
        file.write_text(file.read_text().replace("gsr", "gsx", 1))
    for _ in range(2):  # the second run finds them left out already
        assert main(arguments(data, tiny_experiment, tmp_path / "out")) == 2
        said = capsys.readouterr().err
        assert "no cell can be computed" in said
        assert "10 recordings are left out, such as " in said
        assert "'gsx'" in said
        assert str(tmp_path / "out" / "quarantine.csv") in said


@pytest.mark.parametrize(
    "selection", [["--modalities", ","], ["--modalities", " , "], ["--scenarios", ","], ["--folds", ","]]
)
def test_an_empty_selection_is_refused_and_overwrites_nothing(
    selection: list[str], tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "scores.csv").write_text("kept")
    named = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(tmp_path), "--in-process"]
    assert main([*selection, *named]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "scores.csv").read_text() == "kept"


def test_the_size_of_a_crop_is_no_setting(tmp_path: Path, tiny_experiment: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("\ufeff" + tiny_experiment.read_text())  # a byte-order mark is none of TOML's business
    load(str(file))
    file.write_text(tiny_experiment.read_text() + "[faces]\nsize = 224\n")
    with pytest.raises(ConfigError, match=r"\[faces\]: unknown key 'size'"):
        load(str(file)).face_settings  # noqa: B018


def test_a_plan_needs_no_weights(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "mine.toml"
    file.write_text(tiny_experiment.read_text().replace("mini-xception-fer", "alexnet-fer-bn"))
    wanted = ["--all", "--data", str(tiny_data), "--experiment", str(file), "--out", str(tmp_path / "out")]
    assert main([*wanted, "--plan"]) == 2  # it is told all the same
    told = capsys.readouterr()
    assert "fits serve" in told.out
    assert "before it can run: " in told.err
    assert main([*wanted, "--in-process"]) == 2


def test_what_cannot_be_loaded_stops_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    assert main(["--all", "--detector", "retinaface", "--out", str(tmp_path / "out"), "--in-process"]) == 2
    assert not list((tmp_path / "out").glob("data/*"))


@pytest.mark.parametrize("text", ["s3:/bucket/x", "file:/x", "gs:/x"])
def test_a_uri_with_one_slash_is_no_local_folder(text: str, tiny_data: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--all", "--data", str(tiny_data), "--store", text])
    assert ended.value.code == 2
    assert "one slash" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "more", "words"),
    [
        ("127.0.0.1:9", [], "no Ray answers there"),
        ("127.0.0.1:9", ["--plan"], "no Ray answers there"),
        ("ray://127.0.0.1:9", [], "ray job submit"),
        ("nowhere", ["--plan"], "expected auto or HOST:PORT"),
        ("http://127.0.0.1:8265", [], "expected auto or HOST:PORT"),
        ("auto", ["--in-process"], "joins no cluster"),
        ("auto", ["--in-process", "--plan"], "joins no cluster"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_at_once(
    address: str,
    more: list[str],
    words: str,
    tiny_data: Path,
    tiny_experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    wanted = [a for a in arguments(tiny_data, tiny_experiment, tmp_path) if a != "--in-process"]
    assert main([*wanted, "--address", address, *more]) == 2
    told = capsys.readouterr()
    assert f"--address {address}: " in told.err
    assert words in told.err
    assert "kept" not in told.err
    assert not told.out
    assert not list(tmp_path.rglob("*.json"))
