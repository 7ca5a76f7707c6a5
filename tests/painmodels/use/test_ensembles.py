"""All folds of a row in one folder: exported, loaded, and used like a single model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import painmodels
from painmodels.export import any_from_run, main
from painmodels.predict import main as predict
from painmodels.stream import replay
from painmodels.use.over_time import over_time

ROW = "eda+ecg+video/all87"


@pytest.fixture(scope="module")
def folder(tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("ensemble") / "model"
    assert main(["--run", str(tiny_grid), "--cell", ROW, "--to", str(to)]) == 0
    return to


@pytest.fixture
def clip(tiny_data: Path) -> dict[str, Path]:
    video = sorted((tiny_data / "video").rglob("*.mp4"))[0]
    signals = next((tiny_data / "biosignals_filtered").rglob(f"{video.stem}_bio.csv"))
    return {"video": video, "signals": signals}


def test_the_folder_gives_what_the_run_gives(
    folder: Path, tiny_grid: Path, clip: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model, of_run = painmodels.load(folder), any_from_run(tiny_grid, ROW)
    found, wanted = model.predict(**clip), of_run.predict(**clip)
    assert found.p_pain == pytest.approx(wanted.p_pain, abs=1e-6)
    assert found.members_MC.tolist() == wanted.members_MC.tolist()
    assert len(model.members) == 2
    assert model.members[0].trunk is model.members[1].trunk
    asked = [part for name, path in clip.items() for part in (f"--{name}", str(path))]
    assert predict(["--model", str(folder), *asked]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["p_pain_of_each"] == pytest.approx(wanted.members_MC[:, 0].tolist(), abs=1e-6)


def test_a_stream_gives_what_the_file_gives(folder: Path, clip: dict[str, Path]) -> None:
    model = painmodels.load(folder)
    (streamed,), (of_file,) = replay(model, **clip), over_time(model, **clip)
    assert streamed.p_pain == pytest.approx(of_file.p_pain, abs=1e-6)
    assert streamed.prediction.members_MC.shape == (2, 1)


def test_it_is_saved_again_as_it_was(folder: Path, clip: dict[str, Path], tmp_path: Path) -> None:
    painmodels.load(folder).save(tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "again" / "model.json").read_text()) == json.loads((folder / "model.json").read_text())


def test_people_are_told_what_it_is(folder: Path) -> None:
    assert "The mean of 2 models, one of each fold" in (folder / "README.md").read_text()
    card = (folder / "model_card.md").read_text()
    assert "mean of 2 models, one of each fold" in card
    assert "The ensemble was tested on nobody: each person trained some of them." in card


def test_what_is_missing_is_named_and_onnx_is_of_one_fold(
    folder: Path, tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--run", str(tiny_grid), "--cell", "eda/all87", "--to", str(tmp_path / "x"), "--onnx"]) == 2
    assert "eda/all87 is an ensemble of 2 models; export one of them: eda/all87/fold0" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    about = json.loads((folder / "model.json").read_text())
    about["members"] = about["members"][:1]
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="a description that was changed after it was written"):
        painmodels.load(tmp_path)
