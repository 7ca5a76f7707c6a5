"""Rows whose sub-networks did not learn, or collapsed, are marked wherever a number of theirs is shown."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from grid.launch import main
from grid.monitor import status
from grid.results.learned import KEY, WHY_ECG, by_verdict, marks
from grid.results.stats import compare, every_pair
from grid.results.tables import with_learning
from grid.tracking import sync
from painmodels.training.learning import COLLAPSED, LEARNED, NOT_LEARNED

pytestmark = pytest.mark.slow

EXPERIMENT = """
name = "planted"
[axes]
modalities = ["eda", "ecg", "eda+ecg"]
scenarios = ["all87"]
[scenarios.all87]
subset = "all"
[protocol]
folds = 2
[trunk]
name = "mini-xception-fer"
[physiological]
hidden = 8
epochs = {epochs}
batch = 8
lr = {lr}
milestones = {milestones}
gamma = {gamma}
"""
GOOD = {"epochs": 40, "lr": 2e-2, "milestones": [], "gamma": 0.1}
KINDS = {
    "still": ({**GOOD, "lr": 1e-12}, "†", "not learned", "did not learn"),
    "exploding": ({**GOOD, "milestones": [38], "gamma": 3000.0}, "‡", "collapsed", "collapsed"),
    "good": (GOOD, "", "learned", ""),
}


def separable(data: Path) -> None:
    """Let both signals carry the label so plainly that anything learns it."""
    for file in (data / "biosignals_filtered").rglob("*_bio.csv"):
        table = pd.read_csv(file, sep="\t")
        rise = table["time"] / table["time"].max()
        sign = 1 if "-PA4-" in file.name else -1
        for column in ("gsr", "ecg"):
            table[column] = sign * rise + 0.001 * table[column]
        table.to_csv(file, sep="\t", index=False)


@pytest.fixture(scope="module")
def grids(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Result folder and printed text of three runs: a rate that cannot move, one that explodes at the end, a good one."""
    root = tmp_path_factory.mktemp("learned")
    data = Path(shutil.copytree(tiny_data, root / "data"))
    separable(data)
    found = {}
    for name, (settings, *_) in KINDS.items():
        file = root / f"{name}.toml"
        file.write_text(EXPERIMENT.format(**settings))
        out = root / name
        stream = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            code = main(["--all", "--data", str(data), "--experiment", str(file), "--out", str(out), "--in-process"])
        assert code == 0
        found[name] = (out, stream.getvalue())
    return found


@pytest.mark.parametrize("name", KINDS)
def test_a_row_is_marked_in_all_five_places(name: str, grids: dict) -> None:
    (out, printed), (_, symbol, verdict, words) = grids[name], KINDS[name]
    marked = bool(symbol)

    learning = pd.read_csv(out / "learning.csv")
    assert set(learning.verdict) == {verdict}
    scores = pd.read_csv(out / "scores.csv")
    assert set(scores.learned) == {not marked}
    column = "fits_not_learned" if symbol == "†" else "fits_collapsed"
    assert set(scores[column]) == {int(marked)}
    table2 = pd.read_csv(out / "table2.csv", keep_default_na=False)
    assert set(table2.mark) == {symbol}
    assert ("dagger" in (out / "table2.tex").read_text()) == marked

    page = (out / "report.html").read_text()
    assert ("Not everything learned" in page) == marked
    told = re.findall(r'<sup class="mark" title="([^"]*)">([^<]*)</sup>', page)
    assert {mark for _, mark in told} == ({symbol} if marked else set())
    assert len(told) > 3 * 9 if marked else not told  # three rows: Table 2, comparisons, confusion, spread, subjects …
    assert "What was learned" in page
    assert ("in the epochs that they had" in page) == marked
    assert set(learning.epochs) == {40}
    assert (WHY_ECG.partition(":")[0].replace("'", "&#39;") in page) == marked
    svg = (out / "figure3.svg").read_text()
    assert (f"<!-- {symbol} -->" in svg or symbol in svg) or not marked

    client = MlflowClient(sync.local_uri(out))
    (experiment,) = [e for e in client.search_experiments() if e.name == "planted"]
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 3 + 6 + 1  # the run with all rows
    for run in (r for r in runs if r.data.tags["kind"] != "report"):
        assert run.data.tags["learned"] == str(not marked).lower()
        fits = 2 if run.data.tags["kind"] == "row" else 1
        assert run.data.metrics[column] == (fits if marked else 0)
        assert (words in run.data.tags.get("not_learned", "")) == bool(words) or not marked
        assert ("in 40 epochs" in run.data.tags.get("not_learned", "")) == marked  # what was measured, and not more
    (stages,) = [e for e in client.search_experiments() if e.name == "planted stages"]
    assert {r.data.tags["verdict"] for r in client.search_runs([stages.experiment_id])} == {verdict}
    assert bool(client.search_registered_models()) != marked

    told = printed[printed.index("accuracy in %") :]
    assert (KEY in told) == marked
    assert told.count(symbol) >= 3 if marked else "†" not in told
    stream = io.StringIO()
    status.show(out, Console(file=stream, width=200, soft_wrap=True))
    assert (KEY in stream.getvalue()) == marked
    assert stream.getvalue().count(symbol) >= 6 if marked else "●●" in stream.getvalue()


