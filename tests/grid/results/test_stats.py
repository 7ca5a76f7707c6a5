from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp, ttest_rel

from grid.experiment import families
from grid.experiment.config import load
from grid.results.cards import card_facts
from grid.results.inference import corrected, estimate, training_people
from grid.results.learned import Mark
from grid.results.people import of_column
from grid.results.stats import against_chance, compare, effect_size, every_pair, holm, mean_by
from grid.results.tables import scores_table, table2, with_frame_mean
from grid.tracking.row_facts import RowFacts
from painmodels.methods import methods
from painmodels.tasks import PAIN

COMMITTED = Path(__file__).parents[2] / "benchmarks" / "coverage.csv"


def predictions(accuracies: Mapping[str, np.ndarray], *, trials: int = 20, folds: int = 10) -> pd.DataFrame:
    """A table in which subject s of a row has exactly `round(accuracy * trials)` right trials; subjects dealt to folds."""
    rows = []
    for modality, accuracy_S in accuracies.items():
        for s, accuracy in enumerate(accuracy_S):
            for i in range(trials):
                y, right = i % 2, i < round(accuracy * trials)
                p = 0.9 if (y == 1) == right else 0.1
                rows.append((modality, s % folds, f"s{s:02d}", f"s{s:02d}-{i}", y, p))
    return pd.DataFrame(rows, columns=["modality", "fold", "subject_name", "sample_name", "y_true", "p_pain"])


def test_trials_are_collapsed_to_subjects_first() -> None:
    table = predictions({"eda": np.array([1.0, 0.5])})
    many = pd.concat([table, *[table[table.subject_name == "s00"]] * 9])  # nine times more trials of one subject
    assert mean_by(many)["eda"].tolist() == [1.0, 0.5]
    assert mean_by(many)["eda"].mean() == 0.75


def test_one_partition_takes_the_whole_correction() -> None:
    x_S = pd.Series(np.random.default_rng(1).normal(0.7, 0.1, size=40))
    found = estimate(x_S, n_train=36)
    plain = ttest_1samp(x_S, 0.5)
    assert found.mean == pytest.approx(x_S.mean())
    assert found.se == pytest.approx(x_S.std() * np.sqrt(1 / 40 + 1 / 36))
    assert estimate(x_S - 0.5, n_train=1e12).p == pytest.approx(plain.pvalue)  # nobody trains anybody: the plain t test
    assert (estimate(x_S, n_train=1e12).low, estimate(x_S, n_train=1e12).high) == pytest.approx(
        tuple(ttest_1samp(x_S, 0).confidence_interval())
    )


def test_partitions_that_move_nobody_need_no_correction() -> None:
    x_S = np.random.default_rng(1).normal(0.7, 0.1, size=40)
    one, same = (estimate(pd.DataFrame(np.tile(x_S[:, None], n)), n_train=36) for n in (1, 5))
    assert same.se == pytest.approx(x_S.std(ddof=1) / np.sqrt(40))
    assert one.se > 1.4 * same.se
    moved = np.tile(x_S[:, None], 5) + np.random.default_rng(2).normal(0, 0.3, size=(40, 5))
    mean, se, null_se = corrected(moved, n_train=36)
    one_partition = moved.var(axis=0, ddof=1).mean() / 36  # never more is added than that
    assert se == pytest.approx(np.sqrt(moved.mean(axis=1).var(ddof=1) / 40 + one_partition))
    assert mean == pytest.approx(moved.mean())
    assert null_se == se


def test_a_row_takes_less_of_the_correction_the_further_it_lies_above_chance() -> None:
    x_S = np.random.default_rng(1).normal(0, 0.1, size=40)
    x_S -= x_S.mean()
    whole = np.sqrt(x_S.var(ddof=1) * (1 / 40 + 1 / 36))
    rows = [estimate(pd.Series(mean + x_S), n_train=36, chance=0.5) for mean in (0.3, 0.5, 0.54, 0.6, 0.8, 0.9)]
    ses = [row.se for row in rows]
    assert ses[:3] == pytest.approx([whole] * 3)  # not above chance, or not clearly: everything
    assert whole > ses[3] > ses[4] > ses[5] > x_S.std(ddof=1) / np.sqrt(40)
    assert rows[3].low > 0.5  # what is above chance with everything added stays so
    assert all(row.null_se == pytest.approx(whole) for row in rows)  # a test allows for everything
    assert rows[4].p == pytest.approx(2 * student_t.sf(0.8 / whole, 39))


def test_a_difference_takes_more_where_one_person_is_left_out() -> None:
    x_S = pd.Series(np.random.default_rng(1).normal(0.1, 0.1, size=40))
    assert estimate(x_S, n_train=39).se == pytest.approx(x_S.std() * np.sqrt(1 / 40 + 1.5 / 39))
    assert estimate(x_S, n_train=39, chance=0).null_se == pytest.approx(x_S.std() * np.sqrt(1 / 40 + 1 / 39))


