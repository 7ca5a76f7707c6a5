"""Baselines as rows of the grid: the same folds, executors, files and rules as every other row."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

from grid.experiment import cells
from grid.launch import main
from painmodels.methods import default_rows

pytestmark = pytest.mark.slow

SIGNAL_ROWS = "majority,eda:argmax,eda+ecg:rf,ecg:logistic"


def weights_of(out: Path) -> dict[str, bytes]:
    found = (out / "store").glob("fit-*/*/arrays.safetensors")
    return {f"{p.parent}/{n}"[len(str(out)) :]: a.tobytes() for p in found for n, a in sorted(load_file(p).items())}


def test_names_of_rows() -> None:
    assert cells.row("ecg+eda:rf").name == "eda+ecg:rf"
    assert cells.row("eda:argmax").signals == ("eda",)
    assert cells.row("video:rf").parts == ("video",)
    assert (cells.row("majority").parts, cells.row("majority").method) == ((), "majority")
    assert all(cells.row(name).name == name for name in default_rows())
    with pytest.raises(ValueError, match=r"unknown method 'argmaxx': did you mean 'argmax'\?"):
        cells.row("eda:argmaxx")
    with pytest.raises(ValueError, match="argmax cannot see 'eda\\+ecg'; it sees eda and every other signal"):
        cells.row("eda+ecg:argmax")
    with pytest.raises(ValueError, match="sees no recording: write 'majority'"):
        cells.row("eda:majority")


@pytest.fixture(scope="module")
def beside(tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All baselines in the folder of a grid that is there already."""
    out = Path(shutil.copytree(tiny_grid, tmp_path_factory.mktemp("baselines") / "out"))
    base = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out)]
    assert main(["--all", "--baselines", "--scenarios", "all87", *base, "--in-process"]) == 0
    return out


def test_they_stand_beside_the_learned_rows(beside: Path) -> None:
    scores = pd.read_csv(beside / "scores.csv")
    assert set(scores.modality) == {*cells.PAPER_ROWS, *default_rows()}
    assert scores.accuracy.notna().all()
    assert (scores[scores.modality == "majority"].accuracy == 0.5).all()
    tested = pd.read_parquet(beside / "predictions.parquet")
    tested = tested[tested.scenario == "all87"]  # the other scenario is in the tables still, without baselines
    folds = {m: p.groupby("fold").sample_name.agg(set).to_dict() for m, p in tested.groupby("modality", observed=True)}
    assert all(f == folds["eda"] for f in folds.values())
    text = (beside / "report.html").read_text()
    assert all(row in text for row in default_rows())
    costs = pd.read_csv(beside / "costs.csv").groupby("modality")[["parameters", "seconds"]].median()
    assert costs.loc["majority", "parameters"] == 1
    assert costs.loc["eda:cnn-lstm", "parameters"] == 11_234
    assert (costs.seconds >= 0).all()


def test_a_row_with_muscles_takes_features_at_the_recorders_rate(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    base = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(tmp_path), "--in-process"]
    asked = ["--modalities", "eda+ecg+emg:rf,emg:logistic,eda:rf", "--scenarios", "expressive67", "--folds", "0"]
    assert main([*asked, *base]) == 0
    scores = pd.read_csv(tmp_path / "scores.csv").set_index("modality")
    assert scores.accuracy.notna().all()
    assert set(scores.index) == {"eda+ecg+emg:rf", "emg:logistic", "eda:rf"}
    (store,) = (tmp_path / "store").resolve().glob("domain*") if (tmp_path / "store").is_dir() else (None,)
    assert store is not None


def test_what_is_impossible_says_so(tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    shutil.rmtree(data / "video")
    base = ["--data", str(data), "--experiment", str(tiny_experiment), "--out", str(tmp_path / "out")]
    assert main(["--modalities", "video:rf,majority", "--scenarios", "all87", *base, "--in-process"]) == 0
    failures = pd.read_csv(tmp_path / "out" / "failures.csv")
    assert set(failures.modality) == {"video:rf"}
    assert "no usable video" in failures.reason[0]


def test_held_out_subjects_cannot_be_seen_in_a_baseline(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """Other signals for the subjects of fold 0: everything fitted in fold 0 stays, bit by bit; what is predicted does not."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    base = ["--modalities", SIGNAL_ROWS, "--scenarios", "all87", "--folds", "0", "--experiment", str(tiny_experiment)]
    assert main([*base, "--data", str(tiny_data), "--out", str(tmp_path / "a"), "--in-process"]) == 0
    then = pd.read_parquet(tmp_path / "a" / "predictions.parquet")
    for name in then.sample_name.unique():
        file = data / "biosignals_filtered" / name.partition("-")[0] / f"{name}_bio.csv"
        table = pd.read_csv(file, sep="\t")
        table.iloc[:, 1:] = table.iloc[::-1, 1:].to_numpy() * 3
        table.to_csv(file, sep="\t", index=False)
    assert main([*base, "--data", str(data), "--out", str(tmp_path / "b"), "--in-process"]) == 0
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")
    now = pd.read_parquet(tmp_path / "b" / "predictions.parquet")
    rule = now.modality == "eda:argmax"
    assert not now[rule].p_pain.equals(then[rule].p_pain)


def test_a_setting_of_a_baseline_is_read_and_checked(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_experiment.read_text() + "\n[methods.rf]\ntrees = 7\n")
    base = ["--modalities", "eda:rf", "--folds", "0", "--scenarios", "all87", "--data", str(tiny_data), "--in-process"]
    assert main([*base, "--experiment", str(mine), "--out", str(tmp_path / "out")]) == 0
    (file,) = (tmp_path / "out" / "store").glob("fit-rf-eda/*/arrays.safetensors")
    assert load_file(file)["network.root"].shape == (7,)
    accuracy = 100 * float(pd.read_csv(tmp_path / "out" / "scores.csv").accuracy.mean())
    assert f"eda:rf · all87: accuracy {accuracy:.1f} % (mean of 1 cell)" in capsys.readouterr().out  # while it ran
    mine.write_text(tiny_experiment.read_text() + "\n[methods.rf]\ntree = 7\n")
    assert main([*base, "--experiment", str(mine), "--out", str(tmp_path / "out")]) == 2
    assert "unknown key 'tree': did you mean 'trees'?" in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_ray_gives_the_same_bytes(beside: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "ray"
    (out / "store").mkdir(parents=True)
    for name in ("features", "faces", "signals"):
        shutil.copytree(beside / "store" / name, out / "store" / name)
    command = [sys.executable, "-m", "grid.launch", "--baselines", "--scenarios", "all87", "--data", str(tiny_data)]
    run = subprocess.run(
        [*command, "--experiment", str(tiny_experiment), "--out", str(out)], capture_output=True, text=True, timeout=400
    )
    assert run.returncode == 0, run.stderr
    there, here = weights_of(out), weights_of(beside)
    assert there
    assert there == {k: v for k, v in here.items() if k in there}
