"""Using a trained row: the same numbers as the grid's, from a folder of two files, from ONNX, and from the command line."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep import faces
from dataprep.video.retinaface import onnx_session
from grid.launch import main as launch
from painmodels.export import from_run
from painmodels.predict import main
from painmodels.trunks.trunk import load_trunk
from painmodels.use.model import Model, load
from painmodels.use.onnx_files import write_onnx

pytestmark = pytest.mark.slow

ROW = "eda+ecg+video"


def files(data: Path, name: str) -> dict[str, Path]:
    subject = name.split("-BL1")[0].split("-PA4")[0]
    return {
        "video": data / "video" / subject / f"{name}.mp4",
        "signals": data / "biosignals_filtered" / subject / f"{name}_bio.csv",
    }


@pytest.fixture(scope="module")
def exported(tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    from_run(tiny_grid, f"{ROW}/expressive67/fold0").save(folder)
    return folder


@pytest.mark.parametrize(
    "cell", ["frame/all87/fold1", "video/expressive67/subject/fold0", f"{ROW}/all87/fold0", "eda/all87/fold1"]
)
def test_a_model_out_of_a_run_gives_the_grids_own_predictions(tiny_grid: Path, tiny_data: Path, cell: str) -> None:
    row, scenario, *_, fold = cell.split("/")
    table = pd.read_parquet(tiny_grid / "predictions.parquet")
    table = table[(table.modality == row) & (table.scenario == scenario) & (table.fold == int(fold[-1]))]
    name = table.sample_name.iloc[-1]
    found = from_run(tiny_grid, cell).predict(**files(tiny_data, name))
    expected = table[table.sample_name == name].p_pain.to_numpy()
    if row == "frame":
        np.testing.assert_allclose(found.frames_T, expected, atol=1e-5)
        assert found.p_pain == pytest.approx(expected.mean(), abs=1e-5)
    else:
        assert found.p_pain == pytest.approx(expected[0], abs=1e-5)
    assert (found.attention_T is not None) == ("video" in row)
    if found.attention_T is not None:
        assert len(found.attention_T) == len(found.times_s_T) == (88 if scenario == "expressive67" else 138)
        assert found.attention_T.sum() == pytest.approx(1, abs=1e-4)


def test_the_two_files_are_enough(exported: Path, tiny_grid: Path, tiny_data: Path, tmp_path: Path) -> None:
    """In a process of its own, away from the run, without Ray, MLflow and the grid."""
    assert sorted(p.name for p in exported.iterdir()) == ["README.md", "model.json", "model.safetensors"]
    clip = files(tiny_data, pd.read_parquet(tiny_grid / "predictions.parquet").sample_name.iloc[0])
    code = "import sys, json; from pathlib import Path; from painmodels.use.model import load\n"
    code += f"m = load(Path({str(exported)!r}))\n"
    code += f"f = m.predict(video=Path({str(clip['video'])!r}), signals=Path({str(clip['signals'])!r}))\n"
    code += "assert not {'ray', 'mlflow', 'grid'} & set(sys.modules), 'imported'\nprint(f.p_pain)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == pytest.approx(
        from_run(tiny_grid, f"{ROW}/expressive67/fold0").predict(**clip).p_pain, abs=1e-6
    )


def test_onnx_gives_the_same_from_crops_and_signals(
    exported: Path, tiny_data: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    model = load(exported)
    clip = files(tiny_data, pd.read_parquet(tiny_grid / "predictions.parquet").sample_name.iloc[0])
    before = model.predict(**clip)
    network, trunk = (onnx_session(p, 1) for p in write_onnx(model, tmp_path))
    crops: list[np.ndarray] = []
    faces.prepare_video(clip["video"], model.face_settings, n_steps=model.n_steps, on_crops=crops.append)
    features_TF = np.concatenate([trunk.run(None, {"crops": crop[None]})[0] for crop in np.concatenate(crops)])
    np.testing.assert_allclose(features_TF, model.video(clip["video"]), atol=2e-2, rtol=2e-3)  # float16 keeps eleven bits
    mask_NT = np.ones((1, model.n_steps), np.float32)
    signals_NTC = model.signals(clip["signals"])[None]
    got = dict(
        zip(
            (o.name for o in network.get_outputs()),
            network.run(None, {"video": features_TF[None], "mask": mask_NT, "signals": signals_NTC}),
            strict=True,
        )
    )
    assert got["p"][0, 1] == pytest.approx(before.p_pain, abs=1e-4)
    np.testing.assert_allclose(got["attention"][0], before.attention_T, atol=1e-4)
    np.testing.assert_allclose(1 - got["frames"][0, :, 0], before.frames_T, atol=1e-4)
    assert model.predict(**clip).p_pain == before.p_pain  # the export leaves the model as it was


def test_onnx_of_a_bfloat16_trunk_is_refused_in_words(tiny_grid: Path, tmp_path: Path) -> None:
    model = from_run(tiny_grid, "video/all87/fold0")
    model.trunk = load_trunk("mini-xception-fer", precision="bfloat16")
    with pytest.raises(ValueError, match="found a trunk in bfloat16, expected float32"):
        write_onnx(model, tmp_path)


@pytest.mark.parametrize(("temporal", "fusion"), [("transformer", "cross-attention"), ("tcn", "late")])
def test_onnx_of_the_networks_beyond_the_paper(
    temporal: str, fusion: str, tiny_experiment: Path, tiny_data: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    experiment = tmp_path / "other.toml"
    text = tiny_experiment.read_text().replace("[temporal]\nhidden = 8", f'[temporal]\nnetwork = "{temporal}"\nhidden = 8')
    experiment.write_text(text.replace("[fusion]\nwidth = 8", f'[fusion]\nnetwork = "{fusion}"'))
    shutil.copytree(tiny_grid / "store", tmp_path / "out" / "store")  # what was prepared there need not be again
    arguments = ["--data", str(tiny_data), "--experiment", str(experiment), "--out", str(tmp_path / "out"), "--in-process"]
    assert launch([*arguments, "--modalities", ROW, "--scenarios", "all87", "--folds", "0"]) == 0
    model = from_run(tmp_path / "out", f"{ROW}/all87/fold0")
    clip = files(tiny_data, pd.read_parquet(tiny_grid / "predictions.parquet").sample_name.iloc[0])
    inputs = {
        "video": model.video(clip["video"])[None].astype(np.float32),
        "mask": np.ones((1, model.n_steps), np.float32),
        "signals": model.signals(clip["signals"])[None],
    }
    network = onnx_session(write_onnx(model, tmp_path / "onnx")[0], 1)
    names = [o.name for o in network.get_outputs()]
    got = dict(zip(names, network.run(None, {i.name: inputs[i.name] for i in network.get_inputs()}), strict=True))
    assert got["p"][0, 1] == pytest.approx(model.predict(**clip).p_pain, abs=1e-4)


def test_one_recording_on_the_command_line(exported: Path, tiny_data: Path, tiny_grid: Path, tmp_path: Path, capsys) -> None:
    clip = files(tiny_data, pd.read_parquet(tiny_grid / "predictions.parquet").sample_name.iloc[0])
    arguments = ["--run", str(tiny_grid), "--cell", f"{ROW}/expressive67/fold0"]
    arguments += ["--video", str(clip["video"]), "--signals", str(clip["signals"]), "--plot", str(tmp_path / "p.png")]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["p_pain"] == pytest.approx(load(exported).predict(**clip).p_pain, abs=1e-5)
    assert len(found["attention"]) == len(found["frame_p_pain"]) == len(found["time_s"]) == 88
    assert found["time_s"][0] == 2.0
    assert found["used_s"] == [2.0, 5.52]  # of the window of 5.52 s that is read
    assert "synthetic" in found["note"]
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_a_folder_gives_a_table_and_what_cannot_be_read_a_reason(
    exported: Path, tiny_data: Path, tiny_grid: Path, tmp_path: Path, capsys
) -> None:
    table = pd.read_parquet(tiny_grid / "predictions.parquet")
    for k, name in enumerate(table.sample_name.unique()[:3]):
        for part, file in files(tiny_data, name).items():
            if (k, part) != (1, "signals"):
                shutil.copy(file, tmp_path)
    broken = files(tiny_data, table.sample_name.unique()[2])["video"]
    (tmp_path / broken.name).write_bytes(broken.read_bytes()[:2000])
    assert main(["--model", str(exported), "--folder", str(tmp_path)]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [bool(r["p_pain"]) for r in sorted(rows, key=lambda r: r["name"])] == [
        bool(not r["reason"]) for r in sorted(rows, key=lambda r: r["name"])
    ]
    by_name = {r["name"]: r for r in rows}
    good, no_signals, cut = (by_name[n] for n in table.sample_name.unique()[:3])
    assert float(good["p_pain"]) == pytest.approx(load(exported).predict(**files(tiny_data, good["name"])).p_pain, abs=1e-5)
    assert good["called"] == ("PA4" if float(good["p_pain"]) > 0.5 else "BL1")
    assert "uses signals: found no signals file" in no_signals["reason"]
    assert broken.name in cut["reason"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("eda/all87/fold7", "found no cell 'eda/all87/fold7', expected one of 32"),
        ("eda", "found 'eda', a row without a scenario"),
    ],
)
def test_an_unknown_cell_is_named(tiny_grid: Path, cell: str, message: str, capsys) -> None:
    assert main(["--run", str(tiny_grid), "--cell", cell, "--signals", "x_bio.csv"]) == 2
    assert message in capsys.readouterr().err


def test_damaged_and_foreign_files_are_named(exported: Path, tmp_path: Path) -> None:
    for name, content, message in (
        ("model.json", b"{", "model.json: cannot be read"),
        ("model.json", b'{"format": 9}', "found format 9, expected 3"),
        ("model.safetensors", b"cut off", "model.safetensors: found tensors that are not those"),
    ):
        folder = Path(shutil.copytree(exported, tmp_path / f"{len(content)}"))
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load(folder)
    model = load(exported)
    about = json.loads(json.dumps(model.about))
    about["networks"][0]["version"] = 99
    with pytest.raises(ValueError, match="found weights of version 99, expected 1"):
        Model(about, model.tensors)
    about["networks"][0]["version"] = 1
    with pytest.raises(ValueError, match=r"missing \['parts.spatial.fc7.bias'\]"):
        Model(about, {k: v for k, v in model.tensors.items() if k != "parts.spatial.fc7.bias"})
