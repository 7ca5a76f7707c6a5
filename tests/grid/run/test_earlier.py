"""A run of a part of the grid adds to the tables of its folder, and loses nothing of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from grid.launch import main

pytestmark = pytest.mark.slow

TABLES = ("scores.csv", "table2.csv", "learning.csv", "failures.csv", "quarantine.csv", "cells.json")
PARQUET = ("predictions.parquet", "curves.parquet", "attention.parquet")


def arguments(data: Path, experiment: Path, out: Path, *selection: str) -> list[str]:
    return [*selection, "--data", str(data), "--experiment", str(experiment), "--out", str(out), "--in-process"]


def copied(grid: Path, to: Path) -> Path:
    """The finished tiny grid."""
    return Path(shutil.copytree(grid, to))


@pytest.mark.parametrize(
    "selection",
    [
        ("--modalities", "eda,frame"),
        ("--all", "--scenarios", "expressive67", "--folds", "1"),
    ],
)
def test_a_part_of_a_finished_grid_leaves_the_tables_as_they_are(
    selection: tuple[str, ...], tiny_grid: Path, tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    out = copied(tiny_grid, tmp_path / "out")
    assert main(arguments(tiny_data, tiny_experiment, out, *selection)) == 0
    for name in TABLES:
        assert (out / name).read_text() == (tiny_grid / name).read_text(), name
    for name in PARQUET:
        pd.testing.assert_frame_equal(pd.read_parquet(out / name), pd.read_parquet(tiny_grid / name))
    now, before = (json.loads((folder / "run.json").read_text()) for folder in (out, tiny_grid))
    assert now["scenarios"] == before["scenarios"]
    assert [(s["stage"], s["count"], s["failed"]) for s in now["stages"]] == [
        (s["stage"], s["count"], s["failed"]) for s in before["stages"]
    ]


def test_parts_add_up_and_failures_stay(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grid.work.fit_predict import Runner

    def broken(*_: object) -> None:
        raise MemoryError("planted")

    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    table = sorted((data / "biosignals_filtered").rglob("*.csv"))[5]
    table.write_text(table.read_text().replace("gsr", "gsx", 1))
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "fit", broken)
        assert main(arguments(data, tiny_experiment, out, "--modalities", "ecg", "--scenarios", "all87")) == 1
    assert main(arguments(data, tiny_experiment, out, "--modalities", "eda", "--folds", "0")) == 0
    assert main(arguments(data, tiny_experiment, out, "--baselines", "--folds", "1", "--scenarios", "all87")) == 0
    cells = json.loads((out / "cells.json").read_text())
    found = {(c["modality"], c["scenario"], c["fold"]): c["status"] for c in cells}
    assert {k: v for k, v in found.items() if ":" not in k[0] and k[0] != "majority"} == {
        ("ecg", "all87", 0): "failed",
        ("ecg", "all87", 1): "failed",
        ("eda", "all87", 0): "done",
        ("eda", "expressive67", 0): "done",
    }
    assert found["eda:argmax", "all87", 1] == "done"
    failures = pd.read_csv(out / "failures.csv")
    assert set(failures.modality) == {"ecg"}
    assert failures.reason.str.contains("planted").all()
    assert table.stem.removesuffix("_bio") in (out / "quarantine.csv").read_text()


@pytest.mark.parametrize("change", ["settings", "recordings", "store"])
def test_results_of_another_kind_are_not_lost(
    change: str,
    tiny_grid: Path,
    tiny_data: Path,
    tiny_experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    out, data, experiment, more = copied(tiny_grid, tmp_path / "out"), tiny_data, tiny_experiment, []
    if change == "settings":
        experiment = tmp_path / "tiny.toml"
        experiment.write_text(tiny_experiment.read_text().replace("epochs = 3", "epochs = 4"))
    elif change == "recordings":
        data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
        table = sorted((data / "biosignals_filtered").rglob("*.csv"))[0]
        lines = table.read_text().splitlines(keepends=True)
        table.write_text("".join([*lines[:1], *lines[2:], lines[1]]))
    else:
        more = ["--store", str(tmp_path / "elsewhere")]
        shutil.rmtree(out / "store")
    before = (out / "scores.csv").read_text()
    assert main(arguments(data, experiment, out, "--modalities", "eda", *more)) == 2
    said = capsys.readouterr().err
    assert "which would be lost" in said
    assert "another --out" in said
    assert (out / "scores.csv").read_text() == before


def test_a_list_of_cells_that_cannot_be_read_is_named(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "cells.json").write_text('[{"modality": "eda"}]')
    assert main(arguments(tiny_data, tiny_experiment, tmp_path, "--modalities", "eda")) == 2
    assert str(tmp_path / "cells.json") in capsys.readouterr().err