def test_what_cannot_be_told_is_unknown() -> None:
    one = estimate(pd.Series([0.6, np.nan]), n_train=9)
    assert (one.mean, one.n) == (0.6, 1)
    assert np.isnan([one.low, one.high, one.p, one.detectable()]).all()
    assert np.isnan(estimate(pd.Series([], dtype=float), n_train=9).mean)
    alike = estimate(pd.Series([0.5] * 20), n_train=18)  # an interval of no width would be a claim
    assert np.isnan([alike.low, alike.high, alike.p]).all()
    assert np.isnan(estimate(pd.Series([0.5, 0.7]), n_train=float("nan")).low)


def test_people_who_train_are_counted_from_the_folds() -> None:
    table = predictions({"eda": np.full(20, 0.75)})
    assert training_people(table) == 18
    assert training_people(table[table["fold"] < 2], people=20) == 18
    assert np.isnan(training_people(table[table["fold"] == 0]))
    by_trial = table.assign(fold=np.arange(len(table)) % 10)
    assert training_people(by_trial) == 20


def test_holm_known_answer() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_gap = holm([0.02, np.nan, 0.9])
    assert with_gap[[0, 2]] == pytest.approx([0.04, 0.9])
    assert np.isnan(with_gap[1])
    assert holm([]).shape == (0,)


def test_effect_size_is_mean_over_sd() -> None:
    assert effect_size([0.1, 0.2, 0.3]) == pytest.approx(2.0)
    assert np.isnan(effect_size([0.1, 0.1]))


def test_a_pair_finds_the_difference_there_is_and_no_other() -> None:
    rng = np.random.default_rng(2)
    base = rng.uniform(0.5, 0.8, size=40)
    table = predictions(
        {"ecg": base, "eda": base + rng.uniform(0.1, 0.2, size=40), "video": rng.permutation(base)}, trials=100
    )
    by_pair = compare(table, every_pair(table)).set_index(["a", "b"])
    found = by_pair.loc[("ecg", "eda")]
    wide = mean_by(table)
    assert found["difference"] == pytest.approx((wide["eda"] - wide["ecg"]).mean())
    assert found["p"] > ttest_rel(wide["eda"], wide["ecg"]).pvalue
    assert found["low"] > 0.12
    assert found["claim"]
    assert (found["n_subjects"], found["n_trials"], found["tests"]) == (40, 4000, 3)
    none = by_pair.loc[("ecg", "video")]
    assert none["low"] < 0 < none["high"]
    assert not none["claim"]
    assert none["detectable"] > abs(none["difference"])


def test_each_family_is_corrected_by_itself_and_fixed_by_the_rows() -> None:
    rows = ["frame", "video", "ecg", "eda", "eda+video", "ecg+video", "eda+ecg", "eda+ecg+video", "eda:argmax", "majority"]
    assert len(families.learned_rows(rows)) == 8
    controls = {"control-temperature", "control-order", "control-previous"}  # rows by name alone
    assert {name for name, method in methods().items() if method.rows} | controls == set(families.BASELINE_METHODS)
    assert [families.trivial_rule(row) for row in ("eda+video", "ecg", "video")] == ["eda:argmax", "majority", "majority"]
    pairs = families.added_pairs(rows)
    assert len(pairs) == 10
    assert ("eda", "eda+video") in pairs
    assert ("frame:mean", "video") in pairs
    assert ("eda", "eda+ecg+video") not in pairs
    assert ["ecg", "ecg+video"] in load("paper").facts()["claims"]["pairs"]
    own = load("paper", claims={"pairs": [["eda", "eda+ecg+video"]]})
    assert own.facts()["claims"]["pairs"] == [["eda", "eda+ecg+video"]]
    with pytest.raises(ValueError, match=r"claims.pairs.*'eda\+ecg'"):
        load("paper", claims={"pairs": [["ecg+eda", "eda"]]})


def test_chance_is_the_more_frequent_class_and_nothing_is_claimed_below_it() -> None:
    good, bad = np.linspace(0.7, 0.9, 30), np.linspace(0.2, 0.4, 30)
    table = predictions({"eda": good, "ecg": bad, "eda:argmax": good})
    found = against_chance(table).set_index("b")
    assert list(found.index) == ["eda", "ecg"]  # a rule is what others are held against
    assert found.loc["eda", "claim"]
    assert found.loc["ecg", "high"] < 0
    assert not found.loc["ecg", "claim"]
    uneven = pd.concat([table, table[table["y_true"] == 1].assign(sample_name=lambda t: t["sample_name"] + "b")])
    share = uneven[uneven["modality"] == "eda"]["y_true"].mean()
    wide = mean_by(uneven)["eda"].mean()
    assert against_chance(uneven).set_index("b").loc["eda", "difference"] == pytest.approx(wide - share)


