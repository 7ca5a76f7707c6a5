import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test, ttest_rel

from grid.results.stats import (
    bootstrap_interval,
    compare_rows,
    corrected_t_test,
    effect_size,
    holm,
    mean_accuracy,
    sign_flip_test,
)


def predictions(accuracies: dict[str, np.ndarray], *, trials: int = 20) -> pd.DataFrame:
    """A table in which subject s of a row has exactly `round(accuracy * trials)` right trials; ten subjects a fold."""
    rows = []
    for modality, accuracy_S in accuracies.items():
        for s, accuracy in enumerate(accuracy_S):
            for i in range(trials):
                y, right = i % 2, i < round(accuracy * trials)
                p = 0.9 if (y == 1) == right else 0.1
                rows.append((modality, s // 10, f"s{s:02d}", f"s{s:02d}-{i}", y, p))
    return pd.DataFrame(rows, columns=["modality", "fold", "subject_name", "sample_name", "y_true", "p_pain"])


def test_trials_are_collapsed_to_subjects_first() -> None:
    table = predictions({"eda": np.array([1.0, 0.5])})
    many = pd.concat([table, *[table[table.subject_name == "s00"]] * 9])  # nine times more trials of one subject
    assert mean_accuracy(many)["eda"].tolist() == [1.0, 0.5]
    assert mean_accuracy(many)["eda"].mean() == 0.75


def test_bootstrap_interval_has_the_width_of_theory_and_repeats() -> None:
    values = np.random.default_rng(1).normal(0.7, 0.1, size=400)
    interval = bootstrap_interval(values, seed=3)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert interval.mean == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 15)
    assert bootstrap_interval(values, seed=3) == interval
    assert bootstrap_interval(values, seed=4) != interval


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        interval = bootstrap_interval(rng.binomial(40, 0.8, size=60) / 40, n_resamples=500)
        inside += interval.low <= 0.8 <= interval.high
    assert 0.89 <= inside / 200 <= 0.99


def test_intervals_of_too_few_subjects_are_unknown() -> None:
    one = bootstrap_interval([0.6, np.nan])
    assert (one.mean, one.n) == (0.6, 1)
    assert np.isnan([one.low, one.high]).all()
    assert np.isnan(bootstrap_interval([]).mean)


def test_sign_flip_known_answers() -> None:
    assert sign_flip_test(np.ones(5)) == 2 / 2**5  # only +++++ and ----- are as extreme
    assert sign_flip_test([1.0, -1.0]) == 1.0
    assert sign_flip_test(np.ones(60)) == 1 / 10_001
    assert np.isnan(sign_flip_test([np.nan]))


def test_sign_flip_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    d = rng.normal(0.2, 1, size=11)
    exact = permutation_test((d, np.zeros(11)), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples")
    assert sign_flip_test(d) == pytest.approx(exact.pvalue)
    d = rng.normal(0.2, 1, size=87)
    assert sign_flip_test(d) == pytest.approx(ttest_rel(d, np.zeros(87)).pvalue, abs=0.02)


def test_holm_known_answer() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_gap = holm([0.02, np.nan, 0.9])
    assert with_gap[[0, 2]] == pytest.approx([0.04, 0.9])
    assert np.isnan(with_gap[1])
    assert holm([]).shape == (0,)


def test_effect_size_is_mean_over_sd() -> None:
    assert effect_size([0.1, 0.2, 0.3]) == pytest.approx(2.0)
    assert np.isnan(effect_size([0.1, 0.1]))


def test_corrected_t_known_answer() -> None:
    d = np.array([0.1, 0.2, 0.3, 0.2])
    plain = ttest_rel(d, np.zeros(4)).statistic
    t, p = corrected_t_test(d, n_train=3, n_test=1)
    assert t == pytest.approx(plain * np.sqrt((1 / 4) / (1 / 4 + 1 / 3)))
    assert p > ttest_rel(d, np.zeros(4)).pvalue
    assert np.isnan(corrected_t_test([0.1], n_train=9, n_test=1)).all()
    with pytest.raises(ValueError, match="n_train"):
        corrected_t_test(d, n_train=0, n_test=1)


def test_compare_rows_finds_the_difference_there_is_and_no_other() -> None:
    rng = np.random.default_rng(2)
    base = rng.uniform(0.5, 0.8, size=40)
    table = compare_rows(
        predictions({"ecg": base, "eda": base + rng.uniform(0.1, 0.2, size=40), "video": rng.permutation(base)})
    )
    by_pair = table.set_index(["a", "b"])
    found = by_pair.loc[("ecg", "eda")]
    assert found["difference"] == pytest.approx(0.15, abs=0.02)
    assert found["low"] > 0.12
    assert found["p_holm"] < 0.01
    assert found["n_subjects"] == 40
    assert found["t_folds"] > 5
    none = by_pair.loc[("ecg", "video")]
    assert none["low"] < 0 < none["high"]
    assert none["p_holm"] > 0.05


def test_compare_rows_pairs_only_subjects_that_both_rows_tested() -> None:
    table = predictions({"ecg": np.full(6, 0.5), "eda": np.full(6, 0.75)})
    table = table[~((table.modality == "eda") & (table.subject_name == "s00"))]
    assert compare_rows(table)["n_subjects"].tolist() == [5]


def test_one_row_has_nothing_to_compare() -> None:
    assert compare_rows(predictions({"eda": np.array([0.5, 0.6])})).empty
