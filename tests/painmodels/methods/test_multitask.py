"""Heads per person: what is learned of whom, and that a person who is tested changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from painmodels.methods import multitask
from painmodels.methods.graph import Recordings

RATE_HZ, STEPS = 25.0, 75
SUBJECTS = tuple(f"s{i // 20}" for i in range(160))
LABELS = np.arange(160) % 2


def trials(subjects: tuple[str, ...], *, seed: int = 0) -> Recordings:
    """EDA that rises under pain in persons whose level at rest is 8 µS, and falls in those whose level is 2 µS."""
    rng = np.random.default_rng(seed)
    ramp = np.clip((np.arange(STEPS) - 30) / 40, 0, 1)
    rows = []
    for i, subject in enumerate(subjects):
        high = int(subject[1:]) % 2
        sign = 1 if high else -1
        rows.append((8 if high else 2) + sign * (0.6 if LABELS[i] else -0.6) * ramp + rng.normal(0, 0.05, STEPS))
    return Recordings(
        n=len(subjects), rate_hz=RATE_HZ, signals={"eda": np.array(rows, np.float32)}, faces=None, subjects=subjects
    )


def learned(**settings: object) -> tuple[multitask.Settings, dict[str, np.ndarray]]:
    chosen = multitask.Settings(epochs=40, **settings)  # type: ignore[arg-type]
    return chosen, dict(multitask.fit(trials(SUBJECTS), LABELS, chosen, 0, "cpu").weights)


def renamed(given: Recordings, prefix: str) -> Recordings:
    return Recordings(
        n=given.n,
        rate_hz=given.rate_hz,
        signals=given.signals,
        faces=None,
        subjects=tuple(prefix + s for s in given.subjects),
    )


def accuracy(settings: multitask.Settings, weights: dict[str, np.ndarray], given: Recordings) -> float:
    return float(((multitask.predict(weights, given, settings, "cpu") > 0.5) == LABELS[: given.n]).mean())


def test_a_known_person_has_an_own_head_and_a_new_one_has_none() -> None:
    settings, weights = learned()
    assert weights["centres"].shape == (8, 3)
    tested = trials(SUBJECTS, seed=1)
    own = multitask.weights_of_heads(weights, multitask.standardised_rest(tested, weights), tested.subjects, settings)
    assert (own.argmax(1) == np.arange(160) // 20).all()
    assert ((own == 0) | (own == 1)).all()
    new = renamed(tested, "new-")
    mean = multitask.weights_of_heads(weights, multitask.standardised_rest(new, weights), new.subjects, settings)
    np.testing.assert_allclose(mean, 1 / 8)
    assert accuracy(settings, weights, tested) > 0.9


def test_a_new_person_gets_the_cluster_that_is_nearest_at_rest() -> None:
    settings, weights = learned(heads="cluster", clusters=2, unseen="nearest")
    assert len(weights["centres"]) == 2
    assert len({weights["head_of"][i] for i in range(0, 8, 2)}) == 1  # the four of 2 µS share one
    assert accuracy(settings, weights, renamed(trials(SUBJECTS, seed=1), "new-")) > 0.9


def test_tested_persons_names_and_other_trials_change_no_prediction() -> None:
    settings, weights = learned(unseen="nearest")
    given = renamed(trials(SUBJECTS, seed=1), "new-")
    p_N = multitask.predict(weights, given, settings, "cpu")
    np.testing.assert_array_equal(multitask.predict(weights, renamed(given, "other-"), settings, "cpu"), p_N)
    alone = Recordings(n=1, rate_hz=RATE_HZ, signals={"eda": given.signals["eda"][7:8]}, faces=None, subjects=())
    np.testing.assert_allclose(multitask.predict(weights, alone, settings, "cpu"), p_N[7:8], atol=1e-6)


def test_resting_features_end_before_the_response() -> None:
    given = trials(SUBJECTS)
    changed = {"eda": given.signals["eda"].copy()}
    changed["eda"][:, 25:] += 5
    other = Recordings(n=given.n, rate_hz=RATE_HZ, signals=changed, faces=None, subjects=SUBJECTS)
    np.testing.assert_array_equal(multitask.resting_features(given), multitask.resting_features(other))


def test_unknown_words_are_named() -> None:
    with pytest.raises(ValueError, match=r"unseen: found 'median', expected mean or nearest"):
        multitask.Settings(unseen="median")