def test_rows_that_decide_alike_are_not_tested() -> None:
    table = predictions({"ecg": np.linspace(0.5, 0.9, 12), "ecg+video": np.linspace(0.5, 0.9, 12)})
    found = compare(table, [("ecg", "ecg+video")]).loc[0]
    assert found["same"]
    assert not found["claim"]
    assert np.isnan(found["low"])


def test_only_trials_that_both_rows_tested_are_paired() -> None:
    """Two rows with the same predictions, one of which lacks a part of the hard trials: no difference."""
    table = predictions({"eda": np.linspace(0.5, 0.9, 20), "eda+video": np.linspace(0.5, 0.9, 20)})
    wrong = (table["p_pain"] > 0.5) != (table["y_true"] == 1)
    lost = wrong & (table["modality"] == "eda+video") & (table.index % 4 == 0)
    found = compare(table[~lost], [("eda", "eda+video")]).loc[0]
    assert found["difference"] == 0
    assert found["same"]
    assert found["n_trials"] == 400 - lost.sum()


def test_frames_are_not_paired_with_trials() -> None:
    trials = predictions({"video": np.linspace(0.6, 0.9, 20)}).assign(frame=pd.NA)
    frames = pd.concat([trials.assign(modality="frame", frame=k, scenario="s", protocol="subject") for k in range(3)])
    frames.loc[frames["frame"] == 2, "p_pain"] = 0.5  # one frame of three says nothing: the mean says what the others say
    both = with_frame_mean(pd.concat([trials.assign(scenario="s", protocol="subject"), frames], ignore_index=True))
    assert (both["modality"] == "frame:mean").sum() == 400
    pairs = compare(both, every_pair(both))
    assert pairs[["a", "b"]].to_numpy().tolist() == [["video", "frame:mean"]]
    assert pairs.loc[0, "same"]


def test_one_row_has_nothing_to_compare() -> None:
    table = predictions({"eda": np.array([0.5, 0.6])})
    assert compare(table, every_pair(table)).empty


def test_intervals_cover_as_often_as_the_committed_simulation_says() -> None:
    """One cell of the simulation, 200 runs, against its 2000 committed ones: within what 200 runs of eight rows can differ."""
    from tests.benchmarks.coverage import simulate

    table = pd.read_csv(COMMITTED)
    cell = table[(table["size"] == "20 x 4") & (table["scheme"] == "10 folds x 5") & (table["effect"] == "own responses")]
    found = simulate("20 x 4", "10 folds x 5", "own responses", runs=200, seed=1)
    assert (table["runs"] >= 2000).all()
    assert found["coverage"] == pytest.approx(cell["coverage"].item(), abs=3.0)
    assert found["bootstrap"] < 88  # what was reported before
    assert found["family_chance"] <= 0.065
    assert found["pair"] <= 0.065


def test_the_committed_simulation_meets_its_bars() -> None:
    table = pd.read_csv(COMMITTED)
    assert len(table) == 36
    assert table["coverage"].min() >= 90
    assert 92 <= table["coverage"].mean() <= 97
    assert (table["above"].dropna() <= 0.065).all()
    assert (table["family_chance"].dropna() <= 0.065).all()
    assert (table["pair"] <= 0.065).all()
    assert (table["family_pairs"] <= 0.065).all()


def test_a_row_has_one_mean_and_one_interval_wherever_it_is_told() -> None:
    """Folds of unlike size, people of unlike skill: Table 2, the test against chance, MLflow and the card say the same."""
    table = predictions({"eda": np.linspace(0.55, 1.0, 23)}).assign(scenario="s", protocol="subject", frame=pd.NA)
    scores = scores_table(table)
    row = table2(scores, table).loc[0]
    test = against_chance(table).loc[0]
    mean, low, high = (row[f"accuracy_{what}"] / 100 for what in ("mean", "low", "high"))
    assert mean != pytest.approx(mean_by(table)["eda"].mean(), abs=1e-6)  # people are not weighed alike here
    assert [test["difference"], test["low"], test["high"]] == pytest.approx([mean - 0.5, low - 0.5, high - 0.5])
    run: dict[str, Any] = {"scenarios": {}}
    mirrored = RowFacts(run, PAIN, scores, table).values("eda", "s")
    assert [mirrored[f"accuracy_{what}"] for what in ("mean", "low", "high")] == pytest.approx([mean, low, high])
    card = card_facts(run, PAIN, scores, table, Mark())
    assert [card["metrics"][0][what] for what in ("mean", "low", "high")] == pytest.approx([mean, low, high])
    assert card["above_chance"][:3] == pytest.approx([mean - 0.5, low - 0.5, high - 0.5])
    whole = against_chance(table, people=23)["p"].item()  # a test allows for everything, whatever the interval takes
    assert whole == pytest.approx(estimate(of_column(table.assign(d=_gain(table)), "d"), n_train=20.7).p)


def _gain(table: pd.DataFrame) -> pd.Series:
    return ((table["p_pain"] > 0.5) == (table["y_true"] == 1)).astype(float) - 0.5
