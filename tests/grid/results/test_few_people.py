"""What is not said with few people, and what is said where everybody is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grid.results.cards import card_facts
from grid.results.inference import SIMULATED_PEOPLE, of_everybody
from grid.results.learned import Mark
from grid.results.stats import against_chance, compare, intervals
from grid.results.tables import scores_table, table2
from grid.tracking.row_facts import RowFacts, found_out
from painmodels.tasks import PAIN
from painmodels.use.card import card
from tests.grid.results.test_stats import predictions

COVERAGE = Path(__file__).parents[2] / "benchmarks" / "coverage.csv"


def skilled(people: int) -> pd.DataFrame:
    """Two rows far above chance, and one that is not."""
    rng = np.random.default_rng(0)
    rows = {"eda": rng.uniform(0.8, 0.95, people), "eda+ecg": rng.uniform(0.95, 1, people), "ecg": np.full(people, 0.5)}
    table = predictions(rows, folds=people)
    return table.assign(scenario="s", protocol="loso", frame=pd.NA)


def test_the_fewest_people_are_those_of_the_simulation() -> None:
    sizes = pd.read_csv(COVERAGE)["size"].str.partition(" ")[0].astype(int)
    assert sizes.min() == SIMULATED_PEOPLE


@pytest.mark.parametrize("people", [6, SIMULATED_PEOPLE - 1, SIMULATED_PEOPLE])
def test_nothing_is_claimed_of_fewer_people_than_were_simulated(people: int) -> None:
    table = skilled(people)
    for found in (against_chance(table), compare(table, [("ecg", "eda")])):
        enough = people >= SIMULATED_PEOPLE
        assert found["claim"].any() == enough
        assert (found["few"] != enough).all()
        if not enough:
            assert (found["p"] == 1).all()
        assert np.isfinite(found[found["b"] != "ecg"][["difference", "low", "high"]]).all(axis=None)


def test_a_row_that_lost_people_is_counted_by_its_own() -> None:
    table = skilled(SIMULATED_PEOPLE)
    one_less = table[(table["modality"] != "eda") | (table["subject_name"] != "s00")]
    found = against_chance(one_less).set_index("b")
    assert found.loc["eda+ecg", "claim"]
    assert found.loc["eda", "few"]
    assert not found.loc["eda", "claim"]


def test_the_mirror_and_the_card_say_why_nothing_is_claimed() -> None:
    table = skilled(8)
    run: dict[str, Any] = {"scenarios": {}, "data": {"name": "d"}}
    facts = RowFacts(run, PAIN, scores_table(table), table)
    values = facts.values("eda", "s")
    tags, metrics = found_out(facts, "eda", "s", values=values, mark=Mark(), marked=())
    assert tags["claim"] == "none"
    assert "fewer than 20 people" in tags["mlflow.note.content"]
    assert "chance_p" not in metrics
    told = card_facts(run, PAIN, scores_table(table), table[table["modality"] == "eda"], Mark())
    assert told["above_chance"][3] is None
    assert "fewer than 20 people" in told["no_claim"]
    about = {"cell": "eda/s/fold0", "synthetic": False, "classes": ["a", "b"], "channels": ["eda"], "video": False}
    about |= {"n_steps": 138, "clock_hz": 25.0, "method": "hybrid", "networks": [], "trunk": None, "reader": "biovid"}
    cell = {"scenario": "s", "protocol": "loso"}
    text = card(about, {**run, "experiment": {"name": "e"}}, cell, told, gives="p")
    line = next(line for line in text.splitlines() if line.startswith("Against chance"))
    assert "nothing is claimed" in line
    assert "p = " not in line


def test_a_marked_row_has_no_p_on_its_card() -> None:
    table = skilled(30)
    table = table[table["modality"] == "eda"]
    mark = Mark(fits=8, collapsed=1, stages=("physiological-eda",))
    told = card_facts({"scenarios": {}}, PAIN, scores_table(table), table, mark)
    assert told["above_chance"][3] is None
    assert "1 of 8 fits collapsed" in told["no_claim"]


def test_everybody_right_has_an_exact_interval() -> None:
    assert of_everybody(1.0, 8) == pytest.approx((0.025 ** (1 / 8), 1.0))
    assert of_everybody(0.0, 8) == pytest.approx((0.0, 1 - 0.025 ** (1 / 8)))
    assert all(np.isnan(of_everybody(0.5, 8)))
    table = predictions({"eda": np.ones(24)})
    found = intervals(table, ["accuracy", "sensitivity", "f1"])
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx((0.025 ** (1 / 24), 1.0))
    assert found["sensitivity"].low == pytest.approx(0.025 ** (1 / 24))
    assert np.isnan(found["f1"].low)  # no mean over people
    guess = intervals(table.assign(modality="majority", p_pain=0.0), ["sensitivity", "specificity"])
    assert all(np.isnan(one.low) for one in guess.values())  # by construction, in whomever
    row = table2(
        scores_table(table.assign(scenario="s", protocol="p", frame=pd.NA)), table.assign(scenario="s", protocol="p")
    )
    assert row["accuracy_low"].item() == pytest.approx(100 * 0.025 ** (1 / 24))


def test_the_exact_bound_holds() -> None:
    """Of people of whom a share q is decided wholly rightly, the bound lies below the expected accuracy in 97.5 % of samples."""
    rng = np.random.default_rng(0)
    people, q = 8, 0.025 ** (1 / 8)
    whole = (rng.uniform(size=(20_000, people)) < q).all(axis=1)
    assert whole.mean() == pytest.approx(0.025, abs=0.005)


def test_everybody_right_is_tested_against_chance() -> None:
    """c^m, the chance that as many people as there are, less what shared training takes away, are all decided rightly."""
    found = against_chance(predictions({"eda": np.ones(40)}), people=40).loc[0]
    assert found["p"] == pytest.approx(2 * 0.5 ** (1 / (1 / 40 + 1 / 36)))
    assert [found["difference"], found["low"], found["high"]] == pytest.approx([0.5, 0.025 ** (1 / 40) - 0.5, 0.5])
    assert found["claim"]
    wrong = against_chance(predictions({"eda": np.zeros(40)})).loc[0]
    assert not wrong["claim"]
    assert wrong["high"] < 0


def test_a_difference_that_cannot_be_is_not_given_as_detectable() -> None:
    """Above a chance of 50 % there are 50 points of accuracy."""
    table = predictions({"ecg": np.tile([0.0, 1.0], 11), "eda": np.tile([1.0, 0.1], 11)})
    for found in (against_chance(table), compare(table, [("ecg", "eda")])):
        assert np.isinf(found["detectable"]).any()
        assert (found["detectable"][np.isfinite(found["detectable"])] <= 0.5).all()
