"""What a grid with hyperparameter search leaves behind: searches.json, a section of the report, runs in MLflow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from dashboards import searches
from dataprep.records import InputError
from grid.launch import main
from grid.tracking import sync
from tests.conftest import TINY

pytestmark = pytest.mark.slow

SPACE = """
[search]
inner_folds = 2
scope = "{scope}"
[search.physiological]
lr = {{low = 1e-3, high = 1e-1, log = true}}
hidden = [4, 8]
"""
TRIALS = 4


def command(data: Path, place: Path, scope: str) -> list[str]:
    """A small grid with search: the row eda, one scenario, two folds."""
    place.mkdir(exist_ok=True)
    (place / "searched.toml").write_text(TINY.replace("epochs = 3", "epochs = 9") + SPACE.format(scope=scope))
    what = ["--modalities", "eda", "--scenarios", "all87", "--search", str(TRIALS)]
    where = ["--data", str(data), "--experiment", str(place / "searched.toml"), "--out", str(place / "out")]
    return [*what, *where, "--in-process"]


@pytest.fixture(scope="module")
def searched(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in one process, to which Ray does not exist."""
    place = tmp_path_factory.mktemp("searched")
    code = "import sys; sys.modules['ray'] = None\nfrom grid.launch import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *command(tiny_data, place, "fold")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def runs_of(out: Path, name: str) -> list:
    client = MlflowClient(sync.local_uri(out))
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


def test_searches_json_says_what_was_tried_and_chosen(searched: Path) -> None:
    found = json.loads((searched / "out" / "searches.json").read_text())
    assert [(s["role"], s["signals"], s["scenario"], s["fold"]) for s in found] == [
        ("physiological", ["eda"], "all87", fold) for fold in (0, 1)
    ]
    cells = {c["fold"]: c for c in json.loads((searched / "out" / "cells.json").read_text())}
    for search in found:
        assert len(search["trials"]) == TRIALS
        assert search["own"] == search["trials"][0]["params"] == {"lr": 0.01, "hidden": 8}
        (fit,) = cells[search["fold"]]["fits"]
        assert fit["search"] == search["key"]
        assert {name: fit["settings"][name] for name in search["winner"]} == search["winner"]
        assert search["epochs_spent"] == sum(t["reports"][-1]["epochs"] for t in search["trials"])
        assert {t["state"] for t in search["trials"]} <= {"complete", "pruned"}


def test_the_same_command_again_writes_the_same_searches_and_changes_no_run(searched: Path, tiny_data: Path) -> None:
    out = searched / "out"
    before = (out / "searches.json").read_bytes()
    (out / "searches.json").unlink()
    assert main(command(tiny_data, searched, "fold")) == 0
    assert (out / "searches.json").read_bytes() == before
    assert sync.sync(out) == {"made": 0, "updated": 0, "unchanged": (1 + 2 + 2) + 2 * (1 + TRIALS) + 1, "models": 0}


def test_mlflow_has_a_run_per_search_and_per_trial(searched: Path) -> None:
    out = searched / "out"
    found = {s["key"]: s for s in json.loads((out / "searches.json").read_text())}
    runs = runs_of(out, "tiny searches")
    parents = {r.info.run_id: r for r in runs if r.data.tags["kind"] == "search"}
    trials = [r for r in runs if r.data.tags["kind"] == "trial"]
    assert (len(parents), len(trials), len(runs)) == (2, 2 * TRIALS, 2 + 2 * TRIALS)
    assert {r.info.status for r in runs} == {"FINISHED"}
    client = MlflowClient(sync.local_uri(out))
    for run in trials:
        parent = parents[run.data.tags["mlflow.parentRunId"]]
        search = found[parent.data.tags["search"]]
        trial = search["trials"][int(run.data.params["trial"])]
        assert run.data.tags["state"] == trial["state"]
        assert run.data.params["lr"] == str(trial["params"]["lr"])
        history = client.get_metric_history(run.info.run_id, "score")
        assert [(m.step, m.value) for m in history] == [(r["epochs"], r["score"]) for r in trial["reports"]]
        inner = client.get_metric_history(run.info.run_id, "score/inner1")
        assert [m.value for m in inner] == [r["inner"][1] for r in trial["reports"]]
        assert (run.data.tags["best"] == "true") == (trial["number"] == search["winner_trial"])
    for parent in parents.values():
        search = found[parent.data.tags["search"]]
        assert parent.data.metrics["best_score"] == search["score"]
        assert parent.data.params["winner.hidden"] == str(search["winner"]["hidden"])
    folds = [r for r in runs_of(out, "tiny") if r.data.tags["kind"] == "fold"]
    assert {r.data.tags["searches"] for r in folds} == set(found)


