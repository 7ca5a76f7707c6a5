"""What the rows can see: a cue in the order of frames is for `video` alone, a cue in the frames themselves for `frame` too."""

from __future__ import annotations

import numpy as np

from painmodels.registry import network
from painmodels.training.loop import fit, outputs

N, T, F = 120, 20, 6
LABELS = np.arange(N) % 2
TRAIN, TEST = np.arange(N) < 80, np.arange(N) >= 80


def clips(cue: str) -> np.ndarray:
    """Features (N, T, F). `temporal`: the same rise of feature 0, forwards for pain and backwards for no pain, so that a frame by
    itself says nothing. `static`: feature 0 is higher throughout for pain."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, T, F)) * 0.3
    ramp = np.linspace(0, 2, T)
    for i, label in enumerate(LABELS):
        x[i, :, 0] += (ramp if label else ramp[::-1]) if cue == "temporal" else 1.0 * label
    return x.astype(np.float16)


def accuracies(cue: str) -> tuple[float, float]:
    """Of `frame`, per frame, and of `video`, per clip, on held-out clips; each network on the frozen one before."""
    x, scores = clips(cue), []
    chain = [
        ("spatial", "fc7", {"width": 16, "epochs": 4, "lr": 1e-2, "milestones": ()}),
        ("temporal", "lstm", {"hidden": 16, "epochs": 25, "batch": 16, "lr": 1e-2}),
        ("attention", "additive", {"epochs": 40, "batch": 16, "lr": 1e-2}),
    ]
    for role, name, values in chain:
        entry = network(role, name)
        settings = entry.settings(**values)
        weights = fit(entry, settings, [x[TRAIN]], LABELS[TRAIN], seed=0).weights
        p = outputs(entry, settings, weights, [x[TEST]], what="prediction")
        scores.append(float(((p > 0.5) == (LABELS[TEST][:, None] if p.ndim == 2 else LABELS[TEST])).mean()))
        x = outputs(entry, settings, weights, [x], what="features")
    return scores[0], scores[-1]


def test_a_cue_in_time_is_seen_by_video_and_not_by_frame() -> None:
    frame, video = accuracies("temporal")
    assert abs(frame - 0.5) < 0.1
    assert video > 0.9


def test_a_static_cue_is_seen_by_both() -> None:
    frame, video = accuracies("static")
    assert frame > 0.85
    assert video > 0.9
