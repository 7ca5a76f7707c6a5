"""The report beside its main table: recalibration, other windows, and the mixed model of trials in persons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from grid.results.mixed import mixed
from tests.dashboards.test_report import MakeFolder, Predict, RunRecord, page_of

pytestmark = pytest.mark.slow

PEOPLE = {"all87": [f"p{i:02d}" for i in range(20)]}


def test_calibration_is_shown_before_and_after(make_folder: MakeFolder, predict: Predict, run_record: RunRecord) -> None:
    after = predict(rows=("eda",), scenarios=PEOPLE, trials=10)
    before = after.assign(p_pain=expit(3 * logit(after["p_pain"])))
    folder = make_folder(after, run=run_record(experiment={"name": "paper", "fit": {"calibrate": "platt"}}))
    before.to_parquet(folder / "uncalibrated.parquet")
    text = page_of(folder).text
    section = text[text.index("Recalibration") :]
    section = section[: section.index("Subjects")]
    assert "Probabilities were recalibrated (platt)" in section
    assert "the decision at 0.5 included" in section
    assert "The probabilities are those after a recalibration (platt)" in text  # How this was tested


def test_other_windows_are_a_table_of_their_own(make_folder: MakeFolder, predict: Predict, run_record: RunRecord) -> None:
    own = predict(rows=("eda", "majority"), scenarios=PEOPLE, trials=10)
    later = own.assign(scenario="all87@3s", p_pain=np.where(own["y_true"] == 1, 0.9, 0.1))
    facts = {"subset": "all", "subjects": 20, "folds": 10, "not_the_papers": "few people"}
    run = run_record(scenarios={"all87": {**facts, "skip_s": 0.0}, "all87@3s": {**facts, "skip_s": 3.0}})
    text = page_of(make_folder(pd.concat([own, later], ignore_index=True), run=run)).text
    assert "Sensitivity to the onset of the window" in text
    assert "from 3 s on" in text
    assert "1 modality row, 1 scenario, 10 folds. 10 of 10 cells have scores." in text
    assert "With other windows: 20 of 20 cells, in a table of their own." in text
    assert text.count("all87@3s") == 1  # in the provenance
    wrong = ((own["p_pain"] > 0.5) != (own["y_true"] == 1))[own["modality"] == "eda"].mean()
    assert f"+{100 * wrong:.1f}" in text[text.index("from 3 s on") :]


def test_the_checklist_is_filled_from_the_run_and_guesses_nothing(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    folder = make_folder(predict(rows=("eda",), scenarios=PEOPLE, trials=10), run=run_record(commit="0123abc"))
    assert "tripod-ai.md" in page_of(folder).addresses
    lines = [line.split(" | ") for line in (folder / "tripod-ai.md").read_text().splitlines() if line.startswith("| ")][1:]
    of = {line[0].removeprefix("| "): line[2:] for line in lines}
    assert len(of) == len(lines) == 52
    assert {number.rstrip("abcdefg") for number in of} == {str(n) for n in range(1, 28)}
    assert of["18f"] == ["filled", "pain-grid, commit or version 0123abc; versions of libraries under Provenance. |"]
    assert of["17"][0] == of["5b"][0] == "to be written by the author"
    assert of["12f"] == ["not applicable", "Nothing was updated or recalibrated. |"]
    table = pd.read_csv(folder / "scores.csv")
    assert f"all87 eda {100 * table['accuracy'].mean():.1f} %" in of["23a"][1]


@pytest.mark.parametrize(("sigma", "trials"), [(0.8, 40), (0.0, 20)])
def test_the_mixed_model_finds_what_was_planted(sigma: float, trials: int) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(12):
        p_S = expit(1 + sigma * rng.normal(size=60))
        found.append(mixed(rng.binomial(trials, p_S), np.full(60, trials)))
    assert np.mean([f.typical for f in found]) == pytest.approx(expit(1), abs=0.02)
    assert np.mean([f.sigma for f in found]) == pytest.approx(sigma, abs=0.12)
    assert sum(f.p < 0.05 for f in found) == (12 if sigma else 0)


def test_the_mixed_model_says_nothing_where_it_cannot() -> None:
    assert mixed(np.array([3, 4]), np.array([4, 4])) is None
    assert mixed(np.full(20, 2), np.full(20, 4)) is None  # as of always naming one class
    alike = mixed(np.array([4] * 19 + [3]), np.full(20, 4))
    assert np.isnan([alike.least, alike.most]).all()
    assert alike.p == 1
    assert np.isnan(mixed(np.arange(20), np.full(20, 20), n_train=float("nan")).low)


def test_rows_that_tested_other_trials_are_not_called_the_best_without_a_word(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    data = {"name": "rest", "title": "rest and stress", "synthetic": False, "pain": False, "class_names": ["rest", "stress"]}
    own = predict(rows=("eda", "ecg"), scenarios=PEOPLE, trials=10)
    twin = own[own["modality"] == "eda"].assign(modality="eda+ecg")
    right = (twin["p_pain"] > 0.5) == (twin["y_true"] == 1)
    folder = make_folder(pd.concat([own, twin[right]], ignore_index=True), run=run_record(data=data))
    (folder / "searches.json").write_text("[]")
    text = page_of(folder).text
    n = int(right.sum())
    assert f"It was tested on {n} of the 200 trials of other rows" in text
    assert (
        f"eda+ecg decides as eda does in every one of {n} trials: the added signal changed nothing in these decisions"
        in text
    )
    assert "since rows tested different trials" in text
    assert "nobody was in pain" in text
    assert "none was chosen on a tested fold" in text  # there was no search


def test_the_interval_of_the_person_in_the_middle_stays_in_reason_near_100_percent() -> None:
    """77 of 80 right, the errors of one or two people: a standard error on the log odds gave 9 to 100 %."""
    right = np.array([4] * 18 + [3, 2])
    found = mixed(right, np.full(20, 4), n_train=18)
    assert found is not None
    assert 0.75 < found.low < right.sum() / 80 < found.typical < found.high <= 1
    never = mixed(4 - right, np.full(20, 4), n_train=18)  # the same, seen from the wrong decisions
    assert never is not None
    assert (never.low, never.high) == pytest.approx((1 - found.high, 1 - found.low), abs=0.005)


def test_where_every_decision_is_right_no_person_in_the_middle_is_estimated(
    make_folder: MakeFolder, predict: Predict
) -> None:
    found = predict(rows=("eda", "ecg"), scenarios={"all87": [f"p{i}" for i in range(24)]}, folds=4, trials=8)
    found.loc[found["modality"] == "eda", "p_pain"] = found["y_true"].astype(float)
    text = page_of(make_folder(found)).text
    assert "every decision is right" in text
    assert "where every decision is right, or everybody has the same share of them, nothing is estimated" in text
