"""What the report says of few people, of rows that the data cannot feed, of a marked row, and of rows below chance."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from dashboards.balance import against_the_tested
from dashboards.results import FAILURE_COLUMNS, read_results
from grid.experiment.cells import CELL
from grid.results.learned import COLUMNS
from grid.results.unfed import unfed
from tests.dashboards.test_report import MakeFolder, Predict, RunRecord, page_of

pytestmark = pytest.mark.slow

NO_VIDEO = "the data has no usable video"


def facts(people: int, folds: int) -> dict[str, object]:
    return {"all87": {"subjects": people, "folds": folds, "not_the_papers": "few people"}}


def test_nothing_is_claimed_of_eight_people_anywhere(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    people = [f"{i:06d}_{'mw'[i % 2]}_{20 + i}" for i in range(8)]
    found = predict(rows=("ecg", "eda", "eda+ecg", "majority"), scenarios={"all87": people}, folds=8, protocol="loso")
    found.loc[found["modality"] == "majority", "p_pain"] = 0.0
    page = page_of(make_folder(found, run=run_record(protocol="loso", scenarios=facts(8, 8))))
    head = page.text[: page.text.index("Table 2. Accuracy")]
    assert (
        "nothing is claimed of 8 people: how often claims and intervals of fewer than 20 people are wrong is not known"
        in head
    )
    assert "shown to be above chance" not in page.text
    assert "was more accurate than" not in page.text
    assert not re.search(r"[0-9]\*", page.text)
    assert not re.search(r"p [=<] 0[.]", page.text)
    assert "no claim: 8 people" in page.text
    assert "Whether accuracy depends on sex or age is not tested" in page.text
    for spread in ("Mixed model", "Slope:", "Worst tenth"):
        assert spread not in page.text
    assert "too few people" in page.text[page.text.index("Spread between people", page.text.index("How this was tested")) :]


def test_the_headline_counts_every_row_once(make_folder: MakeFolder, predict: Predict) -> None:
    people = {"all87": [f"p{i:02d}" for i in range(24)]}
    found = predict(rows=("video", "ecg", "eda", "eda+ecg", "majority", "eda:argmax"), scenarios=people, folds=8)
    found.loc[found["modality"].isin(["majority", "eda:argmax"]), "p_pain"] = 0.0
    coin = found["modality"] == "video"
    found.loc[coin, "p_pain"] = np.random.default_rng(0).uniform(size=coin.sum())
    learning = pd.DataFrame(
        [
            (
                "ecg",
                "all87",
                "subject",
                k,
                0,
                0,
                "physiological-ecg",
                f"k{k}",
                "learned" if k else "collapsed",
                20,
                *[0.7] * 6,
            )
            for k in range(8)
        ],
        columns=COLUMNS,
    )
    text = page_of(make_folder(found, learning=learning)).text
    head = text[text.index("all87 (24 subjects") : text.index("Models were trained")]
    assert (
        "all87 (24 subjects, 4 rows beside baselines): 2 of 4 rows are shown to be above chance (eda, eda+ecg); 1 not (video); "
        in head
    )
    assert "1 not tested, since a fit behind it did not learn (†) or collapsed (‡) (ecg ‡)." in head
    assert {int(n) for n in re.findall(r"(\d+) rows", head)} == {4}
    assert "no claim: 1 of 8 fits collapsed" in text[text.index("Table 2. Accuracy") :]


def test_rows_that_the_data_cannot_feed_are_no_gap(make_folder: MakeFolder, predict: Predict) -> None:
    people = {"all87": [f"p{i:02d}" for i in range(10)]}
    found = predict(rows=("eda",), scenarios=people, folds=5)
    cells = [(row, "all87", "subject", fold) for row in ("eda", "video", "eda+video") for fold in range(5)]
    failures = pd.DataFrame(
        [(*cell, 0, 0, "impossible", NO_VIDEO) for cell in cells if cell[0] != "eda"], columns=FAILURE_COLUMNS
    )
    folder = make_folder(found, cells=cells, failures=failures)
    page = page_of(folder)
    assert "Incomplete grid" not in page.text
    assert "5 of 5 cells" in page.text
    assert page.text.count(f"Not in this grid, since {NO_VIDEO}: video, eda+video in all87.") == 1
    table = page.text[page.text.index("Table 2. Accuracy") : page.text.index("Figure 3. Accuracy")]
    assert "eda+video" not in table

    lost = failures.drop(index=0).assign(data="d")  # one cell of `video` lacks and nobody says why: that row has a gap
    lost.to_csv(folder / "failures.csv", index=False)
    text = page_of(folder).text
    assert "Incomplete grid. 5 cells of 10 without scores" in text
    assert "Nothing was tested of video (all87)." in text


def test_a_row_of_which_one_fold_is_impossible_is_not_left_out() -> None:
    cells = pd.DataFrame([("eda", "s", "loso", fold, 0, 0) for fold in range(3)], columns=CELL)
    failures = pd.DataFrame([("eda", "s", "loso", 1, 0, 0, "impossible", "why")], columns=FAILURE_COLUMNS)
    assert unfed(cells, failures).empty
    assert unfed(cells, failures.head(0)).empty


def unbalanced(predict: Predict, *, name_the_usual: bool) -> pd.DataFrame:
    """One person left out at a time; half of the people have mostly pain, half mostly none."""
    found = predict(
        rows=("eda",), scenarios={"all87": [f"p{i:02d}" for i in range(20)]}, folds=20, trials=10, protocol="loso"
    )
    number = found["sample_name"].str.rpartition("-")[2].astype(int)
    odd = found["fold"] % 2 == 1
    found["y_true"] = ((number < 8) == odd).astype(int)
    usual = np.where(found["fold"] % 2 == 1, 0, 1)  # without somebody who has pain, the others have less of it
    found["p_pain"] = usual * 0.9 + 0.05 if name_the_usual else 1.0 - found["y_true"]
    return found


def test_a_row_below_chance_is_explained_where_the_run_shows_it(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    run = run_record(protocol="loso", scenarios=facts(20, 20))
    folder = make_folder(unbalanced(predict, name_the_usual=True), run=run)
    text = page_of(folder).text
    assert "would be right in 20.0 % of trials" in text
    assert "eda named it in 100.0 % of its trials: their balance explains a value of 20.0 %." in text
    wrong = unbalanced(predict, name_the_usual=False)
    wrong["y_true"] = (wrong["sample_name"].str[-1].astype(int) < 8).astype(int)  # everybody has mostly pain
    wrong["p_pain"] = 1.0 - wrong["y_true"]
    wrong.to_parquet(folder / "predictions.parquet")
    panel = read_results(folder).panels[0]
    assert "Why is not known." in against_the_tested(panel, "eda", folds=20)
    assert against_the_tested(panel, "eda", folds=30) == "Why is not known."  # folds lack: the training sides are not seen
    wrong["y_true"] = (wrong["sample_name"].str[-1].astype(int) % 2).astype(int)
    wrong.to_parquet(folder / "predictions.parquet")
    balanced = read_results(folder).panels[0]
    assert "as many trials of one class as of another, so its balance is no reason" in against_the_tested(
        balanced, "eda", folds=20
    )


def test_a_difference_that_cannot_be_is_not_named(make_folder: MakeFolder, predict: Predict, run_record: RunRecord) -> None:
    found = predict(rows=("video", "ecg", "eda"), scenarios={"all87": [f"p{i:02d}" for i in range(22)]}, folds=11)
    wrong = found["subject_name"].str[1:].astype(int) % 2 == 1
    found.loc[:, "p_pain"] = np.where(wrong, 1 - found["y_true"], found["y_true"]).astype(float)
    text = page_of(make_folder(found, run=run_record(scenarios=facts(22, 11)))).text
    assert "no difference could be claimed with a probability of 80 %" in text
    assert all(float(x) <= 50 for x in re.findall(r"A difference of ([0-9.]+) points", text))


def test_p_and_interval_say_that_they_are_of_two_standard_errors(make_folder: MakeFolder, predict: Predict) -> None:
    text = page_of(make_folder(predict(rows=("eda",), scenarios={"all87": [f"p{i:02d}" for i in range(24)]}))).text
    comparisons = text[text.index("Three families of tests, fixed") :]
    assert "p there is of another, wider standard error" in comparisons
    assert "p against chance is of the standard error that holds where nothing was learned" in text
    assert "Baselines are not tested against chance" in text


def test_all_right_has_an_interval_and_says_which(make_folder: MakeFolder, predict: Predict) -> None:
    found = predict(rows=("eda",), scenarios={"all87": [f"p{i:02d}" for i in range(24)]})
    text = page_of(make_folder(found.assign(p_pain=found["y_true"].astype(float)))).text
    assert "100.00 ± 0.00 85.8–100.0" in text
    assert "Clopper and Pearson's" in text
    assert "eda was more accurate than always naming the more frequent class by 50.0 points" in text
