"""A grid with partitions and fit seeds, run: every table, page and mirror carries both, and folders without them are read."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from dashboards.report import write_report
from dashboards.results import read_results
from dataprep.synthetic.dataset import write_synthetic
from grid.launch import main
from grid.monitor import status
from grid.tracking import sync
from painmodels import predict
from painmodels.export import from_run

pytestmark = pytest.mark.slow

CELL = ["modality", "scenario", "protocol", "fold", "repeat", "seed"]
AXES = ("fold", "repeat", "seed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people, one trial a class: three partitions into two pairs."""
    path = tmp_path_factory.mktemp("repeats") / "data"
    write_synthetic(path, subjects=4, trials=1, size=(160, 120), signal="eda")
    return path


@pytest.fixture(scope="module")
def command(data: Path, tiny_experiment: Path) -> list[str]:
    common = ["--modalities", "eda,majority", "--scenarios", "all87", "--data", str(data), "--in-process"]
    return [*common, "--experiment", str(tiny_experiment)]


@pytest.fixture(scope="module")
def grid(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows, two folds, four partitions (two of them must be one and the same), two fit seeds."""
    out = tmp_path_factory.mktemp("repeats-out") / "out"
    assert main([*command, "--repeats", "4", "--seeds", "0,3", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def plain(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the defaults: one partition, one seed. Not to be changed: copy it."""
    out = tmp_path_factory.mktemp("plain") / "out"
    assert main([*command, "--out", str(out)]) == 0
    return out


def runs_of(out: Path, experiment: str = "tiny") -> list:
    client = MlflowClient(sync.local_uri(out))
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000))


def test_every_table_has_a_row_for_every_fold_partition_and_seed(grid: Path) -> None:
    scores = pd.read_csv(grid / "scores.csv")
    wanted = {(m, f, r, s) for m in ("eda", "majority") for f in (0, 1) for r in range(4) for s in (0, 3)}
    assert set(scores[["modality", *AXES]].itertuples(index=False, name=None)) == wanted
    assert len(scores) == 32
    assert scores.accuracy.notna().all()
    predictions = pd.read_parquet(grid / "predictions.parquet")
    assert not predictions.duplicated([*CELL, "sample_name"]).any()
    assert (predictions.groupby(["modality", "sample_name"]).size() == 8).all()  # once a partition and seed
    curves = pd.read_parquet(grid / "curves.parquet")
    assert set(curves.seed) == {0, 3}
    table = pd.read_csv(grid / "table2.csv").set_index("modality")
    assert table.loc["eda", ["folds", "repeats", "seeds", "cells", "n_subjects"]].tolist() == [2, 4, 2, 16, 4]
    assert table[["accuracy_sd", "accuracy_sd_repeats", "accuracy_sd_seeds"]].notna().all().all()
    assert table.loc["majority", "accuracy_sd_seeds"] == 0
    records = json.loads((grid / "cells.json").read_text())
    assert {tuple(r[a] for a in AXES) for r in records} == {w[1:] for w in wanted}
    run = json.loads((grid / "run.json").read_text())
    assert (run["folds"], run["repeats"], run["seeds"]) == (2, 4, [0, 3])


def test_seed_0_of_the_first_partition_is_what_the_defaults_give(grid: Path, plain: Path) -> None:
    few, whole = (pd.read_parquet(out / "predictions.parquet") for out in (plain, grid))
    first = whole[(whole.repeat == 0) & (whole.seed == 0)].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, first)
    other = whole[(whole.repeat == 0) & (whole.seed == 3) & (whole.modality == "eda")]
    assert set(other.p_pain).isdisjoint(set(few.p_pain))
    page = (plain / "report.html").read_text()
    assert "Spread of accuracy" not in page
    assert "one partition into folds and one fit seed" in page
    assert "set [protocol] repeats and [fit] seeds higher" in page


