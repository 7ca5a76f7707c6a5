"""What `--plan` says of work: of one place, before it was ever done; and what the store has recorded, once it was."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from dataprep.datasets import dataset
from dataprep.recordings import recordings
from grid.experiment.config import load
from grid.launch import main
from grid.plan.costs import TRUNK_S, Costs
from grid.plan.memory import WORKER, of_fit
from painmodels.trunks.backbones import BACKBONES
from tests.grid.plan.test_plan_keys import planned

BIOVID = dataset("biovid")


def plan_of(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["--all", "--plan", *arguments]) == 0
    return capsys.readouterr().out


def test_every_trunk_has_a_cost_of_its_own() -> None:
    assert TRUNK_S.keys() == BACKBONES.keys()
    small, large = (Costs(trunk, "float32", 138) for trunk in ("mini-xception-fer", "alexnet-fer-bn"))
    assert large.recording("features") > 2 * small.recording("features")
    assert large.recording("features") > Costs("alexnet-fer-bn", "bfloat16", 138).recording("features")
    assert all(small.recording(name) > 0 for name in recordings())


def test_a_fit_costs_its_own_training_and_the_networks_that_are_applied_before_it() -> None:
    planner = planned("paper", protocol={"name": "subject", "folds": 4})
    costs = Costs.of(planner.experiment, BIOVID)
    fits = {fit.role: fit for fit in planner.plan.fits.values() if fit.fold == 0 and fit.part.own is None}
    seconds = {role: costs.fit(fit) for role, fit in fits.items()}
    assert seconds["spatial"] == max(seconds.values())
    one = {role: costs.fit(fit) for role, fit in fits.items() if role in ("temporal", "attention")}
    assert one["temporal"] > one["attention"] > fits["attention"].epochs * 1e-6  # both see FC-7 applied to every frame
    small = planned("demo", protocol={"name": "subject", "folds": 4})
    cheap = Costs.of(small.experiment, BIOVID)
    attention = next(fit for fit in small.plan.fits.values() if fit.role == "attention")
    assert cheap.fit(attention) < seconds["attention"]


def test_a_worker_needs_the_features_that_it_reads() -> None:
    planner = planned("paper", protocol={"name": "subject", "folds": 4})
    fits = {fit.role: fit for fit in planner.plan.fits.values() if fit.part.own is None}
    assert of_fit(fits["physiological"], "alexnet-fer-bn") == WORKER
    frames = len(fits["spatial"].train.trial_ids) * 138
    assert of_fit(fits["spatial"], "alexnet-fer-bn") > WORKER + frames * 4096 * 2
    assert of_fit(fits["spatial"], "mini-xception-fer") < of_fit(fits["spatial"], "alexnet-fer-bn")


def test_the_plan_says_disk_memory_and_hours_and_takes_what_was_recorded_of_a_kind(
    tiny_data: Path, tiny_experiment: Path, tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ["--data", str(tiny_data), "--experiment", str(tiny_experiment)]
    new = plan_of(capsys, *asked, "--out", str(tmp_path))
    for line in ("disk  ", "memory  ", "time  ", "on one GPU: not measured", "at once of this machine"):
        assert line in new
    costs = Costs.of(load(tiny_experiment), BIOVID)
    facts = [json.loads(file.read_text())["facts"] for file in tiny_grid.glob("store/features/*/manifest.json")]
    recorded = statistics.median(fact["seconds"] for fact in facts)
    assert recorded / 30 < costs.recording("features") < 30 * recorded  # the same kind of number, whatever the machine does
    (line,) = (line for line in plan_of(capsys, *asked, "--out", str(tiny_grid)).splitlines() if line.startswith("features"))
    assert line.split()[1:4] == ["10", "10", "0"]
