"""One contract for every method of one part, and what each of them must find; the graph of the paper's method."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from dataprep.recordings import key_columns, sources
from dataprep.signals.resampling import to_clock
from dataprep.synthetic import physiology as made_up
from painmodels.methods import default_rows, method, methods
from painmodels.methods.graph import Estimator, Recordings, needs
from painmodels.methods.tables import feature_table
from painmodels.registry import SubNetwork, network
from painmodels.training.loop import fit, outputs
from painmodels.training.normalise import normalised

RATE_HZ, STEPS = 25.0, 138


def recordings(words: tuple[str, ...], labels: np.ndarray, *, seed: int = 0) -> Recordings:
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
    return Recordings(len(labels), RATE_HZ, stacked, np.array(tracks, np.float32) if "video" in words else None)


def labels_of(n: int) -> np.ndarray:
    return np.arange(n) % 2


def words_of(row: str) -> tuple[str, ...]:
    return tuple(row.split(":")[0].split("+")) if ":" in row else ()


def trained_of(row: str) -> Estimator | SubNetwork:
    """What the method of a row, of one part, trains."""
    (part,) = method(row.split(":")[-1]).parts(words_of(row) or (), lambda role: network(role, "concat"))
    assert part.trained is not None
    return part.trained


def scaled(given: Recordings) -> list[np.ndarray]:
    x_NTC = np.stack(list(given.signals.values()), axis=-1)
    return [normalised(x_NTC, how="trial", subjects=[""] * given.n)[0]]


def learn(trained: Estimator | SubNetwork, given: Recordings, labels: np.ndarray) -> dict[str, np.ndarray]:
    if isinstance(trained, Estimator):
        return dict(trained.fit(given, labels, trained.settings(), 5, "cpu").weights)
    return dict(fit(trained, trained.settings(), scaled(given), labels, seed=5).weights)


def judge(trained: Estimator | SubNetwork, weights: dict[str, np.ndarray], given: Recordings) -> np.ndarray:
    if isinstance(trained, Estimator):
        return trained.predict(weights, given, trained.settings(), "cpu")
    return outputs(trained, trained.settings(), weights, scaled(given), what="prediction", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("row", default_rows())
def test_every_method_of_one_part_keeps_the_contract(row: str) -> None:
    trained = trained_of(row)
    assert set(words_of(row)) <= set(method(row.split(":")[-1]).on)
    train, test = recordings(words_of(row), labels_of(120)), recordings(words_of(row), labels_of(60), seed=1)
    weights, again = learn(trained, train, labels_of(120)), learn(trained, train, labels_of(120))
    assert {k: v.tobytes() for k, v in weights.items()} == {k: v.tobytes() for k, v in again.items()}
    p_N = judge(trained, weights, test)
    assert p_N.shape == (60,)
    assert ((p_N >= 0) & (p_N <= 1)).all()
    faces = None if test.faces is None else test.faces[3:4]
    one = Recordings(1, RATE_HZ, {k: v[3:4] for k, v in test.signals.items()}, faces)
    assert judge(trained, weights, one)[0] == pytest.approx(p_N[3], abs=1e-6)
    right = ((p_N > 0.5) == (labels_of(60) == 1)).mean()
    assert right >= (0.5 if row == "majority" else 0.85), right
    if row not in ("majority", "eda:argmax"):  # the rule knows which side pain is on
        turned = judge(trained, learn(trained, train, 1 - labels_of(120)), test)
        assert ((turned > 0.5) == (labels_of(60) == 0)).mean() >= 0.85


def test_the_graph_of_the_paper() -> None:
    def of(*words: str, fusion: str = "concat") -> list[str]:
        parts = method("hybrid").parts(words, lambda role: network(role, fusion))
        for part in parts:  # what feeds a part stands before it
            assert set(part.feeding) <= {p.role for p in parts[: parts.index(part)]}
        return [p.role for p in parts]

    assert of("frame") == ["spatial"]
    assert of("video") == ["spatial", "temporal", "attention"]
    assert of("eda", "ecg") == ["physiological"]
    assert of("eda", "video") == ["spatial", "temporal", "attention", "physiological", "fusion"]
    assert of("eda", "video", fusion="cross-attention") == ["spatial", "temporal", "physiological", "fusion"]
    parts = method("hybrid").parts(("eda", "video"), lambda role: network(role, "concat"))
    assert needs(parts, "attention") == ("features", "mask")
    assert sources(needs(parts, "temporal")) == ("video",)
    assert sources(needs(parts, "fusion")) == ("video", "signals")
    assert sources(needs(parts, "physiological")) == ("signals",)
    assert key_columns(needs(parts, "fusion"), ("eda",)) == ("video", "eda")


def test_names() -> None:
    assert {"majority", "argmax", "rf", "logistic", "cnn-lstm"} <= set(methods())
    assert default_rows()[:2] == ("majority", "eda:argmax")
    with pytest.raises(ValueError, match=r"no method is called 'svm'; there are: .*argmax.*majority"):
        method("svm")


def test_the_majority_follows_the_training_trials() -> None:
    entry = trained_of("majority")
    for share, called in ((0.25, 0.0), (0.5, 0.0), (0.75, 1.0)):
        labels = (np.arange(8) < 8 * share).astype(int)
        fitted = entry.fit(Recordings(8, RATE_HZ, {}), labels, entry.settings(), 0, "cpu")
        assert ((entry.predict(fitted.weights, Recordings(3, RATE_HZ, {}), entry.settings(), "cpu") > 0.5) == called).all()


def test_argmax_learns_the_moment_and_nothing_of_the_scale() -> None:
    entry = trained_of("eda:argmax")
    at = np.array([10, 30, 50, 60, 80, 100])
    x_NT = np.zeros((6, STEPS))
    x_NT[np.arange(6), at] = 1.0
    weights = entry.fit(Recordings(6, RATE_HZ, {"eda": x_NT}), (at > 55).astype(int), entry.settings(), 0, "cpu").weights
    assert 50 < weights["threshold"][0] * (STEPS - 1) < 60
    p_N = entry.predict(weights, Recordings(6, RATE_HZ, {"eda": 7 * x_NT - 3}), entry.settings(), "cpu")
    assert ((p_N > 0.5) == (at > 55)).all()


def test_the_stored_forest_is_the_one_that_was_grown() -> None:
    entry, train, test = (
        trained_of("eda:rf"),
        recordings(("eda",), labels_of(40)),
        recordings(("eda",), labels_of(30), seed=2),
    )
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
        entry = trained_of(f"ecg:{name}")
        weights = entry.fit(train, labels_of(40), entry.settings(), 0, "cpu").weights
        assert np.isfinite(entry.predict(weights, test, entry.settings(), "cpu")).all()
        assert not np.isnan(weights["typical"]).any()
