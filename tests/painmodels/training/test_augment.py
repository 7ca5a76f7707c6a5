"""Augmented training windows: what each kind does, a pure function of the training side, and nothing is repeated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from painmodels.networks.physiological_lstm import NETWORK, Settings
from painmodels.training.augment import KINDS, Augment, augmented, made, nearest
from painmodels.training.loop import fit
from painmodels.training.normalise import normalised
from painmodels.training.packed_loop import Job, fit_packed

N, T = 120, 60
LABELS = np.arange(N) % 2
ALL = Augment(kinds=tuple(KINDS), epochs=60)


def windows(*, seed: int = 0, n: int = N) -> np.ndarray:
    """Two channels: a rise under pain whose moment and height vary, and a slow wave; (N, T, 2) in [0, 1]."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, T)
    at, height, phase = rng.uniform(0.3, 0.7, n), rng.uniform(0.5, 1.5, n), rng.uniform(0, 6.3, n)
    rise = (np.arange(n) % 2 * 2 - 1)[:, None] * height[:, None] / (1 + np.exp(-(t - at[:, None]) / 0.05))
    wave = np.sin(9 * t + phase[:, None])
    x = np.stack([rise, wave], axis=-1) + rng.normal(0, 0.05, (n, T, 2))
    return normalised(x, how="trial", subjects=[""] * n)[0]


def one(kind: str, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    return made(windows(), LABELS, replace(ALL, kinds=(kind,), **settings), seed=3, normalise="trial")


@pytest.mark.parametrize("kind", list(KINDS))
def test_windows_of_every_kind_are_new_scaled_and_repeatable(kind: str) -> None:
    x, y = one(kind)
    assert x.shape == (N, T, 2)
    assert x.dtype == np.float32
    assert set(y.tolist()) == {0, 1}
    np.testing.assert_allclose(x.min(1), 0, atol=1e-6)
    np.testing.assert_allclose(x.max(1), 1, atol=1e-6)
    assert np.median(nearest(x, windows())) > 0.01  # a mixture can be all one window
    again, same = one(kind)
    assert again.tobytes() == x.tobytes()
    assert same.tobytes() == y.tobytes()
    both = made(windows(), LABELS, replace(ALL, kinds=("jitter", kind)), seed=3, normalise="trial")[0]
    assert both[N:].tobytes() == x.tobytes()  # what one kind makes does not depend on the others


def test_a_time_warp_moves_the_rise_and_keeps_its_height() -> None:
    x, y = one("time-warp")
    assert (y == LABELS).all()
    moment = np.abs(np.diff(x[..., 0], axis=1)).argmax(1)
    before = np.abs(np.diff(windows()[..., 0], axis=1)).argmax(1)
    assert 1 < np.abs(moment - before).mean() < 15
    np.testing.assert_allclose(x[:, 0], normalised(windows(), how="trial", subjects=[""] * N)[0][:, 0], atol=0.2)


def test_mixed_labels_are_drawn_with_the_weights_of_the_windows() -> None:
    x = np.broadcast_to(np.arange(2.0, dtype=np.float32)[:, None, None], (2, 3, 1)).repeat(2000, axis=0)
    labels = np.repeat([0, 1], 2000)
    mixed, drawn = made(x, labels, replace(ALL, kinds=("mix-up",)), seed=0, normalise="train")
    share = mixed[:, 0, 0]  # of the window with label 1
    inside = (share > 0.2) & (share < 0.4)
    assert abs(drawn[inside].mean() - share[inside].mean()) < 0.06
    numbers = made(x, labels.astype(np.float32), replace(ALL, kinds=("mix-up",)), seed=0, normalise="train")[1]
    np.testing.assert_allclose(numbers, share, atol=1e-6)


def test_the_generative_model_makes_windows_of_the_class_and_repeats_none() -> None:
    """Its windows show the cue, and lie no nearer to the training windows than held-out real ones do."""
    x, y = one("vae", epochs=150)
    rises = x[:, -10:, 0].mean(1) > x[:, :10, 0].mean(1)
    assert (rises == (y == 1)).mean() > 0.85
    drawn, real = nearest(x, windows()), nearest(windows(seed=1), windows())
    assert np.median(drawn) >= np.median(real)
    assert np.quantile(drawn, 0.05) >= 0.9 * np.quantile(real, 0.05)


def test_packed_fits_see_the_same_windows() -> None:
    settings = Settings(epochs=3, batch=32, hidden=8, layers=1)
    chosen = replace(ALL, kinds=("jitter", "mix-up"))
    jobs, alone = [], []
    for seed in (1, 2):
        x, y = augmented(windows(), LABELS, chosen, seed=seed, normalise="trial")
        jobs.append(Job(settings, x, y, seed))
        alone.append(fit(NETWORK, settings, [x], y, seed=seed))
    for packed, single in zip(fit_packed(jobs), alone, strict=True):
        for name, value in single.weights.items():
            np.testing.assert_allclose(packed.weights[name], value, atol=1e-5)


def test_unknown_kinds_and_impossible_numbers_are_named() -> None:
    with pytest.raises(ValueError, match=r"kinds: found 'cutout', expected some of time-warp, magnitude-warp"):
        Augment(kinds=("cutout",))
    with pytest.raises(ValueError, match="expected numbers above 0"):
        Augment(copies=0)
