"""Published systems: sizes as published, and that each learns a cue that it can see, on persons it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from grid.experiment.config import load
from painmodels.methods import cnn, crossmod, method, methods, mlp, multitask, painattn
from painmodels.methods.graph import Estimator, Recordings
from painmodels.methods.layers import stretched
from painmodels.registry import SubNetwork, network
from painmodels.training.loop import fit, outputs

RATE_HZ, STEPS = 25.0, 100
SUBJECTS = tuple(f"s{i // 8:02d}" for i in range(240))
LABELS = np.arange(240) % 2
TRAIN, TEST = slice(0, 160), slice(160, 240)
ELSEWHERE = ("native", "video", "frame")
"""In rows that other tests have."""
EPOCHS = {"crossmod": 4, "cnn": 20, "painattn": 12}  # enough for so clear a cue


def windows(words: tuple[str, ...], *, seed: int = 0) -> dict[str, np.ndarray]:
    """Signals (N, T) in [0, 1]: under pain the EDA rises late, the ECG beats faster, the EMG grows louder; all begin alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(STEPS) / RATE_HZ
    found: dict[str, list[np.ndarray]] = {word: [] for word in words}
    for label in LABELS:
        rate = 1.0 + 0.35 * label + rng.normal(0, 0.05)
        made = {
            "eda": 0.4 + 0.1 * rng.random() + (0.5 if label else 0.05) / (1 + np.exp(-(t - 2.2 - 0.3 * rng.random()) / 0.2)),
            "ecg": np.exp(-(((rate * t + rng.random()) % 1.0 - 0.5) ** 2) / 0.005),
        }
        if "emg" in words:
            made["emg"] = 0.5 + (0.05 + 0.2 * label * (t > 2)) * rng.normal(size=STEPS)
        for word in words:
            found[word].append(made[word] + rng.normal(0, 0.02, STEPS))
    return {word: np.array(rows, np.float32) for word, rows in found.items()}


def given(words: tuple[str, ...], rows: slice, *, subjects: bool = False) -> Recordings:
    chosen = {word: x[rows] for word, x in windows(words).items()}
    told: dict[str, Any] = {"subjects": SUBJECTS[rows]} if subjects else {}
    if "emg" in words:  # stands for its features at the recorder's rate: how loud it is, and noise
        loud_NT1 = np.repeat(chosen["emg"].std(axis=1)[:, None, None], STEPS, axis=1)
        noise = np.random.default_rng(rows.start).normal(size=(*loud_NT1.shape[:2], 11))
        told["made"] = {"domain": {"emg": np.concatenate([loud_NT1, noise], axis=2).astype(np.float32)}}
    return Recordings(n=len(LABELS[rows]), rate_hz=RATE_HZ, signals=chosen, faces=None, **told)


def small(name: str) -> Any:
    """The settings of the shipped small experiment."""
    (part,) = method(name).parts(("eda",), lambda role: network(role, "concat"))
    settings = load("methods-demo").trained(name, part)[1]
    return replace(settings, epochs=min(settings.epochs, EPOCHS.get(name, 100))) if hasattr(settings, "epochs") else settings


def accuracy(p_N: np.ndarray) -> float:
    return float(((p_N > 0.5) == LABELS[TEST]).mean())


