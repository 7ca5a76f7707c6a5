"""Nothing of the user's is lost to an output: not an input, not a good earlier result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataprep.check.command import main as check
from dataprep.faces import main as faces
from dataprep.outputs import check_folder, check_output, drafted
from dataprep.records import InputError
from painmodels.export import from_run
from painmodels.export import main as export
from painmodels.predict import main as predict
from painmodels.trunks.weight_cache import find_weights
from painmodels.weights import main as weights


def test_an_input_is_never_an_output_by_whatever_name(tmp_path: Path) -> None:
    clip = tmp_path / "clip.png"
    clip.write_bytes(b"recording")
    (tmp_path / "link.png").symlink_to(clip)
    os.link(clip, tmp_path / "hard.png")
    for name in ("clip.png", "link.png", "hard.png", "../" + tmp_path.name + "/clip.png"):
        with pytest.raises(InputError, match=r"is the input .*clip\.png"):
            check_output("--out", tmp_path / name, inputs=[None, clip])
    for name, words in (
        ("x.mp4", "found the ending '.mp4', expected .png"),
        ("no/x.png", "there is no folder"),
        ("", "found a folder"),
    ):
        with pytest.raises(InputError, match=words):
            check_output("--out", tmp_path / name, endings=(".png",))
    check_output("--out", tmp_path / "new.PNG", endings=(".png",), inputs=[clip])


def test_a_good_result_survives_a_later_failure(tmp_path: Path) -> None:
    result = tmp_path / "a.csv"
    result.write_text("good")

    def fails() -> None:
        with drafted(result) as draft:
            draft.write_text("half")
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        fails()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["good"]
    with drafted(result) as draft:
        draft.write_text("better")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["better"]


def test_predict_and_faces_leave_recordings_and_results_as_they_are(
    tiny_grid: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from_run(tiny_grid, "eda/all87/fold0").save(tmp_path / "model")
    source = min((tiny_data / "biosignals_filtered").rglob("*_bio.csv"))
    signals = tmp_path / "x_bio.csv"
    signals.write_bytes(source.read_bytes())
    model = ["--model", str(tmp_path / "model"), "--signals", str(signals)]
    assert predict([*model, "--out", str(signals)]) == 2
    assert predict([*model, "--plot", str(tmp_path / "x.mp4")]) == 2
    assert signals.read_bytes() == source.read_bytes()
    result = tmp_path / "found.json"
    assert predict([*model, "--out", str(result)]) == 0
    good = result.read_text()
    signals.write_text("time\n1\n")
    assert predict([*model, "--out", str(result)]) == 2
    assert result.read_text() == good
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(min((tiny_data / "video").rglob("*.mp4")).read_bytes())
    before = clip.read_bytes()
    assert faces([str(clip), "--out", str(clip)]) == 2
    assert clip.read_bytes() == before
    assert not list(tmp_path.glob(".*draft*"))
    assert "Traceback" not in capsys.readouterr().err


def test_folders_and_weights_leave_inputs_as_they_are(tiny_grid: Path, tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lies in the input"):
        check_folder("--out", tiny_data / "video" / "..", inputs=[tiny_data])
    assert check([str(tiny_data), "--out", str(tiny_data / "census"), "--jobs", "1"]) == 2
    assert not (tiny_data / "census").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("kept")
    cell = ["--run", str(tiny_grid), "--cell", "eda/all87/fold0", "--to"]
    assert export([*cell, str(tmp_path / "mine")]) == 2
    assert export([*cell, str(tiny_grid / "store")]) == 2
    assert export([*cell, str(tmp_path / "mine" / "thesis.txt")]) == 2
    assert [p.read_text() for p in (tmp_path / "mine").iterdir()] == ["kept"]
    assert export([*cell, str(tmp_path / "new")]) == 0
    assert export([*cell, str(tmp_path / "new")]) == 0  # an earlier export is replaced
    shipped = find_weights("mini-xception-fer")
    given = tmp_path / "given.safetensors"
    given.write_bytes(shipped.read_bytes())
    before = given.read_bytes()
    assert weights(["import", str(given), "--as", "mini-xception-fer", "--out", str(given)]) == 2
    assert given.read_bytes() == before
    assert not given.with_suffix(".json").exists()
