"""The whole grid on the smallest data: complete, repeatable, resumable, without a leak, the same wherever it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from grid.launch import main
from painmodels.tasks import PAIN

pytestmark = pytest.mark.slow

COLUMNS = (
    "modality,scenario,protocol,fold,repeat,seed,n_test,accuracy,f1,sensitivity,specificity,auroc,balanced_accuracy,brier"
    ",learned,fits_not_learned,fits_collapsed,data"
)


def fits(out: Path) -> dict[str, dict[str, np.ndarray]]:
    """The weights of every fit in a store, by stage and key."""
    found = (out / "store").glob("fit-*/*/arrays.safetensors")
    return {f"{p.parent.parent.name}/{p.parent.name}": load_file(p) for p in found}


def test_every_cell_is_there_and_scored_from_its_predictions(tiny_grid: Path) -> None:
    assert (tiny_grid / "scores.csv").read_text().splitlines()[0] == COLUMNS
    scores = pd.read_csv(tiny_grid / "scores.csv")
    assert len(scores) == 8 * 2 * 2
    assert not scores.duplicated(["modality", "scenario", "protocol", "fold"]).any()
    assert scores.accuracy.notna().all()
    predictions = pd.read_parquet(tiny_grid / "predictions.parquet")
    assert predictions.frame.isna().eq(predictions.modality != "frame").all()
    frames = (
        predictions[predictions.modality == "frame"].groupby(["scenario", "sample_name"]).frame.agg(["min", "max", "count"])
    )
    assert (frames.loc["all87"] == [0, 137, 138]).all().all()
    assert (frames.loc["expressive67"] == [50, 137, 88]).all().all()
    for row in scores.itertuples():
        mine = predictions[
            (predictions.modality == row.modality) & (predictions.scenario == row.scenario) & (predictions.fold == row.fold)
        ]
        again = PAIN.score(*PAIN.of(mine))
        assert again["accuracy"] == pytest.approx(row.accuracy)
        assert again["brier"] == pytest.approx(row.brier)
        assert len(mine) == row.n_test


def test_the_result_folder_is_complete(tiny_grid: Path) -> None:
    for name in ("table2.csv", "figure3.png", "report.html", "mlflow.db", "failures.csv", "quarantine.csv", "run.json"):
        assert (tiny_grid / name).stat().st_size > 0, name
    run = json.loads((tiny_grid / "run.json").read_text())
    assert (run["data"]["name"], run["data"]["synthetic"]) == ("synthetic", True)
    assert {s["stage"]: s["count"] for s in run["stages"]}["fit-temporal"] == 4
    assert "FER2013" in run["trunk"]["provenance"]


def test_results_of_synthetic_data_say_so_wherever_they_are_shown(tiny_grid: Path) -> None:
    for name in ("scores.csv", "table2.csv", "learning.csv"):
        assert set(pd.read_csv(tiny_grid / name)["data"]) == {"synthetic data"}, name
    for name in ("failures.csv", "quarantine.csv", "odd.csv"):
        assert "data" in pd.read_csv(tiny_grid / name), name
    for name in ("table2.tex", "figure3.svg"):
        assert "synthetic data" in (tiny_grid / name).read_text(), name
    page = (tiny_grid / "report.html").read_text()
    figures, sections = page.count("<svg"), page.count("<h2")
    assert page.count("synthetic data</text>") == figures > 10
    assert page.count("synthetic data</small></h2>") == sections > 5
    assert "on synthetic data in BioVid&#39;s layout" in page
    assert ">paper " not in page
    names = pd.read_parquet(tiny_grid / "predictions.parquet")["subject_name"]
    assert names.str.startswith("synthetic").all()


def test_the_same_command_again_computes_nothing_and_says_so(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = Path(shutil.copytree(tiny_grid, tmp_path / "again"))
    before = {p: p.stat().st_mtime_ns for p in (out / "store").rglob("*") if p.is_file()}
    assert main(["--all", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "nothing was computed again" in text
    assert "0 fits computed, 36 reused" in text
    assert "84 unchanged" in text
    assert {p: p.stat().st_mtime_ns for p in (out / "store").rglob("*") if p.is_file()} == before


def test_a_second_start_says_which_recordings_are_there(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """As after a kill in the middle of preparation, and after one among the fits."""
    asked = ["--modalities", "eda", "--scenarios", "all87", "--no-baselines", "--in-process", "--data", str(tiny_data)]
    asked += ["--experiment", str(tiny_experiment), "--out", str(tmp_path / "out")]
    store = tmp_path / "out" / "store"
    assert main(asked) == 0
    blocks = sorted((store / "signals").iterdir())
    assert f"preparing: {len(blocks)} recordings to do\n" in capsys.readouterr().out
    for lost in (1, 0):
        for folder in (*blocks[:lost], *store.glob("fit-*"), store / "predict"):
            shutil.rmtree(folder)
        assert main(asked) == 0
        title, there = "preparing" if lost else "reading", len(blocks) - lost
        assert f"{title}: {lost} recordings to do, {there} there already\n" in capsys.readouterr().out


def test_held_out_subjects_cannot_be_seen_in_the_weights(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """Other signals, other pictures and swapped labels for the subjects of fold 0: every weight of fold 0 stays, bit by bit."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    predictions = pd.read_parquet(tiny_grid / "predictions.parquet")
    tested = predictions[(predictions.fold == 0) & (predictions.scenario == "all87")]
    index = data / "starting_point" / "samples.csv"
    held_out = sorted(set(tested.subject_name))
    assert 0 < len(held_out) < 5
    table = pd.read_csv(index, sep="\t")
    mine = table.subject_name.isin(held_out)
    for name in table.sample_name[mine]:
        signals = data / "biosignals_filtered" / name.partition("-")[0] / f"{name}_bio.csv"
        frame = pd.read_csv(signals, sep="\t")
        frame.iloc[:, 1:] = frame.iloc[::-1, 1:].to_numpy() * 3
        frame.to_csv(signals, sep="\t", index=False)
    videos = [data / "video" / n.partition("-")[0] / f"{n}.mp4" for n in table.sample_name[mine]]
    other = data / "video" / table.sample_name[~mine].iloc[0].partition("-")[0] / f"{table.sample_name[~mine].iloc[0]}.mp4"
    shutil.copy(other, videos[0])
    swap = {"BL1": "PA4", "PA4": "BL1"}
    for name in table.sample_name[mine]:
        subject, old, number = name.rsplit("-", 2)
        new = f"{subject}-{swap[old]}-{number}"
        (data / "video" / subject / f"{name}.mp4").rename(data / "video" / subject / f"{new}.mp4")
        (data / "biosignals_filtered" / subject / f"{name}_bio.csv").rename(
            data / "biosignals_filtered" / subject / f"{new}_bio.csv"
        )
        at = table.sample_name == name
        table.loc[at, ["sample_name", "class_name", "class_id"]] = [new, swap[old], 4 if swap[old] == "PA4" else 0]
    table.to_csv(index, sep="\t", index=False)
    out = tmp_path / "out"
    arguments = ["--scenarios", "all87", "--folds", "0", "--data", str(data), "--experiment", str(tiny_experiment)]
    assert main([*arguments, "--out", str(out), "--in-process"]) == 0
    now, then = fits(out), fits(tiny_grid)
    assert len(now) == 9
    for key, weights in now.items():
        assert key in then, f"{key}: the held-out subjects changed the identity of a fit"
        assert weights.keys() == then[key].keys()
        for name, value in weights.items():
            assert value.tobytes() == then[key][name].tobytes(), f"{key}: {name}"
    changed = pd.read_parquet(out / "predictions.parquet")
    eda = changed[changed.modality == "eda"].p_pain.to_numpy()
    assert not np.allclose(np.sort(eda), np.sort(tested[tested.modality == "eda"].p_pain.to_numpy()))


