"""Rows and tasks beyond the paper, by configuration alone: other networks, EMG, other classes, clips of 137 frames."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from grid.launch import main
from grid.results import multiclass
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


def test_five_classes_with_every_other_network_and_emg(five_levels: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    toml = tiny_experiment.read_text().replace(
        "[temporal]", "[task]\nclasses = ['BL1', 'PA1', 'PA2', 'PA3', 'PA4']\n[temporal]\nnetwork = 'tcn'"
    )
    toml = toml.replace("[fusion]", "[fusion]\nnetwork = 'cross-attention'")
    out = run(tmp_path, five_levels, toml, "frame,video,eda+ecg+emg,eda+ecg+emg+video")
    table = pd.read_parquet(out / "class_predictions.parquet")
    names = [f"p_{n}" for n in ("BL1", "PA1", "PA2", "PA3", "PA4")]
    assert set(table.modality) == {"frame", "video", "eda+ecg+emg", "eda+ecg+emg+video"}
    np.testing.assert_allclose(table[names].sum(axis=1), 1, atol=1e-4)
    assert table.groupby("modality").class_true.nunique().eq(5).all()
    scores = pd.read_csv(out / "class_scores.csv")
    for row in scores.itertuples():
        part = table[table.modality == row.modality]
        called = part[names].to_numpy().argmax(1)
        assert row.accuracy == pytest.approx(
            np.mean([f"p_{t}" == names[c] for t, c in zip(part.class_true, called, strict=True)])
        )
    binary = pd.read_parquet(out / "predictions.parquet")
    fused = binary[binary.modality == "eda+ecg+emg+video"].set_index("sample_name")
    every = table[table.modality == "eda+ecg+emg+video"].set_index("sample_name")
    np.testing.assert_allclose(fused.p_pain, 1 - every.p_BL1[fused.index], atol=1e-6)
    assert (fused.y_true == (every.class_true[fused.index] != "BL1")).all()
    trial = table[table.modality == "eda+ecg+emg+video"].iloc[0]
    model = from_run(out, "eda+ecg+emg+video/all87/fold0")  # stepwise fusion and five classes, outside the grid
    folder = five_levels / "biosignals_filtered" / trial.subject_name
    found = model.predict(
        video=five_levels / "video" / trial.subject_name / f"{trial.sample_name}.mp4",
        signals=folder / f"{trial.sample_name}_bio.csv",
    )
    np.testing.assert_allclose(found.p_classes_K, trial[names].to_numpy(dtype=float), atol=1e-5)
    assert json.loads((out / "run.json").read_text())["data"]["class_names"] == ["BL1", "PA1+PA2+PA3+PA4"]


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
    assert not (out / "class_scores.csv").exists()


def _features(store: Store, key: str) -> np.ndarray:
    from safetensors.numpy import load_file

    return load_file(store.folder("features", key) / "arrays.safetensors")["features"]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("classes = ['BL1', 'PA9']", "found 'PA9', expected classes of biovid: BL1, PA1"),
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


def test_class_scores_are_those_written_out_by_hand() -> None:
    cell = {"modality": "eda", "scenario": "a", "protocol": "subject", "fold": 0}
    rows = [("x", (0.6, 0.3, 0.1)), ("x", (0.2, 0.7, 0.1)), ("y", (0.1, 0.8, 0.1)), ("z", (0.9, 0.0, 0.1))]
    table = pd.DataFrame([{**cell, "class_true": t, **dict(zip(("p_x", "p_y", "p_z"), p, strict=True))} for t, p in rows])
    row = multiclass.scores_table(table, names=["x", "y", "z"]).iloc[0]
    assert (row.n_test, row.accuracy, row.mean_distance) == (4, 0.5, 0.75)
    assert row.balanced_accuracy == pytest.approx((0.5 + 1 + 0) / 3)
    assert row.macro_f1 == pytest.approx((0.5 + 2 / 3 + 0) / 3)
