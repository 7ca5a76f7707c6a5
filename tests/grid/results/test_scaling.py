"""What is said of scaling by other held-out trials comes from the fits: a search may choose it against the experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grid.experiment import config
from grid.results.files import cell_record
from grid.results.scaling import scaling_facts
from tests.grid.plan.test_plan_keys import planned

SEARCHED = {"search": {"trials": 2, "inner_folds": 2, "physiological": {"normalise": ["trial", "subject"]}}}


def test_what_a_search_chose_is_told_of_the_cells_that_use_it(tiny_experiment: Path) -> None:
    chosen: dict[str, str] = {}

    def winner(stage: Any) -> dict[str, str]:
        """Scaling over the subject in the first search, which is that of the EDA in one fold; over the trial in all others."""
        chosen.setdefault(stage.key, "subject" if not chosen and "eda" in stage.name else "trial")
        return {"normalise": chosen[stage.key]}

    planner = planned(tiny_experiment, winner, protocol={"name": "loso"}, **SEARCHED)
    assert planner.experiment.signals.normalise == "trial"
    said = scaling_facts(planner.plan)
    assert said["sees_test_side"] == ["eda (all87)", "eda+video (all87)"]
    assert said["fits"] == {"subject": 1, "trial": 13}  # two signals, seven people left out
    records = [cell_record(planner.plan, cell, "done", "") for cell in planner.plan.predicts]
    seeing = {(r["modality"], r["fold"]) for r in records if r["scaling_sees_test_side"]}
    assert seeing == {("eda", 0), ("eda+video", 0)}
    scaled = {fit["normalise"] for r in records if (r["modality"], r["fold"]) == ("eda", 0) for fit in r["fits"]}
    assert scaled == {"subject"}


def test_nothing_is_said_where_every_trial_is_scaled_by_itself(tiny_experiment: Path) -> None:
    assert scaling_facts(planned(tiny_experiment).plan)["sees_test_side"] == []


@pytest.mark.parametrize("file", sorted(config.EXPERIMENTS.glob("*.toml")), ids=lambda file: file.stem)
def test_no_shipped_search_may_choose_it(file: Path) -> None:
    experiment = config.load(str(file), search={"trials": 2})
    spaces = [value for value in experiment.search.model_dump().values() if isinstance(value, dict)]
    assert spaces
    assert not [space for space in spaces if "subject" in space.get("normalise", [])]