def test_a_failed_trial_is_a_failed_run_and_counted(searched: Path, tmp_path: Path) -> None:
    for name in ("cells.json", "run.json", "scores.csv", "predictions.parquet", "mlflow.db"):
        shutil.copy(searched / "out" / name, tmp_path / name)
    (tmp_path / "store").symlink_to(searched / "out" / "store")
    found = searches.read_searches(searched / "out")
    nothing = {"rung": 1, "epochs": 0, "score": -1e9, "rank": -1e9, "inner": [], "seconds": 0.0}
    trial = {"number": TRIALS, "params": {"lr": 0.1, "hidden": 4}, "reports": [nothing], "state": "failed"}
    found[0]["trials"].append(trial)
    (tmp_path / "searches.json").write_text(json.dumps(found))
    assert sync.sync(tmp_path) == {"made": 1, "updated": 2, "unchanged": 1 + 2 + 2 + 2 * (1 + TRIALS) - 1, "models": 0}
    (run,) = [r for r in runs_of(tmp_path, "tiny searches") if r.data.tags.get("state") == "failed"]
    assert run.info.status == "FAILED"
    assert not run.data.metrics
    section = searches.section(found)
    assert section is not None
    assert (section["rows"][0]["trials"], section["rows"][0]["failed"]) == (2 * TRIALS + 1, 1)


def test_the_report_shows_the_searches(searched: Path) -> None:
    found = searches.read_searches(searched / "out")
    section = searches.section(found)
    assert section is not None
    (row,) = section["rows"]
    assert (row["title"], row["searches"], row["trials"]) == ("physiological (eda)", 2, 2 * TRIALS)
    assert row["pruned"] == sum(t["state"] == "pruned" for s in found for t in s["trials"])
    assert [name for name, _ in row["chosen"]] == ["lr", "hidden", "epochs"]
    page = (searched / "out" / "report.html").read_text()
    assert '<section id="search">' in page
    (part,) = [s for s in page.split("<section") if s.startswith(' id="search"')]
    assert "physiological (eda): best so far" in part
    assert part.count("<svg") >= 2
    assert "Optimistic" not in page


def test_inner_scores_claim_nothing_and_one_trial_has_no_importance(searched: Path) -> None:
    found = searches.read_searches(searched / "out")
    better = [{**s, "score": s["own_score"] + 0.1 + 0.01 * i} for i, s in enumerate(found * 4)]
    row = searches.section(better)["rows"][0]  # type: ignore[index]
    assert row["score"] > row["own"]
    assert not {"text", "difference"} & row.keys()  # the winner is the best of all that was tried: no evidence of a gain
    lone = [{**s, "trials": s["trials"][:1]} for s in found]
    shares, reasons = searches.importances(lone)
    assert shares.empty
    assert reasons == {"fewer than two trials ran to the end": 2}
    section = searches.section(lone)
    assert section is not None
    assert "Importance cannot be told for 2 of 2 searches" in section["groups"][0]["notes"][0]


def test_importance_finds_the_one_that_matters(searched: Path) -> None:
    (search, *_) = searches.read_searches(searched / "out")
    trials = []
    for i in range(24):
        params = {"lr": 10 ** (-3 + 2 * i / 23), "hidden": (4, 8)[i % 2]}
        reports = [{**search["trials"][0]["reports"][-1], "score": 0.5 + 0.4 * i / 23}]
        trials.append({"number": i, "state": "complete", "params": params, "reports": reports})
    shares, reasons = searches.importances([{**search, "trials": trials}])
    assert not reasons
    assert shares["lr"].iloc[0] > 0.8


def test_scores_that_differ_by_rounding_alone_are_the_same(searched: Path) -> None:
    (search, *_) = searches.read_searches(searched / "out")
    report = search["trials"][0]["reports"][-1]
    trials = [
        {"number": i, "state": "complete", "params": {"lr": lr, "hidden": 4}, "reports": [{**report, "score": score}]}
        for i, (lr, score) in enumerate([(0.003, 0.736111111111111), (0.0168, 0.7361111111111112)])
    ]
    assert searches.importances([{**search, "trials": trials}])[1] == {"all trials that ran to the end score the same": 1}


def test_trials_of_equal_settings_tell_no_importance(searched: Path) -> None:
    """Each trial has a seed of its own, so its score may differ."""
    (search, *_) = searches.read_searches(searched / "out")
    report = search["trials"][0]["reports"][-1]
    trials = [
        {"number": i, "state": "complete", "params": {"lr": 0.003, "hidden": 4}, "reports": [{**report, "score": score}]}
        for i, score in enumerate([0.7, 0.8])
    ]
    reasons = searches.importances([{**search, "trials": trials}])[1]
    assert reasons == {"all trials that ran to the end have the same settings": 1}


def test_a_search_that_saw_the_test_subjects_is_a_banner(tiny_data: Path, tmp_path: Path) -> None:
    assert main(command(tiny_data, tmp_path, "scenario")) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    (banner,) = [line for line in page.splitlines() if 'class="banner"' in line and "Optimistic" in line]
    assert "were searched on all of its 5 subjects" in banner
    assert [s["fold"] for s in searches.read_searches(tmp_path / "out")] == [-1]


def test_a_folder_without_searches_has_no_section_and_a_broken_file_is_named(tiny_grid: Path, tmp_path: Path) -> None:
    assert json.loads((tiny_grid / "searches.json").read_text()) == []
    assert 'id="search"' not in (tiny_grid / "report.html").read_text()
    for text, message in (("{", "not valid JSON"), ("{}", "expected a list"), ("[{}]", "a search has no key")):
        (tmp_path / "searches.json").write_text(text)
        with pytest.raises(InputError, match=message):
            searches.read_searches(tmp_path)