def test_a_run_for_every_cell_and_none_for_two(grid: Path) -> None:
    """Two of the four partitions are the same pairs: they share fits and predictions, and have runs of their own."""
    predicted = [c["predict"] for c in json.loads((grid / "cells.json").read_text())]
    assert len(set(predicted)) < len(predicted) == 32
    runs = runs_of(grid)
    children = [r for r in runs if r.data.tags["kind"] == "fold"]
    parents = {r.info.run_id: r for r in runs if r.data.tags["kind"] == "row"}
    assert (len(children), len(parents)) == (32, 2)
    assert len({tuple(r.data.params[name] for name in ("modality", *AXES)) for r in children}) == 32
    assert len({r.data.tags["mlflow.runName"] for r in children}) == 32
    assert {"eda · all87 · fold 0", "eda · all87 · repeat 3 · seed 3 · fold 1"} <= {
        r.data.tags["mlflow.runName"].removesuffix(" · synthetic data") for r in children
    }
    table = pd.read_csv(grid / "table2.csv").set_index("modality")
    for parent in parents.values():
        row = table.loc[parent.data.tags["modality"]]
        for name in ("accuracy_mean", "accuracy_sd", "accuracy_sd_repeats", "accuracy_sd_seeds"):
            assert parent.data.metrics[name] == pytest.approx(row[name] / 100, abs=1e-4)
        assert [parent.data.metrics[name] for name in ("folds", "repeats", "seeds", "cells")] == [2, 4, 2, 16]
    stages = runs_of(grid, "tiny stages")
    served = " ".join(r.data.tags["cells"] for r in stages).split()
    assert len(served) == len(set(served)) == 32
    assert "eda/all87/repeat3/seed3/fold1" in served
    assert sync.sync(grid)["unchanged"] == len(runs) + len(stages)


def test_another_seed_is_another_row_beside_the_first(plain: Path, tmp_path: Path) -> None:
    """On one server: grids of one name that begin with other seeds keep rows and cells apart, whatever they have in common."""
    uri = f"sqlite:///{tmp_path / 'all.db'}"
    for n, (table, values) in enumerate([("fit", {"seeds": [0]}), ("fit", {"seeds": [1]}), ("protocol", {"seed": 1})]):
        out = Path(shutil.copytree(plain, tmp_path / str(n)))
        run = json.loads((out / "run.json").read_text())
        run["experiment"][table].update(values)
        (out / "run.json").write_text(json.dumps(run))
        sync.sync(out, uri, models=False)
        assert sync.sync(out, uri, models=False)["updated"] == 0
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert sorted(r.data.tags["kind"] for r in runs) == ["fold"] * 12 + ["report"] + ["row"] * 6


def test_the_report_tells_the_spreads_apart_and_which_inference_it_makes(grid: Path) -> None:
    page = (grid / "report.html").read_text()
    assert "Over partitions" in page
    assert "Over fit seeds" in page
    assert "2 folds, 4 partitions, 2 fit seeds" in page
    assert "Every trial was predicted 8 times (4 partitions, 2 fit seeds)" in page
    assert "to speak about the method" not in page
    assert "SD, partitions" in (grid / "table2.tex").read_text()


