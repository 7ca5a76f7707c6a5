"""Scaling of signals: ranges, and that held-out rows cannot reach the training rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from painmodels.training.normalise import FITTED, HOW, normalised, prepared
from painmodels.use.pipeline import scaled_tensor

SUBJECTS = ("a", "a", "b", "b")
SIGNALS = arrays(np.float32, (4, 6, 2), elements=st.floats(-1e6, 1e6, width=32))


MINMAX = ("trial", "subject", "train", "train-step")


@given(SIGNALS, st.sampled_from(HOW))
@settings(max_examples=60, deadline=None)
def test_scaled_values_are_finite_and_of_min_max_within_zero_and_one(x: np.ndarray, how: str) -> None:
    scaled, fitted = normalised(x, how=how, subjects=SUBJECTS, rate_hz=2)
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert (fitted is not None) == (how in FITTED)
    if how in MINMAX:
        assert scaled.min() >= 0
        assert scaled.max() <= 1


@pytest.mark.parametrize("how", [how for how in HOW if how != "subject"])
def test_an_exported_row_scales_as_the_fit_did(how: str) -> None:
    x = np.random.default_rng(0).normal(3, 2, (4, 30, 2)).astype(np.float32)
    scaled, fitted = normalised(x, how=how, subjects=SUBJECTS, rate_hz=5)
    limits = [torch.from_numpy(v) for v in (fitted.low, fitted.high)] if fitted else []
    of_export = scaled_tensor(prepared(torch.from_numpy(x).double(), how, 5), how, limits)
    np.testing.assert_allclose(of_export.numpy(), scaled, atol=1e-6)


def test_what_keeps_the_amplitude_keeps_it() -> None:
    """Twice the response stays twice as large; a level of one's own is gone, but where the raw value is kept."""
    response = np.linspace(0, 1, 20) ** 2
    x = np.stack([5 + response, 9 + 2 * response])[..., None]
    for how in ("start", "centred", "difference"):
        scaled, _ = normalised(x, how=how, subjects=("a", "b"), rate_hz=1)
        np.testing.assert_allclose(np.ptp(scaled[1]), 2 * np.ptp(scaled[0]), rtol=1e-5)
        assert abs(scaled[0, 0] - scaled[1, 0]) < 1
    levels = normalised(x, how="train-z", subjects=("a", "b"))[0].mean((1, 2))
    assert levels[1] - levels[0] > 1.5
    np.testing.assert_allclose(*normalised(x, how="trial-z", subjects=("a", "b"))[0], atol=1e-5)


@given(SIGNALS, SIGNALS)
@settings(max_examples=40, deadline=None)
def test_what_a_row_becomes_depends_only_on_what_is_allowed(x: np.ndarray, other: np.ndarray) -> None:
    changed = x.copy()
    changed[2:] = other[2:]  # another subject's trials
    for how in ("trial", "subject"):
        first, second = (normalised(v, how=how, subjects=SUBJECTS)[0][:2] for v in (x, changed))
        np.testing.assert_array_equal(first, second)
    changed = x.copy()
    changed[1] = other[1]  # another trial of the same subject
    first, second = (normalised(v, how="trial", subjects=SUBJECTS)[0][0] for v in (x, changed))
    np.testing.assert_array_equal(first, second)


def test_each_trial_fills_its_own_range() -> None:
    x = np.random.default_rng(0).normal(size=(4, 50, 2)) * [[[1, 100]]] + np.arange(4)[:, None, None]
    scaled, fitted = normalised(x, how="trial", subjects=SUBJECTS)
    assert fitted is None
    np.testing.assert_array_equal(scaled.min(1), np.zeros((4, 2)))
    np.testing.assert_array_equal(scaled.max(1), np.ones((4, 2)))


def test_subject_keeps_the_order_between_the_trials_of_a_subject() -> None:
    x = np.array([[0.0, 1], [2, 4], [10, 11], [12, 20]])[..., None]
    scaled, _ = normalised(x, how="subject", subjects=SUBJECTS)
    np.testing.assert_allclose(scaled[..., 0], [[0, 0.25], [0.5, 1], [0, 0.1], [0.2, 1]], atol=1e-6)


def test_train_applies_the_training_limits_to_other_rows() -> None:
    train = np.array([[[0.0], [10.0]]])
    _, fitted = normalised(train, how="train", subjects=["a"])
    scaled, again = normalised(np.array([[[5.0], [20.0]]]), how="train", subjects=["b"], fitted=fitted)
    np.testing.assert_allclose(scaled[0, :, 0], [0.5, 2.0])
    assert again is fitted


@pytest.mark.parametrize("how", HOW)
def test_a_constant_channel_becomes_zero(how: str) -> None:
    scaled, _ = normalised(np.full((4, 5, 1), 0.1), how=how, subjects=SUBJECTS, rate_hz=2)
    np.testing.assert_array_equal(scaled, np.zeros((4, 5, 1)))


def test_bad_input_is_named() -> None:
    x = np.zeros((2, 3, 1))
    with pytest.raises(ValueError, match="expected one of trial, subject, train"):
        normalised(x, how="all", subjects=["a", "b"])
    with pytest.raises(ValueError, match="with 1 subjects"):
        normalised(x, how="trial", subjects=["a"])
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match="the first is row 1"):
        normalised(x, how="trial", subjects=["a", "b"])
    x[1, 2] = 0
    _, fitted = normalised(x, how="train", subjects=["a", "b"])
    with pytest.raises(ValueError, match="fits nothing"):
        normalised(x, how="trial", subjects=["a", "b"], fitted=fitted)
    with pytest.raises(ValueError, match="limits of 1 channels, expected 2"):
        normalised(np.zeros((1, 3, 2)), how="train", subjects=["a"], fitted=fitted)
