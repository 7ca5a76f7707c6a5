"""A crossing adapted to the tested people without their labels: it helps where sensors differ, and changes no fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboards import transfers
from dashboards.results import read_results
from dashboards.wording import banners
from dataprep.records import InputError
from grid import launch
from grid.experiment import config
from grid.plan.inventory import read_inventory
from grid.results.files import cell_record
from grid.run.result_folder import write
from grid.run.session import Session
from grid.run.transfer import transfer
from grid.tracking.row_facts import warnings_of
from painmodels.export import from_run
from tests.grid.run.test_transfer import own_data

ROWS = ("eda:logistic", "eda:rf", "eda:cnn", "eda:argmax")
HOW = ("batch-statistics", "coral")
CROSSING = "lab-a-to-lab-b"
SMALL: dict[str, Any] = {
    "signals": {"normalise": "train"},
    "methods": {"cnn": {"epochs": 25}, "rf": {"trees": 30}},
}


def crossed(at: Path, a: Path, b: Path, *, adapt: tuple[str, ...] = HOW) -> Session:
    """Rows of A on B with a session of its own, at `at`."""
    crossing = transfer([a], [b], adapt)
    experiment = config.load("paper", **crossing.changes(), **SMALL)
    names = [name for name in experiment.axes.scenarios if name.startswith(CROSSING)]
    data = crossing.write(at, plan=False)
    found = read_inventory(data, experiment, rows=ROWS, scenarios=names, memory=at / "memory.json")
    return Session(experiment, found, at, rows=ROWS, scenarios=names)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A, and B whose sensor shows a fifth of A's changes, 20 µS higher."""
    root = tmp_path_factory.mktemp("two")
    how: dict[str, Any] = {"people": 6, "rate_hz": 25, "unit": "µS", "names": ("belt", "skin")}
    a = own_data(root / "lab-a", seed=1, **how)
    return a, own_data(root / "lab-b", seed=2, gain=0.2, offset=20.0, **how)


@pytest.fixture(scope="module")
def run(two: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Session:
    session = crossed(tmp_path_factory.mktemp("run"), *two)
    session.run("in-process")
    write(session)
    return session


@pytest.mark.slow
def test_accuracy_rises_where_the_sensors_differ_and_nothing_is_fitted_again(run: Session, two: tuple[Path, Path]) -> None:
    scores = pd.read_csv(run.out / "scores.csv").set_index(["modality", "scenario"]).accuracy
    for row, how, least in (
        ("eda:logistic", "batch-statistics", 0.9),
        ("eda:cnn", "batch-statistics", 0.8),  # 0.83 to 1.0 by the fit seed
        ("eda:logistic", "coral", 0.9),
        ("eda:rf", "coral", 0.9),
    ):
        assert scores[row, CROSSING] <= 0.7, row
        assert scores[row, f"{CROSSING}-{how}"] >= least, row
    reasons = {(c.modality, c.scenario.removeprefix(CROSSING)): r for c, r in run.plan.impossible.items()}
    assert reasons["eda:argmax", "-coral"] == "the row eda:argmax has no table of features, which adaptation by coral aligns"
    assert "standardises nothing by its training side" in reasons["eda:rf", "-batch-statistics"]
    assert ("eda:argmax", "") not in reasons
    plain = crossed(run.out, *two, adapt=())
    assert run.plan.fits.keys() == plain.plan.fits.keys()  # one fit a row serves all three
    of = {(c.modality, c.scenario): p.stage.key for c, p in run.plan.predicts.items()}
    assert {c: p.stage.key for c, p in plain.plan.predicts.items()}.items() <= {
        c: p.stage.key for c, p in run.plan.predicts.items()
    }.items()
    assert len(set(of.values())) == len(of)


def test_other_labels_of_the_tested_people_change_no_adapted_prediction(
    run: Session, two: tuple[Path, Path], tmp_path: Path
) -> None:
    manifest = two[1] / "manifest.csv"
    text = manifest.read_text()
    try:
        manifest.write_text(text.replace(",pain,", ",x,").replace(",rest,", ",pain,").replace(",x,", ",rest,"))
        other = crossed(tmp_path, *two)
    finally:
        manifest.write_text(text)
    assert {p.stage.key for p in other.plan.predicts.values()} == {p.stage.key for p in run.plan.predicts.values()}


def test_it_is_told_as_transductive_in_report_mlflow_and_messages(run: Session, capsys: pytest.CaptureFixture[str]) -> None:
    results = read_results(run.out)
    told = dict(banners(results))["Transductive adaptation"]
    assert f"In {CROSSING}-batch-statistics (batch-statistics), {CROSSING}-coral (coral) rows were adapted" in told
    (crossing,) = transfers.section(results)
    to = "lab-a to lab-b"
    assert crossing["columns"] == [to, f"{to}, adapted: batch-statistics", f"{to}, adapted: coral"]
    estimates = dict(crossing["rows"])
    assert estimates["eda:logistic"][1]["mean"] > estimates["eda:logistic"][0]["mean"] + 20
    assert estimates["eda:argmax"][1:] == [None, None]
    cells = {c.scenario: cell_record(run.plan, c, "done", "") for c in run.plan.predicts if c.modality == "eda:logistic"}
    assert "adapted_to_the_tested" not in warnings_of({}, [cells[CROSSING]])
    assert "coral (transductive" in warnings_of({}, [cells[f"{CROSSING}-coral"]])["adapted_to_the_tested"]
    with pytest.raises(InputError, match=f"adapted to the tested people .coral., expected .* itself: {CROSSING}$"):
        from_run(run.out, f"eda:logistic/{CROSSING}-coral/fold0")
    with pytest.raises(SystemExit):
        launch.main(["--all", "--adapt", "coral"])
    assert "--adapt is for --train-on" in capsys.readouterr().err