def test_the_terminal_counts_and_shows_them(
    grid: Path, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main([*command, "--repeats", "4", "--seeds", "0,3", "--out", str(grid), "--plan"]) == 0
    text = capsys.readouterr().out
    assert "subject, 2 folds, 4 partitions" in text
    assert "fit seeds   0, 3" in text
    assert "cells       16 (1 row x 1 scenario x folds x 4 partitions x 2 seeds): 16 done, 0 to do" in text
    assert "baselines   16 (1 baseline x 1 scenario x folds x 4 partitions x 2 seeds): 16 done, 0 to do" in text
    assert main([*command, "--repeats", "2", "--seeds", "0-2", "--folds", "1", "--out", str(tmp_path), "--plan"]) == 0
    assert "cells       6 (" in capsys.readouterr().out
    status.show(grid)
    text = capsys.readouterr().out
    assert (
        len(re.findall(r"^(?:eda|majority) +[●†‡]{2}(?: [●†‡]{2}){7} *$", text, re.M)) == 2
    )  # a group a partition and seed
    assert "done 32" in text
    assert main([*command, "--repeats", "4", "--seeds", "0,3", "--out", str(grid)]) == 0
    text = capsys.readouterr().out
    assert "accuracy in % (mean ± SD over folds ± over partitions ± over fit seeds)" in text
    assert "nothing was computed again" in text


def test_a_cell_is_found_by_its_short_name_and_its_long_one(grid: Path, data: Path, capsys: pytest.CaptureFixture) -> None:
    signals = next((data / "biosignals_filtered").rglob("*_bio.csv"))
    said = {}
    for name in (
        "fold0",
        "repeat0/seed0/fold0",
        "seed3/fold0",
        "subject/seed3/fold0",
        "repeat1/seed3/fold0",
        "subject/repeat1/fold0",
    ):
        assert predict.main(["--run", str(grid), "--cell", f"eda/all87/{name}", "--signals", str(signals)]) == 0
        said[name] = json.loads(capsys.readouterr().out)
    assert said["fold0"] == said["repeat0/seed0/fold0"]
    assert said["seed3/fold0"] == said["subject/seed3/fold0"]
    assert said["seed3/fold0"]["cell"] == "eda/all87/subject/seed3/fold0"
    assert len({s["p_pain"] for s in said.values()}) >= 3
    with pytest.raises(
        ValueError, match=r"found no cell 'eda/all87/seed4/fold0', expected one of 32 such as eda/all87/fold0"
    ):
        from_run(grid, "eda/all87/seed4/fold0")


def test_a_folder_from_before_is_read(grid: Path, plain: Path, tmp_path: Path) -> None:
    """Without the two columns, in every file that has them now."""
    old = Path(shutil.copytree(plain, tmp_path / "old"))
    for name in ("predictions.parquet", "curves.parquet", "attention.parquet"):
        pd.read_parquet(old / name).drop(columns=["repeat", "seed"], errors="ignore").to_parquet(old / name, index=False)
    for name in ("scores.csv", "failures.csv", "learning.csv"):
        pd.read_csv(old / name).drop(columns=["repeat", "seed"]).to_csv(old / name, index=False)
    for name in ("cells.json", "plan.json"):
        found = json.loads((old / name).read_text())
        for cell in found if isinstance(found, list) else found["cells"]:
            del cell["repeat"], cell["seed"]
        (old / name).write_text(json.dumps(found))
    run = json.loads((old / "run.json").read_text())
    del run["experiment"]["fit"], run["experiment"]["trunk"]["seed"], run["repeats"], run["seeds"]
    run["experiment"]["protocol"] = {"name": "subject", "folds": 2}
    (old / "run.json").write_text(json.dumps({**run, "experiment": {**run["experiment"], "seed": 0}}))
    results = read_results(write_report(old, grid).parent)
    assert set(results.scores.seed) == {0}
    assert "fit seeds (0 and 0, 3)" in (old / "report.html").read_text()
    assert set(status.snapshot(old).cells.values()) == {"done"}
    assert sync.sync(old, f"sqlite:///{tmp_path / 'old.db'}")["made"] == 2 + 4 + 4 + 1
    assert from_run(old, "eda/all87/fold1").about["cell"] == "eda/all87/subject/fold1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "loso", "--repeats", "2"], "protocol.repeats: found 2, expected 1: the protocol loso has one"),
        (["--folds", "0", "--repeats", "0"], "protocol.repeats"),
        (["--seeds", "1,x"], "--seeds '1,x': 'x' is neither a number nor a range"),
        (["--seeds", ""], "--seeds ''"),
        (["--seeds", "3-1"], "--seeds '3-1': the range '3-1' is empty"),
    ],
)
def test_what_cannot_be_is_said(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    assert main([*command, *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
