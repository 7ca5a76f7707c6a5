"""Rows that see the design of the experiment alone: temperature, position in the session, previous stimulus."""

from pathlib import Path

import numpy as np
import pytest

from dataprep.records import Trial
from grid.experiment.cells import row
from grid.experiment.config import load
from grid.launch import main
from grid.plan.controls import controls
from grid.plan.inventory import read_inventory
from grid.results import files
from grid.run.session import Session
from painmodels.methods import method
from painmodels.methods.graph import Recordings
from tests.grid.work import personal_people

SMALL = """
name = "controls"
[axes]
modalities = ["eda"]
scenarios = ["all"]
[scenarios.all]
subset = "all"
[protocol]
folds = 2
[trunk]
name = "mini-xception-fer"
"""
ROWS = ("control-temperature", "control-order", "control-previous")


def people(root: Path) -> Path:
    """Pain is always hot, alternates with rest, and comes at even places."""
    data = personal_people.write(root / "data", people=4, alike=True)
    lines = (data / "manifest.csv").read_text().splitlines()
    rows = [f"{line},{int(line[3:5])},{'46,5' if ',pain,' in line else 38}".replace("46,5", '"46,5"') for line in lines[1:]]
    (data / "manifest.csv").write_text("\n".join([f"{lines[0]},order,temperature", *rows]) + "\n")
    return data


def test_what_the_design_gives_away_is_found(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    experiment = load(str(tmp_path / "small.toml"))
    what = {"rows": ROWS, "scenarios": ["all"]}
    inventory = read_inventory(people(tmp_path), experiment, **what, memory=tmp_path / "f.json")
    session = Session(experiment, inventory, tmp_path / "out", **what)
    session.run("in-process")
    table = files.predictions(session.plan, session.store, inventory.targets, inventory.learns)
    right = ((table["p_pain"] > 0.5) == (table["y_true"] == 1)).groupby(table["modality"].astype(str)).mean()
    assert right["control-temperature"] == 1.0
    assert right["control-previous"] == 1.0  # rest and pain in turn
    assert right["control-order"] < 0.8  # ranges of three places hold both


@pytest.mark.parametrize("classes", [3, 0])
def test_levels_and_numbers_are_given_away_too(classes: int) -> None:
    temperatures = ("38", "44", "48") * 4
    labels = np.array([0, 1, 2] * 4) if classes else np.array([0.0, 0.6, 1.0] * 4)
    trained = method("control-temperature").parts((), lambda role: None)[0].trained  # type: ignore[arg-type, return-value]
    settings = trained.settings(classes=classes)  # type: ignore[union-attr]
    seen = Recordings(n=12, rate_hz=25.0, signals={}, controls=temperatures)
    fitted = trained.fit(seen, labels, settings, 0, "cpu")  # type: ignore[union-attr]
    asked = Recordings(n=3, rate_hz=25.0, signals={}, controls=("38", "47,9", "?"))
    p = trained.predict(fitted.weights, asked, settings, "cpu")  # type: ignore[union-attr]
    if classes:
        assert p.argmax(1)[:2].tolist() == [0, 2]
        np.testing.assert_allclose([*p.sum(1), *p[2]], [1, 1, 1, *[1 / 3] * 3])
    else:
        np.testing.assert_allclose(p, [0.107, 0.907, 0.533], atol=1e-3)


def test_a_data_set_without_the_column_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    data = personal_people.write(tmp_path / "data", people=3, alike=True)
    arguments = ["--modalities", "control-temperature", "--experiment", str(tmp_path / "small.toml"), "--data", str(data)]
    assert main([*arguments, "--plan", "--out", str(tmp_path / "out")]) == 2
    assert "the data set people says nothing of the temperature of a trial" in capsys.readouterr().err


def test_position_and_previous_stimulus_by_column_or_by_time() -> None:
    def trial(n: int, name: str, **more: object) -> Trial:
        return Trial(f"t{n}", "p", 0, name, signals="one.csv", **more)  # type: ignore[arg-type]

    by_column = [trial(0, "BL", columns={"order": "3"}), trial(1, "PA", columns={"order": "1"})]
    found = controls(by_column)
    assert found["column:order"] == {"t1": "1", "t0": "3"}
    assert found["column:previous"] == {"t1": "first", "t0": "PA"}
    by_time = controls([trial(0, "BL", start_s=40.0), trial(1, "PA", start_s=7.0), trial(2, "PA", start_s=99.0)])
    assert by_time["column:previous"] == {"t1": "first", "t0": "PA", "t2": "BL"}
    assert by_time["column:temperature"] == {}
    assert controls([trial(0, "BL"), trial(1, "PA")])["column:order"] == {}


def test_values_that_no_training_trial_has() -> None:
    estimator = method("control-temperature").parts((), lambda role: None)[0].trained  # type: ignore[arg-type, return-value]
    seen = Recordings(4, 1.0, {}, controls=("38", "46,5", "46.5", "warm"))
    weights = estimator.fit(seen, np.array([0, 1, 1, 0]), estimator.settings(), 0, "cpu").weights
    new = Recordings(4, 1.0, {}, controls=("47", "30", "warm", "cold"))
    p = estimator.predict(weights, new, estimator.settings(), "cpu")
    assert p[0] > 0.5 > p[1]
    assert p[2] < 0.5
    assert p[3] == pytest.approx(0.5)
    assert row("control-order").needs == ("column:order",)
