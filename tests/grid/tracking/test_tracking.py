"""The MLflow mirror, in a real database."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from grid.tracking import sync
from grid.tracking.redact import redact
from grid.tracking.runs import CONTENT_TAG, LAYOUT_TAG
from painmodels.export import from_run
from tests.benchmarks.mirror import make_folder
from tests.taught import teach

pytestmark = pytest.mark.slow


def runs_of(out: Path) -> list:
    client = MlflowClient(sync.local_uri(out))
    (experiment,) = [e for e in client.search_experiments() if e.name == "tiny"]
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def test_a_parent_per_row_and_a_child_per_fold(tiny_grid: Path) -> None:
    runs = runs_of(tiny_grid)
    assert {r.info.status for r in runs} == {"FINISHED"}
    parents = {r.info.run_id: r for r in runs if r.data.tags["kind"] == "row"}
    children = [r for r in runs if r.data.tags["kind"] == "fold"]
    assert (len(parents), len(children)) == (16, 32)
    scores = pd.read_csv(tiny_grid / "scores.csv")
    for child in children:
        parent = parents[child.data.tags["mlflow.parentRunId"]]
        for name in ("modality", "scenario", "protocol", "data_fingerprint", "code_version"):
            assert child.data.tags[name] == parent.data.tags[name]
            behind = name in ("data_fingerprint", "code_version")
            assert child.data.params[f"settings.{name}" if behind else name] == child.data.tags[name]
        cell = scores[(scores.modality == child.data.tags["modality"]) & (scores.scenario == child.data.tags["scenario"])]
        mine = cell[cell.fold == int(child.data.params["fold"])].iloc[0]
        assert child.data.metrics["accuracy"] == pytest.approx(mine.accuracy)
        assert parent.data.metrics["accuracy_mean"] == pytest.approx(cell.accuracy.mean())
    eda = next(p for p in parents.values() if p.data.tags["modality"] == "eda" and p.data.tags["scenario"] == "all87")
    frame = next(p for p in parents.values() if p.data.tags["modality"] == "frame" and p.data.tags["scenario"] == "all87")
    assert frame.data.metrics["accuracy_low"] <= frame.data.metrics["accuracy_mean"] <= frame.data.metrics["accuracy_high"]
    assert "accuracy_frame_mean_mean" in frame.data.metrics
    assert "accuracy_paper" not in eda.data.metrics  # these people are not the paper's
    fused = next(c for c in children if c.data.tags["modality"] == "eda+video")
    client = MlflowClient(sync.local_uri(tiny_grid))
    curve = client.get_metric_history(fused.info.run_id, "loss/physiological")
    assert [m.step for m in curve] == [0, 1, 2]
    assert fused.data.params["settings.physiological.lr"] == "0.01"
    assert len(fused.data.tags["stages"].split()) == 5


def test_runs_last_as_long_as_the_work_and_say_what_was_found(tiny_grid: Path) -> None:
    client = MlflowClient(sync.local_uri(tiny_grid))
    runs = runs_of(tiny_grid)
    spans = {r.info.run_id: (r.info.start_time, r.info.end_time) for r in runs}
    for child in (r for r in runs if r.data.tags["kind"] == "fold"):
        start, end = spans[child.info.run_id]
        fits = [client.get_run(run_id) for run_id in child.data.tags["stage_runs"].split()]
        assert start == min(fit.info.start_time for fit in fits)
        assert end == max(fit.info.end_time for fit in fits)
        longest = max(fit.data.metrics["seconds"] for fit in fits)
        assert end - start >= 1000 * longest - 1
        first, last = spans[child.data.tags["mlflow.parentRunId"]]
        assert first <= start <= end <= last
    for parent in (r for r in runs if r.data.tags["kind"] == "row"):
        names = sorted(parent.data.params)  # MLflow compares the first of these that differ
        assert max(names.index(n) for n in ("modality", "method", "protocol", "scenario")) < names.index(
            next(n for n in names if n.startswith("settings."))
        )
        note = parent.data.tags["mlflow.note.content"]
        where = f"{parent.data.tags['modality']}, {parent.data.tags['scenario']}"
        assert note.startswith(f"{where}: accuracy {100 * parent.data.metrics['accuracy']:.1f} %")
        assert f"get-artifact?path=row.png&run_uuid={parent.info.run_id}" in note
        assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["row.png"]
        assert parent.data.tags["claim"] in ("above chance", "none", "not tested")
    (report,) = [r for r in runs if r.data.tags["kind"] == "report"]
    assert {file.path for file in client.list_artifacts(report.info.run_id)} == {"report.html", "rows.html", "tripod-ai.md"}
    experiment = client.get_experiment_by_name("tiny")
    assert report.info.run_id in experiment.tags["mlflow.note.content"]
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    page = Path(client.download_artifacts(report.info.run_id, "rows.html")).read_text()
    assert all(f"<td>{row}</td>" in page for row in ("eda", "ecg+video"))
    assert not any(subject in page for subject in pd.read_parquet(tiny_grid / "predictions.parquet").subject_name.unique())


def test_a_run_of_an_older_layout_is_made_again(tmp_path: Path) -> None:
    make_folder(tmp_path / "out", name="same", epochs=2, folds=1, scenarios=("all87",))
    first = sync.sync(tmp_path / "out", models=False)
    client = MlflowClient(sync.local_uri(tmp_path / "out"))
    experiment = client.get_experiment_by_name("same").experiment_id
    old = client.search_runs([experiment], "tags.kind = 'fold'")[0]
    client.delete_tag(old.info.run_id, LAYOUT_TAG)
    assert sync.sync(tmp_path / "out", models=False) == {**first, "made": 1, "unchanged": first["made"] - 1}
    after = client.search_runs([experiment], "tags.kind = 'fold'")
    assert old.info.run_id not in {r.info.run_id for r in after}


def test_mirroring_again_changes_nothing_and_a_crash_is_mended(tiny_grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "mirror"
    out.mkdir()
    for name in ("cells.json", "run.json", "scores.csv"):
        shutil.copy(tiny_grid / name, out / name)
    (out / "store").symlink_to(tiny_grid / "store")
    assert sync.main(["sync", str(out)]) == 0
    assert sync.sync(out) == {"made": 0, "updated": 0, "unchanged": 85, "models": 0}
    client = MlflowClient(sync.local_uri(out))
    victim = next(r for r in runs_of(out) if r.data.tags["kind"] == "fold")
    client.delete_tag(victim.info.run_id, CONTENT_TAG)  # as a crash before the last step leaves it
    client.update_run(victim.info.run_id, "RUNNING")
    assert sync.sync(out) == {"made": 0, "updated": 1, "unchanged": 84, "models": 0}
    after = runs_of(out)
    assert {r.info.status for r in after} == {"FINISHED"}
    assert len(after) == 49
    same = next(r for r in after if r.info.run_id == victim.info.run_id)
    assert same.data.metrics == victim.data.metrics


def test_every_run_on_synthetic_data_says_so(tiny_grid: Path) -> None:
    client = MlflowClient(sync.local_uri(tiny_grid))
    for name in ("tiny", "tiny stages"):
        experiment = client.get_experiment_by_name(name)
        found = client.search_runs([experiment.experiment_id], max_results=1000)
        assert found
        for run in found:
            assert run.data.tags["data"] == run.data.params["data"] == "synthetic data"
            assert run.info.run_name.endswith("synthetic data")
    assert "Synthetic data" in client.get_experiment_by_name("tiny").tags["mlflow.note.content"]
    assert not [name for run in runs_of(tiny_grid) for name in run.data.metrics if "paper" in name]


def test_a_run_per_stage_with_every_epoch_and_links_both_ways(tiny_grid: Path) -> None:
    client = MlflowClient(sync.local_uri(tiny_grid))
    experiment = client.get_experiment_by_name("tiny stages")
    stages = {r.info.run_id: r for r in client.search_runs([experiment.experiment_id], max_results=1000)}
    keys = {fit["key"] for cell in json.loads((tiny_grid / "cells.json").read_text()) for fit in cell["fits"]}
    assert {r.data.tags["key"] for r in stages.values()} == keys
    assert len(stages) == len(keys) == 36
    for child in (r for r in runs_of(tiny_grid) if r.data.tags["kind"] == "fold"):
        mine = [stages[run_id] for run_id in child.data.tags["stage_runs"].split()]
        assert [f"{r.data.tags['stage']}/{r.data.tags['key']}" for r in mine] == child.data.tags["stages"].split()
        name = "/".join([child.data.tags["modality"], child.data.tags["scenario"], f"fold{child.data.tags['fold']}"])
        assert all(name in r.data.tags["cells"].split() for r in mine)
        assert all(r.info.run_id in child.data.tags["mlflow.note.content"] for r in mine)
    eda = next(r for r in stages.values() if r.data.params["signals"] == "eda" and r.data.params["role"] == "physiological")
    assert eda.data.params["settings.lr"] == "0.01"
    assert eda.data.tags["device"] == "cpu"
    assert eda.data.metrics["seconds"] > 0
    assert [m.step for m in client.get_metric_history(eda.info.run_id, "loss")] == [0, 1, 2]
    cells = f"eda/{eda.data.tags['scenario']}/fold{eda.data.tags['fold']}"
    assert eda.data.tags["cells"].split() == [cells, cells.replace("eda/", "eda+video/")]


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"fit": {"seeds": [1]}}, {"eda", "eda+video"}),
        ({"protocol": {"seed": 3}}, {"eda", "eda+video"}),
        ({"faces": {"detector": "retinaface"}}, {"eda+video"}),  # a row without video is the same, whatever finds faces
    ],
)
def test_grids_of_other_seeds_or_faces_have_parents_of_their_own(
    change: dict, rows: set[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    database = f"sqlite:///{tmp_path / 'one.db'}"
    for name in ("a", "b"):
        out = make_folder(tmp_path / name, name="same", epochs=2, folds=2, scenarios=("all87",)) or tmp_path / name
        run = json.loads((out / "run.json").read_text())
        run["experiment"] = {**run["experiment"], **(change if name == "b" else {})}
        (out / "run.json").write_text(json.dumps(run))
        sync.sync(out, database, models=False)
    said = capsys.readouterr().err  # the overview is one, whatever stays apart
    assert f"the MLflow experiment 'same' was written from {socket.gethostname()}:{tmp_path / 'a'} before" in said
    client = MlflowClient(database)
    found = client.search_runs([client.get_experiment_by_name("same").experiment_id], "tags.kind = 'row'")
    named = [r.data.tags["modality"] for r in found]
    assert {m for m in set(named) if named.count(m) == 2} & {"eda", "eda+video"} == rows


def test_long_curves_are_whole_in_the_stage_and_thinned_in_the_fold(tmp_path: Path) -> None:
    make_folder(tmp_path / "out", name="long", epochs=250, folds=1, scenarios=("all87",))
    sync.sync(tmp_path / "out", models=False)
    client = MlflowClient(sync.local_uri(tmp_path / "out"))

    def only(experiment: str, wanted: str) -> str:
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], wanted)
        assert len(found) == 1
        return found[0].info.run_id

    whole = client.get_metric_history(only("long stages", "tags.cells = 'eda/all87/fold0 eda+video/all87/fold0'"), "loss")
    assert [m.step for m in whole] == list(range(250))
    thin = client.get_metric_history(
        only("long", "tags.kind = 'fold' and tags.modality = 'eda+video'"), "loss/physiological"
    )
    assert len(thin) == 100
    assert (thin[0].step, thin[-1].step) == (0, 249)
    values = {m.step: m.value for m in whole}
    assert all(m.value == values[m.step] for m in thin)


def test_the_best_row_is_a_registered_model_that_says_what_predict_says(
    tiny_grid: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "models"
    out.mkdir()
    for name in ("cells.json", "run.json", "predictions.parquet"):
        shutil.copy(tiny_grid / name, out / name)
    shutil.copytree(tiny_grid / "store", out / "store")
    teach(out, "fit-*")
    scores = pd.read_csv(tiny_grid / "scores.csv")
    for best, version in (("ecg", "1"), ("ecg", "1"), ("eda+video", "2")):
        scores.loc[scores.modality == best, "accuracy"] = [0.99, 0.95, 0.99, 0.95] if best == "ecg" else 1.0
        scores.to_csv(out / "scores.csv", index=False)
        sync.sync(out)
        client = MlflowClient(sync.local_uri(out))
        assert client.get_model_version_by_alias("tiny all87", "best").version in (version, int(version))
        assert len(client.search_model_versions("name = 'tiny all87'")) == int(version)
    assert not [p for p in (out / "mlartifacts").rglob("*") if p.suffix in (".pkl", ".pickle", ".pt", ".pth")]

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.set_tracking_uri(sync.local_uri(out))
    try:
        served = mlflow.pyfunc.load_model("models:/tiny all87@best")
    finally:
        mlflow.set_tracking_uri(None)
    example = served.input_example
    assert served.predict(example).shape == (1, 2)
    model = from_run(out, "eda+video/all87/fold0")
    for clip in sorted((tiny_data / "video").rglob("*.mp4"))[:2]:
        signals = next((tiny_data / "biosignals_filtered").rglob(f"{clip.stem}_bio.csv"))
        said = model.predict(video=clip, signals=signals).p_pain
        inputs = served.unwrap_python_model().inputs(video=str(clip), signals=str(signals))
        assert 1 - served.predict(inputs)[0, 0] == pytest.approx(said, abs=1e-4)
    folder = next((out / "mlartifacts").rglob("MLmodel")).parent
    text = (folder / "model_card.md").read_text()
    for part in (
        "## Data",
        "95 % interval over",
        "## Calibration",
        "must not be used for",
        "PA4 (against BL1)",
        "synthetic",
    ):
        assert part in text
    assert text.count("| Accuracy | 0.9") + text.count("| Accuracy | 1.0") == 1
    (wheel,) = folder.glob("*.whl")
    assert f"./{wheel.name}[predict]" in (folder / "requirements.txt").read_text().splitlines()
    with pytest.raises(MlflowException, match="signals"):
        served.predict({"video": example["video"]})


def test_a_row_that_did_not_learn_is_not_registered_and_loses_its_name(tiny_grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    out.mkdir()
    for name in ("cells.json", "run.json", "scores.csv"):
        shutil.copy(tiny_grid / name, out / name)
    shutil.copytree(tiny_grid / "store", out / "store")
    scores = pd.read_csv(out / "scores.csv")
    scores.loc[scores.modality == "ecg", "accuracy"] = 1.0
    scores.to_csv(out / "scores.csv", index=False)
    client = MlflowClient(sync.local_uri(out))
    sync.sync(out)
    assert not client.search_registered_models()  # hardly anything learns in the tiny grid
    teach(out, "fit-physiological-ecg")
    sync.sync(out)
    assert client.get_model_version_by_alias("tiny all87", "best").tags["modality"] == "ecg"
    teach(out, "fit-physiological-ecg", last_loss=0.6)  # collapsed
    sync.sync(out)
    assert "best" not in client.get_registered_model("tiny all87").aliases
    teach(out, "fit-physiological-eda")
    sync.sync(out)
    assert client.get_model_version_by_alias("tiny all87", "best").tags["modality"] == "eda"


def test_a_password_in_an_address_is_not_shown() -> None:
    assert redact("--tracking-uri postgresql://me:s3cret@db.lab/x") == "--tracking-uri postgresql://me:***@db.lab/x"
    assert redact("http://127.0.0.1:5000 me@lab") == "http://127.0.0.1:5000 me@lab"


def test_a_server_that_is_away_loses_nothing(tiny_grid: Path, capsys: pytest.CaptureFixture) -> None:
    assert sync.main(["sync", str(tiny_grid), "--tracking-uri", "http://127.0.0.1:9"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert sync.main(["sync", str(tiny_grid / "store")]) == 2
