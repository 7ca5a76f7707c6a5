"""The MLflow mirror, in a real database."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from grid import tracking
from grid.runs import CONTENT_TAG


def runs_of(out: Path) -> list:
    client = MlflowClient(tracking.local_uri(out))
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
            assert child.data.params[name] == child.data.tags[name]
        cell = scores[(scores.modality == child.data.tags["modality"]) & (scores.scenario == child.data.tags["scenario"])]
        mine = cell[cell.fold == int(child.data.params["fold"])].iloc[0]
        assert child.data.metrics["accuracy"] == pytest.approx(mine.accuracy)
        assert parent.data.metrics["accuracy_mean"] == pytest.approx(cell.accuracy.mean())
    eda = next(p for p in parents.values() if p.data.tags["modality"] == "eda" and p.data.tags["scenario"] == "all87")
    assert eda.data.metrics["accuracy_low"] <= eda.data.metrics["accuracy_mean"] <= eda.data.metrics["accuracy_high"]
    assert eda.data.metrics["accuracy_paper"] == pytest.approx(0.8269)
    fused = next(c for c in children if c.data.tags["modality"] == "eda+video")
    client = MlflowClient(tracking.local_uri(tiny_grid))
    curve = client.get_metric_history(fused.info.run_id, "loss/physiological")
    assert [m.step for m in curve] == [0, 1, 2]
    assert fused.data.params["physiological.lr"] == "0.01"
    assert len(fused.data.tags["stages"].split()) == 5


def test_mirroring_again_changes_nothing_and_a_crash_is_mended(tiny_grid: Path, tmp_path: Path) -> None:
    out = tmp_path / "mirror"
    out.mkdir()
    for name in ("cells.json", "run.json", "scores.csv"):
        shutil.copy(tiny_grid / name, out / name)
    (out / "store").symlink_to(tiny_grid / "store")
    assert tracking.main(["sync", str(out)]) == 0
    assert tracking.sync(out) == {"made": 0, "updated": 0, "unchanged": 48}
    client = MlflowClient(tracking.local_uri(out))
    victim = next(r for r in runs_of(out) if r.data.tags["kind"] == "fold")
    client.delete_tag(victim.info.run_id, CONTENT_TAG)  # as a crash before the last step leaves it
    client.update_run(victim.info.run_id, "RUNNING")
    assert tracking.sync(out) == {"made": 0, "updated": 1, "unchanged": 47}
    after = runs_of(out)
    assert {r.info.status for r in after} == {"FINISHED"}
    assert len(after) == 48
    same = next(r for r in after if r.info.run_id == victim.info.run_id)
    assert same.data.metrics == victim.data.metrics


def test_a_server_that_is_away_loses_nothing(tiny_grid: Path, capsys: pytest.CaptureFixture) -> None:
    assert tracking.main(["sync", str(tiny_grid), "--tracking-uri", "http://127.0.0.1:9"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert tracking.main(["sync", str(tiny_grid / "store")]) == 2