OTHERS = ("emg", "native", "video", "frame")
"""Rows that have no place here: they take other recordings, and have tests of their own."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [row for m in methods().values() for row in m.compared if not any(word in row for word in ("+emg:rf", *ELSEWHERE))],
)
def test_each_published_method_learns_a_cue_that_it_can_see(row: str) -> None:
    words, name = tuple(row.split(":")[0].split("+")), row.split(":")[1]
    (part,) = method(name).parts(words, lambda role: network(role, "concat"))
    trained, settings = part.trained, small(name)
    if isinstance(trained, Estimator):
        takes = any(i.recording == "subject" for i in part.inputs)
        weights = trained.fit(given(words, TRAIN, subjects=takes), LABELS[TRAIN], settings, 3, "cpu").weights
        p_N = trained.predict(weights, given(words, TEST, subjects=takes), settings, "cpu")
    else:
        assert isinstance(trained, SubNetwork)
        x_NTC = np.stack(list(windows(words).values()), axis=-1)
        weights = fit(trained, settings, [x_NTC[TRAIN]], LABELS[TRAIN], seed=3).weights
        p_N = outputs(trained, settings, weights, [x_NTC[TEST]], what="prediction")
    assert accuracy(p_N) >= 0.8


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.slow
def test_painattn_has_the_published_size_at_the_published_rate() -> None:
    """558,308 parameters, and 60, 12 and 3 steps of 2816: counted in the authors' code."""
    settings = painattn.Settings(kernels=(50, 512, 1024), strides=(6, 42, 84))
    module = painattn.PainAttnNet(settings, [1])
    assert count(module) == 558_308
    x = torch.zeros(2, 1, 2816)
    assert [scale.patterns(x).shape[-1] for scale in module.scales] == [60, 12, 3]
    assert module(torch.zeros(2, 2816, 1)).shape == (2, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "n_channels", "parameters"),
    [(cnn, 1, 335_314), (cnn, 3, 1_005_945), (painattn, 1, 461_796), (crossmod, 1, 1_014_019), (crossmod, 2, 2_062_212)],
)
def test_sizes(entry: Any, n_channels: int, parameters: int) -> None:
    settings = entry.Settings()
    module = entry.NETWORK.build(settings, [n_channels]).eval()
    assert count(module) == parameters
    for n_steps in (STEPS, 50):  # any window fits the same weights
        logits = module(torch.rand(3, n_steps, n_channels))
        assert logits.shape == (3, 2)
    assert count(entry.NETWORK.build(replace(settings, classes=5), [n_channels])) > parameters


def test_sizes_of_networks_on_features() -> None:
    assert count(mlp.Perceptron(mlp.Settings(), [12])) == 12 * 250 + 250 + 250 * 100 + 100 + 100 * 2 + 2
    heads = multitask.MultiTask(multitask.Settings(), [12, 7])
    assert count(heads) == 12 * 64 + 64 + 64 * 32 + 32 + 7 * (32 * 2 + 2)


@pytest.mark.parametrize("name", ["painattn-native", "cnn-lstm-native"])
def test_networks_at_the_recorders_rate_scale_each_window_themselves(name: str) -> None:
    (part,) = method(name).parts(("eda",), lambda role: network(role, "concat"))
    assert [i.recording for i in part.inputs] == ["signals_native"]
    assert isinstance(part.trained, SubNetwork)
    module = part.trained.build(part.trained.settings(), [1]).eval()
    x = torch.rand(1, 2806, 1)
    logits = module(torch.cat([x, 7 + 30 * x, torch.ones_like(x)]))
    assert logits.shape == (3, 2)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[1], logits[0], atol=1e-4, rtol=1e-3)
    if name == "painattn-native":
        assert count(module) == 558_308


def test_late_fusion_averages_the_probabilities_of_the_signals() -> None:
    module = cnn.SignalCNN(cnn.Settings(), [2]).eval()
    x = torch.rand(4, STEPS, 2)
    each = [head(y).softmax(-1) for head, y in zip(module.heads, module.streams(x), strict=True)]
    torch.testing.assert_close(module(x).softmax(-1), (each[0] + each[1]) / 2)


def test_the_published_settings_are_those_of_the_publications() -> None:
    published = load("published")
    assert published.protocol == load("paper").protocol
    sizes = {"painattn": (558_308 - 96_512, 1), "crossmod": (2_062_212, 2)}
    for row in published.axes.modalities:
        name = row.partition(":")[2]
        if name in sizes:
            (part,) = method(name).parts(("eda",), lambda role: network(role, "concat"))
            trained, settings = published.trained(name, part)
            assert isinstance(trained, SubNetwork)
            assert count(trained.build(settings, [sizes[name][1]])) == sizes[name][0]


def test_stretching_keeps_ends_and_lines() -> None:
    x = torch.linspace(2, 5, 31)[None, None]
    assert stretched(x, 31) is x
    torch.testing.assert_close(stretched(x, 7), torch.linspace(2, 5, 7)[None, None])
    torch.testing.assert_close(stretched(x, 90), torch.linspace(2, 5, 90)[None, None])
