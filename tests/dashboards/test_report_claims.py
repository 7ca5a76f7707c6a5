"""What the report claims, and what it does not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.dashboards.test_report import FEW, MakeFolder, Predict, RunRecord, page_of


def test_a_part_of_a_grid_does_not_look_like_a_whole(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    predictions = predict(rows=("eda",), scenarios={"all87": FEW["all87"]}, folds=10)
    run = run_record(scenarios={"all87": {"subjects": 10, "folds": 10, "subset_size": 87, "not_the_papers": ""}})
    page = page_of(make_folder(predictions[predictions["fold"] < 2], run=run))
    assert page.text.count("2 of 10 people tested, 2 of 10 folds; 87 in the paper") == 2
    assert "82.69" not in page.text
    assert "Table 3" not in page.text
    assert "not all folds and people were tested" in page.text


def test_every_row_stands_against_chance_and_against_its_trivial_rule(make_folder: MakeFolder, predict: Predict) -> None:
    rows = ("ecg", "eda", "ecg+video", "eda+video")
    people = {"all87": [f"p{i:02d}" for i in range(40)]}
    predictions = predict(rows=(*rows, "majority", "eda:argmax"), scenarios=people)
    rules = predictions["modality"].isin(["majority", "eda:argmax"])
    predictions.loc[rules, "p_pain"] = np.random.default_rng(0).uniform(size=rules.sum())
    twin = predictions[predictions["modality"] == "ecg"]
    rest = predictions[predictions["modality"] != "ecg+video"]
    text = page_of(make_folder(pd.concat([rest, twin.assign(modality="ecg+video")], ignore_index=True))).text
    assert "4 modality rows" in text
    assert "Beside them 2 baselines (20 of 20 cells)" in text
    for row in rows:
        assert f"{row} was more accurate than always naming the more frequent class by" in text
        assert f"{row} was more accurate than {'eda:argmax' if 'eda' in row else 'majority'} by" in text
    assert "majority was" not in text
    assert "ecg+video decides as ecg does in every one of 1,600 trials: the added signal changed nothing" in text


def test_no_claim_where_rows_do_not_differ(make_folder: MakeFolder, predict: Predict) -> None:
    one = predict(rows=("eda",), scenarios={"all87": [f"p{i}" for i in range(30)]})
    other = one.assign(
        modality="eda+ecg", p_pain=np.random.default_rng(3).permutation(one["p_pain"].to_numpy().reshape(-1, 2)).ravel()
    )
    text = page_of(make_folder(pd.concat([one, other], ignore_index=True))).text
    assert "eda+ecg against eda, not sure:" in text
    assert "for this comparison alone the interval is" in text
    assert "eda+ecg was more accurate than eda" not in text


def test_random_trunk_is_no_warning_for_rows_without_video(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    run = run_record(trunk={"name": "a", "random": True})
    assert "Random face network" not in page_of(make_folder(predict(rows=("eda",), scenarios=FEW), run=run)).text
