"""A row of any method is exported, loaded, applied and registered like one of the paper's, with the grid's own predictions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.video.retinaface import onnx_session
from grid.launch import main as launch
from grid.tracking.mirror import Mirror
from grid.tracking.model_versions import register
from painmodels import methods as package
from painmodels.export import from_run, main
from painmodels.methods.graph import Input, Method, Part
from painmodels.predict import main as predict
from painmodels.registry import network
from painmodels.stream import replay
from painmodels.use.model import load

pytestmark = pytest.mark.slow

TWO_PARTS = Method(
    "two-parts",
    on=("eda", "ecg", "video"),
    several=True,
    parts=lambda words, choice: (
        Part("summary", (Input("signals"),), trained=network("physiological", "lstm")),
        Part("motion", (Input("faces"),), trained=network("physiological", "lstm")),
        Part("verdict", (Input(part="summary"), Input(part="motion")), trained=network("fusion", "concat")),
    ),
)
"""A method of one's own: an LSTM on the signals and one on the face track, and a fusion of both."""
ROWS = (
    "eda+video",
    "eda:rf",
    "ecg:logistic",
    "eda:argmax",
    "majority",
    "eda:cnn-lstm",
    "video:rf",
    "video:landmarks-rf",
    "video:stgcn-gru",
    "frame:resnet50",
    "eda+ecg+video:two-parts",
)
SETTINGS = """
[methods.rf]
trees = 5
[methods.cnn-lstm]
epochs = 1
[methods.landmarks-rf]
trees = 5
[methods.stgcn-gru]
widths = [4]
hidden = 4
epochs = 1
[methods.resnet50]
side = 16
width = 2
blocks = [1]
epochs = 1
[methods.two-parts.summary]
hidden = 4
epochs = 1
[methods.two-parts.motion]
hidden = 4
epochs = 1
[methods.two-parts.verdict]
epochs = 1
"""


