"""Min–max scaling: ranges, and that held-out rows cannot reach the training rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from painmodels.training.normalise import HOW, minmax

SUBJECTS = ("a", "a", "b", "b")
SIGNALS = arrays(np.float32, (4, 6, 2), elements=st.floats(-1e6, 1e6, width=32))


@given(SIGNALS, st.sampled_from(HOW))
@settings(max_examples=60, deadline=None)
def test_scaled_values_are_finite_and_within_zero_and_one(x: np.ndarray, how: str) -> None:
    scaled, _ = minmax(x, how=how, subjects=SUBJECTS)
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert scaled.min() >= 0
    assert scaled.max() <= 1


@given(SIGNALS, SIGNALS)
@settings(max_examples=40, deadline=None)
def test_what_a_row_becomes_depends_only_on_what_is_allowed(x: np.ndarray, other: np.ndarray) -> None:
    changed = x.copy()
    changed[2:] = other[2:]  # another subject's trials
    for how in ("trial", "subject"):
        first, second = (minmax(v, how=how, subjects=SUBJECTS)[0][:2] for v in (x, changed))
        np.testing.assert_array_equal(first, second)
    changed = x.copy()
    changed[1] = other[1]  # another trial of the same subject
    first, second = (minmax(v, how="trial", subjects=SUBJECTS)[0][0] for v in (x, changed))
    np.testing.assert_array_equal(first, second)


def test_each_trial_fills_its_own_range() -> None:
    x = np.random.default_rng(0).normal(size=(4, 50, 2)) * [[[1, 100]]] + np.arange(4)[:, None, None]
    scaled, fitted = minmax(x, how="trial", subjects=SUBJECTS)
    assert fitted is None
    np.testing.assert_array_equal(scaled.min(1), np.zeros((4, 2)))
    np.testing.assert_array_equal(scaled.max(1), np.ones((4, 2)))


def test_subject_keeps_the_order_between_the_trials_of_a_subject() -> None:
    x = np.array([[0.0, 1], [2, 4], [10, 11], [12, 20]])[..., None]
    scaled, _ = minmax(x, how="subject", subjects=SUBJECTS)
    np.testing.assert_allclose(scaled[..., 0], [[0, 0.25], [0.5, 1], [0, 0.1], [0.2, 1]], atol=1e-6)


def test_train_applies_the_training_limits_to_other_rows() -> None:
    train = np.array([[[0.0], [10.0]]])
    _, fitted = minmax(train, how="train", subjects=["a"])
    scaled, again = minmax(np.array([[[5.0], [20.0]]]), how="train", subjects=["b"], fitted=fitted)
    np.testing.assert_allclose(scaled[0, :, 0], [0.5, 2.0])
    assert again is fitted


@pytest.mark.parametrize("how", HOW)
def test_a_constant_channel_becomes_zero(how: str) -> None:
    scaled, _ = minmax(np.full((4, 5, 1), 3.0), how=how, subjects=SUBJECTS)
    np.testing.assert_array_equal(scaled, np.zeros((4, 5, 1)))


def test_bad_input_is_named() -> None:
    x = np.zeros((2, 3, 1))
    with pytest.raises(ValueError, match="expected one of trial, subject, train"):
        minmax(x, how="all", subjects=["a", "b"])
    with pytest.raises(ValueError, match="with 1 subjects"):
        minmax(x, how="trial", subjects=["a"])
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match="the first is row 1"):
        minmax(x, how="trial", subjects=["a", "b"])
    x[1, 2] = 0
    _, fitted = minmax(x, how="train", subjects=["a", "b"])
    with pytest.raises(ValueError, match="fits nothing"):
        minmax(x, how="trial", subjects=["a", "b"], fitted=fitted)
    with pytest.raises(ValueError, match="limits of 1 channels, expected 2"):
        minmax(np.zeros((1, 3, 2)), how="train", subjects=["a"], fitted=fitted)
