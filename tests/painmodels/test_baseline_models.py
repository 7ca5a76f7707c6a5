"""One contract for everything in painmodels/baselines/, and what each of them must find."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from dataprep.signals.files import to_clock
from dataprep.synthetic import physiology as made_up
from painmodels.baselines import Inputs, baseline, baselines, default_rows
from painmodels.baselines.tables import feature_table

RATE_HZ, STEPS = 25.0, 138


def recordings(words: tuple[str, ...], labels: np.ndarray, *, seed: int = 0) -> Inputs:
    """Trials whose EDA, ECG and face all show the label."""
    signals: dict[str, list[np.ndarray]] = {w: [] for w in words if w != "video"}
    tracks = []
    for i, label in enumerate(labels):
        rng = np.random.default_rng([seed, i])
        body = made_up.draw_body(np.random.default_rng([seed, 10_000 + i // 4]), responds=True)
        for word, values in signals.items():
            raw = getattr(made_up, word)(body, rng, level=float(label))
            values.append(to_clock(raw, rate_hz=made_up.RATE_HZ, clock_hz=RATE_HZ, n_steps=STEPS))
        shake = rng.normal(0, 3.0 if label else 0.5, (STEPS, 14))
        box = np.array([100, 80, 200, 210, 130, 120, 170, 120, 150, 150, 135, 180, 165, 180]) + shake
        tracks.append(np.concatenate([box, np.ones((STEPS, 1))], axis=1))
    stacked = {w: np.array(v, dtype=np.float32) for w, v in signals.items()}
    return Inputs(len(labels), RATE_HZ, stacked, np.array(tracks, np.float32) if "video" in words else None)


def labels_of(n: int) -> np.ndarray:
    return np.arange(n) % 2


def words_of(row: str) -> tuple[str, ...]:
    return tuple(row.split(":")[0].split("+")) if ":" in row else ()


@pytest.mark.parametrize("row", default_rows())
def test_every_baseline_keeps_the_contract(row: str) -> None:
    entry = baseline(row.split(":")[-1])
    assert set(words_of(row)) <= set(entry.on)
    train, test = recordings(words_of(row), labels_of(120)), recordings(words_of(row), labels_of(60), seed=1)
    settings = entry.settings()
    fitted = entry.fit(train, labels_of(120), settings, 5, "cpu")
    again = entry.fit(train, labels_of(120), settings, 5, "cpu")
    assert {k: v.tobytes() for k, v in fitted.weights.items()} == {k: v.tobytes() for k, v in again.weights.items()}
    p_N = entry.predict(fitted.weights, test, settings, "cpu")
    assert p_N.shape == (60,)
    assert ((p_N >= 0) & (p_N <= 1)).all()
    one = Inputs(1, RATE_HZ, {k: v[3:4] for k, v in test.signals.items()}, None if test.faces is None else test.faces[3:4])
    assert entry.predict(fitted.weights, one, settings, "cpu")[0] == pytest.approx(p_N[3], abs=1e-6)
    right = ((p_N > 0.5) == (labels_of(60) == 1)).mean()
    assert right >= (0.5 if row == "majority" else 0.85), right
    flipped = entry.fit(train, 1 - labels_of(120), settings, 5, "cpu")
    if row not in ("majority", "eda:argmax"):  # the rule knows which side pain is on
        turned = entry.predict(flipped.weights, test, settings, "cpu")
        assert ((turned > 0.5) == (labels_of(60) == 0)).mean() >= 0.85


def test_names() -> None:
    assert {"majority", "argmax", "rf", "logistic", "cnn-lstm"} <= set(baselines())
    assert default_rows()[:2] == ("majority", "eda:argmax")
    with pytest.raises(ValueError, match=r"no baseline is called 'svm'; there are: argmax"):
        baseline("svm")


def test_the_majority_follows_the_training_trials() -> None:
    entry = baseline("majority")
    for share, called in ((0.25, 0.0), (0.5, 0.0), (0.75, 1.0)):
        labels = (np.arange(8) < 8 * share).astype(int)
        fitted = entry.fit(Inputs(8, RATE_HZ, {}), labels, entry.settings(), 0, "cpu")
        assert ((entry.predict(fitted.weights, Inputs(3, RATE_HZ, {}), entry.settings(), "cpu") > 0.5) == called).all()


def test_argmax_learns_the_moment_and_nothing_of_the_scale() -> None:
    entry = baseline("argmax")
    at = np.array([10, 30, 50, 60, 80, 100])
    x_NT = np.zeros((6, STEPS))
    x_NT[np.arange(6), at] = 1.0
    weights = entry.fit(Inputs(6, RATE_HZ, {"eda": x_NT}), (at > 55).astype(int), entry.settings(), 0, "cpu").weights
    assert 50 < weights["threshold"][0] * (STEPS - 1) < 60
    p_N = entry.predict(weights, Inputs(6, RATE_HZ, {"eda": 7 * x_NT - 3}), entry.settings(), "cpu")
    assert ((p_N > 0.5) == (at > 55)).all()


def test_the_stored_forest_is_the_one_that_was_grown() -> None:
    entry, train, test = baseline("rf"), recordings(("eda",), labels_of(40)), recordings(("eda",), labels_of(30), seed=2)
    settings = entry.settings(trees=25)
    weights = entry.fit(train, labels_of(40), settings, 3, "cpu").weights
    grown = RandomForestClassifier(25, min_samples_leaf=settings.leaf, max_features="sqrt", random_state=3)
    grown.fit(feature_table(train).astype(np.float32), labels_of(40))
    expected = grown.predict_proba(feature_table(test).astype(np.float32))[:, 1]
    np.testing.assert_allclose(entry.predict(weights, test, settings, "cpu"), expected, atol=1e-12)


def test_gaps_are_filled_from_the_training_trials_alone() -> None:
    """A flat ECG has no beats: its features are not defined, and the prediction is still a number."""
    train, test = recordings(("ecg",), labels_of(40)), recordings(("ecg",), labels_of(4), seed=3)
    test.signals["ecg"][1] = 0.0
    for name in ("rf", "logistic"):
        entry = baseline(name)
        weights = entry.fit(train, labels_of(40), entry.settings(), 0, "cpu").weights
        assert np.isfinite(entry.predict(weights, test, entry.settings(), "cpu")).all()
        assert not np.isnan(weights["typical"]).any()