@pytest.fixture(scope="module")
def grid(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("any-method")
    out_of_fold = '[fusion]\nfeatures = "out-of-fold"\ninner_folds = 2\n'
    (folder / "mine.toml").write_text(tiny_experiment.read_text().replace("[fusion]\n", out_of_fold) + SETTINGS)
    for stage in ("faces", "features", "signals"):
        shutil.copytree(tiny_grid / "store" / stage, folder / "out" / "store" / stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(package.methods(), "two-parts", TWO_PARTS)  # type: ignore[arg-type]
        asked = ["--modalities", ",".join(ROWS), "--scenarios", "expressive67", "--data", str(tiny_data), "--in-process"]
        assert launch([*asked, "--experiment", str(folder / "mine.toml"), "--out", str(folder / "out")]) == 0
        yield folder / "out"


def files(data: Path, name: str) -> dict[str, Path]:
    subject = name.split("-BL1")[0].split("-PA4")[0]
    signals = data / "biosignals_filtered" / subject / f"{name}_bio.csv"
    return {"video": data / "video" / subject / f"{name}.mp4", "signals": signals}


def held_out(grid: Path, row: str, fold: int = 0) -> dict[str, float]:
    table = pd.read_parquet(grid / "predictions.parquet")
    table = table[(table.modality == row) & (table.fold == fold)]
    return table.groupby("sample_name", sort=False).p_pain.mean().to_dict()  # a trial has a row for each frame in some


@pytest.mark.parametrize("row", ROWS)
def test_files_arrays_and_streams(grid: Path, tiny_data: Path, tmp_path: Path, row: str) -> None:
    assert main(["--run", str(grid), "--cell", f"{row}/expressive67/fold0", "--to", str(tmp_path / "model")]) == 0
    model, expected = load(tmp_path / "model"), held_out(grid, row)
    assert (model.uses_video, model.uses_signals) == ("video" in row or "frame" in row, "eda" in row or "ecg" in row)
    name, p_pain = next(iter(expected.items()))
    used = {part: model.uses_video if part == "video" else model.uses_signals for part in ("video", "signals")}
    clip = {part: path for part, path in files(tiny_data, name).items() if used[part]}
    assert model.predict(**clip).p_pain == pytest.approx(p_pain, abs=1e-6)  # type: ignore[arg-type]
    if clip:
        (estimate,) = replay(model, video=clip.get("video"), signals=clip.get("signals"), every_s=99.0)
        assert estimate.p_pain == pytest.approx(p_pain, abs=1e-6)


def test_a_folder(grid: Path, tiny_data: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    cell = ["--run", str(grid), "--cell", "eda:rf/expressive67/fold0"]
    assert predict([*cell, "--folder", str(tiny_data / "biosignals_filtered"), "--out", str(table)]) == 0
    found = pd.read_csv(table).set_index("name").p_pain
    for name, p_pain in held_out(grid, "eda:rf").items():
        assert found[next(n for n in found.index if name in n)] == pytest.approx(p_pain, abs=1e-6)


def test_onnx_where_it_can_be(grid: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def export(row: str) -> int:
        return main(["--run", str(grid), "--cell", f"{row}/expressive67/fold0", "--to", str(tmp_path / row[:5]), "--onnx"])

    assert export("eda:cnn-lstm") == 0
    name, p_pain = next(iter(held_out(grid, "eda:cnn-lstm").items()))
    signals = load(tmp_path / "eda:c").signals(files(tiny_data, name)["signals"])
    session = onnx_session(tmp_path / "eda:c" / "network.onnx", 1)
    assert session.run(["p"], {"signals": signals[None]})[0][0, 1] == pytest.approx(p_pain, abs=1e-4)
    for row, reason in (
        ("eda:rf", "the method rf, which is no network"),
        ("eda+ecg+video:two-parts", "takes faces"),
        ("video:stgcn-gru", "takes mesh"),
    ):
        assert export(row) == 2
        assert reason in capsys.readouterr().err


def test_another_graph_is_refused(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "eda+ecg+video:two-parts/expressive67/fold0"
    about, tensors = (m := from_run(grid, cell)).about, m.tensors
    turned = Method(
        "two-parts", on=TWO_PARTS.on, several=True, parts=lambda words, choice: TWO_PARTS.parts(words, choice)[:2]
    )
    monkeypatch.setitem(package.methods(), "two-parts", turned)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"method two-parts: found parts .*, expected those of this version"):
        type(m)(about, tensors)
    with pytest.raises(ValueError, match=r"found the parts .*, expected those of this version's method two-parts"):
        from_run(grid, cell)


def test_a_recalibrated_row(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(tiny_experiment.read_text() + '[fit]\ncalibrate = "platt"\ncalibration_folds = 2\n')
    shutil.copytree(tiny_grid / "store" / "signals", tmp_path / "out" / "store" / "signals")
    asked = ["--modalities", "eda:logistic", "--scenarios", "all87", "--data", str(tiny_data), "--in-process"]
    assert launch([*asked, "--experiment", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")]) == 0
    cell = ["--run", str(tmp_path / "out"), "--cell", "eda:logistic/all87/fold0", "--to", str(tmp_path / "model")]
    assert main(cell) == 0
    for name, p_pain in held_out(tmp_path / "out", "eda:logistic").items():
        found = load(tmp_path / "model").predict(signals=files(tiny_data, name)["signals"])
        assert found.p_pain == pytest.approx(p_pain, abs=1e-6)  # type: ignore[union-attr]
    assert "recalibrated (platt)" in (tmp_path / "model" / "model_card.md").read_text()
    assert main([*cell, "--onnx"]) == 2


def test_a_baseline_is_registered_and_served(grid: Path, tiny_data: Path, tmp_path: Path) -> None:
    import mlflow

    out = tmp_path / "out"
    shutil.copytree(grid, out, ignore=shutil.ignore_patterns("store", "mlflow*", "logs"))
    (out / "store").symlink_to(grid / "store")
    cells = [c for c in json.loads((out / "cells.json").read_text()) if c["modality"] in ("eda:rf", "majority")]
    (out / "cells.json").write_text(json.dumps(cells))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mirror = Mirror(out, uri)
    mirror.sync()
    assert register(mirror) == 1
    mlflow.set_tracking_uri(uri)
    served = mlflow.pyfunc.load_model("models:/tiny expressive67@best")
    version = mlflow.MlflowClient(uri).get_model_version_by_alias("tiny expressive67", "best")
    assert version.tags["modality"] == "eda:rf"
    name, p_pain = next(iter(held_out(grid, "eda:rf", int(version.tags["fold"])).items()))
    inputs = served.unwrap_python_model().inputs(signals=str(files(tiny_data, name)["signals"]))
    np.testing.assert_allclose(served.predict(inputs)[:, 1], p_pain, atol=1e-6)
