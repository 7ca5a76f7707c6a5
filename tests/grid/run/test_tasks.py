"""Rows and tasks beyond the paper, by configuration alone: other networks, EMG, other classes, clips of 137 frames."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from grid.launch import main
from grid.store.artefacts import Store
from painmodels.export import from_run


@pytest.fixture(scope="module")
def five_levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four subjects with one trial of each of the five levels; one clip has 137 frames."""
    from dataprep.synthetic.dataset import write_synthetic

    path = tmp_path_factory.mktemp("five") / "data"
    write_synthetic(path, subjects=4, trials=1, size=(160, 120), classes=("BL1", "PA1", "PA2", "PA3", "PA4"))
    clip = min((path / "video").rglob("*-BL1-*.mp4"))
    reader = cv2.VideoCapture(str(clip))
    frames = [reader.read()[1] for _ in range(137)]
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (160, 120))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def run(tmp_path: Path, data: Path, toml: str, modalities: str) -> Path:
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    file.write_text(toml)
    arguments = ["--modalities", modalities, "--scenarios", "all87", "--folds", "0", "--data", str(data)]
    assert main([*arguments, "--experiment", str(file), "--out", str(out), "--in-process"]) == 0
    return out


@pytest.mark.slow
def test_five_classes_with_every_other_network_and_emg(five_levels: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    toml = tiny_experiment.read_text().replace(
        "[temporal]", "[task]\nclasses = ['BL1', 'PA1', 'PA2', 'PA3', 'PA4']\n[temporal]\nnetwork = 'tcn'"
    )
    toml = toml.replace("[fusion]", "[fusion]\nnetwork = 'cross-attention'")
    out = run(tmp_path, five_levels, toml, "frame,video,eda+ecg+emg,eda+ecg+emg+video")
    table = pd.read_parquet(out / "predictions.parquet")
    names = [f"p_{n}" for n in ("BL1", "PA1", "PA2", "PA3", "PA4")]
    assert set(table.modality) == {"frame", "video", "eda+ecg+emg", "eda+ecg+emg+video"}
    np.testing.assert_allclose(table[names].sum(axis=1), 1, atol=1e-4)
    assert table.groupby("modality").y_true.nunique().eq(5).all()
    assert (table.y_true == table.sample_name.str.split("-").str[1].map({n[2:]: i for i, n in enumerate(names)})).all()
    scores = pd.read_csv(out / "scores.csv")
    for row in scores.itertuples():
        part = table[table.modality == row.modality]
        assert row.accuracy == pytest.approx(np.mean(part.y_true == part[names].to_numpy().argmax(1)))
    assert {"accuracy_mean", "macro_f1_mean"} <= set(pd.read_csv(out / "table2.csv"))
    page = (out / "report.html").read_text()
    assert "Mean F1 of the classes" in page
    assert "Sensitivity" not in page
    trial = table[table.modality == "eda+ecg+emg+video"].iloc[0]
    model = from_run(out, "eda+ecg+emg+video/all87/fold0")  # stepwise fusion and five classes, outside the grid
    folder = five_levels / "biosignals_filtered" / trial.subject_name
    found = model.predict(
        video=five_levels / "video" / trial.subject_name / f"{trial.sample_name}.mp4",
        signals=folder / f"{trial.sample_name}_bio.csv",
    )
    np.testing.assert_allclose(found.p_classes_K, trial[names].to_numpy(dtype=float), atol=1e-5)
    assert json.loads((out / "run.json").read_text())["data"]["class_names"] == ["BL1", "PA1", "PA2", "PA3", "PA4"]


@pytest.mark.slow
def test_two_other_classes_and_a_clip_that_ends_a_step_early(
    five_levels: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """BL1 against PA2. The missing step is no row of the features, gets no attention, and is still scored per frame."""
    toml = tiny_experiment.read_text().replace(
        "[temporal]", "[task]\nclasses = ['BL1', 'PA2']\n[temporal]\nnetwork = 'transformer'\nheads = 2"
    )
    toml = toml.replace("[fusion]", "[fusion]\nnetwork = 'late'").replace("width = 8\n", "")
    out = run(tmp_path, five_levels, toml, "frame,video,eda+video")
    table = pd.read_parquet(out / "predictions.parquet")
    levels = table.sample_name.str.split("-").str[1]
    assert set(levels) == {"BL1", "PA2"}
    assert (table.y_true == (levels == "PA2")).all()
    assert table[table.modality == "frame"].groupby("sample_name").size().eq(138).all()
    assert table.p_pain.notna().all()
    store = Store(out / "store")
    lengths = sorted(len(np.asarray(_features(store, key))) for key in store.keys("features"))
    assert lengths == [137, *[138] * (len(lengths) - 1)]


def _features(store: Store, key: str) -> np.ndarray:
    from safetensors.numpy import load_file

    return load_file(store.folder("features", key) / "arrays.safetensors")["features"]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("classes = ['BL1', 'PA9']", "found 'PA9', expected classes of synthetic: BL1, PA1"),
        ("classes = ['BL1']", "task.classes: found ['BL1'], expected at least two different names"),
    ],
)
def test_a_wrong_task_is_named(
    five_levels: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture, task: str, message: str
) -> None:
    (tmp_path / "mine.toml").write_text(tiny_experiment.read_text().replace("[temporal]", f"[task]\n{task}\n[temporal]"))
    arguments = ["--plan", "--data", str(five_levels), "--experiment", str(tmp_path / "mine.toml")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
