"""The model card of an export tells the numbers of the run, and says where there are none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grid.results.cards import cards
from grid.results.learned import Mark
from grid.results.tables import scores_table
from painmodels.tasks import PAIN
from painmodels.use.card import card
from painmodels.use.model_files import of_no_pain, readme

ABOUT: dict[str, Any] = {
    "reader": "biovid",
    "cell": "eda/expressive67/subject/fold1",
    "synthetic": False,
    "channels": ["eda"],
    "video": [],
    "n_steps": 138,
    "clock_hz": 25.0,
    "classes": ["BL1", "PA4"],
    "method": "hybrid",
    "networks": [{"role": "physiological", "network": "lstm", "settings": {"epochs": 800}}],
    "trunk": {},
    "calibration": "platt",
}
CELL = {"modality": "eda+video", "scenario": "expressive67", "protocol": "subject", "fold": 1, "n_train": 30, "n_test": 8}
RUN: dict[str, Any] = {
    "experiment": {"name": "paper"},
    "data": {"name": "biovid", "title": "BioVid Part A", "fingerprint": "9f2c"},
    "scenarios": {"expressive67": {"subjects": 12, "selected": "the facial response in these very trials"}},
    "versions": {"torch": "2.15.0"},
    "commit": "0123abc",
}


def test_a_card_has_the_numbers_of_the_run_and_the_limits_of_its_people() -> None:
    rng = np.random.default_rng(0)
    people, y = np.repeat([f"p{i:02d}" for i in range(24)], 2), np.tile([0, 1], 24)
    table = pd.DataFrame({"subject_name": people, "y_true": y, "p_pain": 0.2 * y + 0.7 * rng.random(48)})
    table = table.assign(**{name: CELL[name] for name in ("modality", "scenario", "protocol")}, frame=pd.NA)
    table["fold"] = pd.factorize(table["subject_name"])[0] % 4
    table["sample_name"] = [f"t{n}" for n in range(48)]
    scores = scores_table(table)
    mark = {("eda+video", "expressive67", "subject"): Mark(fits=4)}
    facts = json.loads(json.dumps(cards(RUN, PAIN, scores, table, mark), allow_nan=False))["eda+video/expressive67/subject"]
    text = card(ABOUT, RUN, CELL, facts, gives=PAIN.gives)
    own = scores[scores["fold"] == 1]["accuracy"].iloc[0]
    assert f"| Accuracy | {scores['accuracy'].mean():.3f} | {scores['accuracy'].std():.3f} | " in text
    assert f"| {own:.3f} |" in text
    for part in (
        "Intended use",
        "call PA4 above 0.5. This threshold was fixed beforehand",
        "recalibrated (platt)",
        "Tested in this row: 24 people; trials: 24 of 0, 24 of 1.",
        "trained on 30 trials; 8 were held out",
        "physiological: lstm, epochs 800",
        "Slope (1 is right): ",
        "selected by the facial response in these very trials",
        "One partition into folds",
        "Licence",
        "pain-grid 0123abc; torch 2.15.0",
        "must not be used for",
    ):
        assert part in text, part
    assert "not measured |" not in text


@pytest.mark.parametrize("facts", [None, {}])
def test_a_card_of_a_folder_without_facts_measures_nothing(facts: dict | None) -> None:
    data = {"name": "d", "pain": False, "source": "Somebody, 2022.", "trial": "a window of 60 s"}
    text = card(ABOUT, {"experiment": {"name": "x"}, "data": data}, CELL, facts, gives=PAIN.gives)
    assert "Research on telling BL1 from PA4" in text
    assert "automatic pain recognition" not in text
    assert "- Source: Somebody, 2022.\n- A trial is a window of 60 s." in text
    assert "Not measured" in text
    assert "not on pain: it says nothing about pain" in text


def test_a_model_of_no_pain_says_so_wherever_it_is_shown() -> None:
    stress = {**ABOUT, "classes": ["rest", "stress"], "pain": False}
    assert of_no_pain(stress) == "Trained on rest and stress, not on pain: it says nothing about pain."
    assert of_no_pain({**ABOUT, "synthetic": True}) == "Trained on synthetic data: it says nothing about pain."
    assert of_no_pain(ABOUT) == ""
    assert of_no_pain(stress) in readme({**stress, "cell": "eda/all/fold0", "reader": "stress-predict", "task": {}})