def test_nothing_is_claimed_with_a_marked_row(grids: dict) -> None:
    page = (grids["still"][0] / "report.html").read_text()
    assert "nothing is claimed" in page
    assert "was more accurate than" not in page
    rows = []
    for row, right in (("a", 0.95), ("b", 0.5), ("c", 0.9)):
        for subject in range(20):
            for trial in range(20):
                p = 0.9 if trial < 20 * right - {"a": 0, "b": subject % 2, "c": subject % 3}[row] else 0.1
                rows.append((row, "s", "subject", subject % 5, f"s{subject}", f"{subject}-{trial}", None, 1, p))
    columns = ["modality", "scenario", "protocol", "fold", "subject_name", "sample_name", "frame", "y_true", "p_pain"]
    table = pd.DataFrame(rows, columns=columns)
    free, held = (compare(table, every_pair(table), marked=marked) for marked in ((), {"b"}))
    assert free.p_holm.min() < 0.01
    assert list(held.p_holm[held.marked]) == [1.0, 1.0]
    assert not held.claim[held.marked].any()
    assert list(held.marked) == [True, False, True]


def test_a_row_inherits_the_marks_of_what_feeds_it(tiny_grid: Path) -> None:
    """`video` rests on the CNN, the LSTM and the attention; `eda+video` on the EDA's LSTM and the fusion, too."""
    table = pd.read_csv(tiny_grid / "learning.csv")
    fits = table.groupby(["modality", "scenario", "fold"]).stage.apply(set)
    assert fits["frame", "all87", 0] == {"spatial"}
    assert fits["eda+video", "all87", 0] == {"spatial", "temporal", "attention", "physiological-eda", "fusion-eda"}
    found = marks(table)
    assert found["video", "all87", "subject"].fits == 6
    table.loc[table.stage == "spatial", "verdict"] = NOT_LEARNED
    assert all(mark.not_learned for (row, *_), mark in marks(table).items() if "video" in row or row == "frame")


def test_what_was_stored_before_verdicts_is_not_called_learned() -> None:
    assert by_verdict([("spatial", LEARNED), ("temporal", "unknown")]).learned == ""
    assert by_verdict([("spatial", LEARNED)]).learned == "true"
    assert by_verdict([("spatial", LEARNED), ("temporal", COLLAPSED)]).learned == "false"
    assert by_verdict([("rf", "")]).learned == ""
    scores = pd.DataFrame([("eda:rf", "all87", "subject", 0)], columns=["modality", "scenario", "protocol", "fold"])
    empty = pd.DataFrame(columns=[*scores.columns, "stage", "key", "verdict"])
    assert with_learning(scores, empty).loc[0, "learned"] == ""


def test_a_report_of_an_older_folder_has_no_marks(tiny_grid: Path, tmp_path: Path) -> None:
    from dashboards.report import write_report

    for name in ("run.json", "predictions.parquet", "scores.csv"):
        shutil.copy(tiny_grid / name, tmp_path / name)
    page = write_report(tmp_path).read_text()
    assert "What was learned" not in page
    assert '<sup class="mark"' not in page


def test_the_curve_of_a_stage_keeps_its_record(tiny_grid: Path) -> None:
    manifest = json.loads(next((tiny_grid / "store").glob("fit-physiological-eda/*/manifest.json")).read_text())
    record = manifest["facts"]["learning"]
    assert record["last_loss"] == manifest["facts"]["curve"][-1]["loss"]
    assert record["largest_gradient_norm"] == max(row["gradient_norm"] for row in manifest["facts"]["curve"])