@pytest.mark.ray
@pytest.mark.long
def test_packed_fits_are_those_of_the_plan(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """Signals alone, trained side by side where their shapes allow: the same stages, the same predictions but for rounding."""
    experiment = tmp_path / "packed.toml"
    experiment.write_text(tiny_experiment.read_text() + "\n[execution]\npacked_fits = 8\n")
    out = tmp_path / "packed"
    arguments = [
        "--data",
        str(tiny_data),
        "--experiment",
        str(experiment),
        "--out",
        str(out),
        "--modalities",
        "eda,ecg,eda+ecg",
    ]
    run = subprocess.run([sys.executable, "-m", "grid.launch", *arguments], capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stderr
    manifests = [json.loads(p.read_text()) for p in (out / "store").glob("fit-*/*/manifest.json")]
    assert sorted(m["facts"]["packed"] for m in manifests) == [2] * 4 + [4] * 8  # one channel or two, 138 steps or 88
    there = {p.parent.name for p in (tiny_grid / "store").glob("fit-physiological-*/*/manifest.json")}
    assert {m["key"] for m in manifests} == there
    mine = pd.read_parquet(out / "predictions.parquet")
    whole = pd.read_parquet(tiny_grid / "predictions.parquet")
    expected = whole[whole.modality.isin(["eda", "ecg", "eda+ecg"])]
    keys = ["modality", "scenario", "fold", "sample_name"]
    pd.testing.assert_frame_equal(
        mine.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True), rtol=0, atol=1e-4
    )


@pytest.mark.long
def test_killed_at_any_time_the_same_command_finishes(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """SIGKILL twice, wherever it falls; what is stored then is never made again, and the results are the same."""
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "grid.launch", "--all", "--data", str(tiny_data), "--experiment", str(tiny_experiment)]
    command += ["--out", str(out), "--in-process"]
    kept: dict[Path, int] = {}
    for artefacts in (16, 50):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and run.poll() is None:
            if len(list((out / "store").glob("[!.]*/*/manifest.json"))) >= artefacts:
                break
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        kept |= {p: p.stat().st_mtime_ns for p in (out / "store").glob("[!.]*/*/manifest.json")}
    assert len(kept) >= 50
    run_again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run_again.returncode == 0, run_again.stderr
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert (out / "predictions.parquet").read_bytes() == (tiny_grid / "predictions.parquet").read_bytes()


def test_a_face_track_is_read_where_features_are_not_there(
    tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(tiny_grid, tmp_path / "again"))
    shutil.rmtree(out / "store" / "features")
    tracks = {p: p.stat().st_mtime_ns for p in (out / "store" / "faces").glob("*/*")}
    arguments = ["--modalities", "frame", "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out)]
    assert main([*arguments, "--in-process", "--strict"]) == 0
    assert {p: p.stat().st_mtime_ns for p in tracks} == tracks
    old, new = ((folder / "store" / "features") for folder in (tiny_grid, out))
    for file in old.glob("*/arrays.safetensors"):
        assert file.read_bytes() == (new / file.parent.name / file.name).read_bytes()
