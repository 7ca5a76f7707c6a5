"""Methods on aligned faces and on the trunk's features: sizes, and that each learns a cue on people it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from dataprep.records import InputError
from grid.experiment.cells import row
from grid.experiment.config import load
from painmodels.methods import cnn2d, cnn3d, lstm_3dcnn, method, mobilenet, sparse_lstm, vit
from painmodels.methods.clips import cut, shown, spread
from painmodels.methods.frames_from_scratch import RESNET50, VGG16
from painmodels.registry import SubNetwork, network
from painmodels.training.loop import fit, outputs

STEPS, PEOPLE, TRIALS = 40, 18, 8
LABELS = np.arange(PEOPLE * TRIALS) % 2
TRAIN, TEST = slice(0, 13 * TRIALS), slice(13 * TRIALS, None)
EPOCHS = {"video:mobilenet": 6, "eda+ecg+emg+video:cnn2d": 20, "video:vit": 12, "eda+ecg+emg+video:lstm-3dcnn": 10}
SHOWN = slice(25, None, 4)
"""Of single frames: some of those that show the cue."""
ROWS = ("video:mobilenet", "video:3dcnn", "video:vit", "video:sparse-lstm")
ROWS += ("frame:vgg16", "frame:resnet50", "eda+ecg+emg+video:cnn2d", "eda+ecg+emg+video:lstm-3dcnn")


@cache
def made() -> dict[str, np.ndarray]:
    """Faces of other brightness and texture whose mouth region darkens late under pain; features that rise; signals of noise."""
    rng = np.random.default_rng(0)
    t = np.arange(STEPS) / 25
    pixels, features = [], []
    for n, label in enumerate(LABELS):
        if n % TRIALS == 0:
            face, base = rng.normal(120 + rng.normal(0, 10), 20, (14, 14)), rng.normal(0, 0.2, 24)
        rise_T = label / (1 + np.exp(-(t - 0.7 - 0.2 * rng.random()) / 0.1))
        clip_TSS = np.repeat(np.repeat(face, 8, 0), 8, 1)[None] + np.zeros((STEPS, 1, 1))
        clip_TSS[:, 72:104, 32:80] -= 70 * rise_T[:, None, None]
        pixels.append((clip_TSS + rng.normal(0, 8, clip_TSS.shape[1:])).clip(0, 255).astype(np.uint8))
        features.append(base + rise_T[:, None] * np.linspace(-1.5, 1.5, 24) + rng.normal(0, 0.3, (STEPS, 24)))
    signals = rng.random((len(LABELS), STEPS, 3))
    return {
        "pixels": np.stack(pixels),
        "features": np.array(features, np.float16),
        "signals": signals.astype(np.float32),
    }


def part_of(row: str) -> tuple[SubNetwork, Any, list[np.ndarray]]:
    """What a row trains, with the settings of the shipped small experiment, and its inputs."""
    words, name = row.split(":")
    (part,) = method(name).parts(tuple(words.split("+")), lambda role: network(role, "concat"))
    assert isinstance(part.trained, SubNetwork)
    return part.trained, load("methods-demo").trained(name, part)[1], [made()[i.recording] for i in part.inputs]


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_each_learns_a_cue_that_it_can_see(name: str) -> None:
    assert name in method(name.partition(":")[2]).compared
    trained, settings, inputs = part_of(name)
    settings = replace(settings, epochs=min(settings.epochs, EPOCHS.get(name, 8)))
    if trained.per_frame:
        inputs = [x[:, SHOWN] for x in inputs]
    weights = fit(trained, settings, [x[TRAIN] for x in inputs], LABELS[TRAIN], seed=3).weights
    p_N = outputs(trained, settings, weights, [x[TEST] for x in inputs], what="prediction")
    assert ((p_N.T > 0.5) == LABELS[TEST]).mean() >= 0.8


def test_networks_from_scratch_have_the_published_layers() -> None:
    """Torchvision's counts, less two colours of the first convolution and all but two of its 1000 classes."""
    with torch.device("meta"):
        vgg, resnet = (n.build(n.settings(), [112]) for n in (VGG16, RESNET50))
        assert sum(p.numel() for p in vgg.parameters()) == 138_357_544 - 2 * 9 * 64 - 998 * 4097
        assert sum(p.numel() for p in resnet.parameters()) == 25_557_032 - 2 * 49 * 64 - 998 * 2049
        assert resnet(torch.empty(3, 112, 112)).shape == (3, 2)


@pytest.mark.parametrize(
    ("entry", "sizes", "parameters"),
    [
        (cnn3d, [112], 879_490),
        (vit, [112], 120_770),
        (mobilenet, [112], 40_706),
        (sparse_lstm, [24], 20_466),
        (cnn2d, [3, 24], 55_978),
        (lstm_3dcnn, [3, 112], 909_362),
    ],
)
def test_sizes(entry: Any, sizes: list[int], parameters: int) -> None:
    settings = entry.Settings()
    module = entry.NETWORK.build(settings, sizes).eval()
    assert sum(p.numel() for p in module.parameters()) == parameters
    if hasattr(settings, "side") and hasattr(settings, "filters"):  # fewer pixels: the CPU
        settings = replace(settings, side=14, filters=settings.filters[:2])
    module = entry.NETWORK.build(settings, sizes).eval()
    five = entry.NETWORK.build(replace(settings, classes=5), sizes).eval()
    kinds = {24: "features", 3: "signals", 112: "pixels"}
    for n_steps in (STEPS, 1):
        inputs = [torch.from_numpy(made()[kinds[size]][:2, :n_steps]).float() for size in sizes]
        assert torch.isfinite(module(*inputs)).all()
        assert five(*inputs).shape == (2, 5)


def test_equal_seeds_give_equal_bytes_although_clips_are_drawn() -> None:
    trained, settings, inputs = part_of("video:3dcnn")
    settings = replace(settings, epochs=2, drawn=1)
    one, two = (fit(trained, settings, [x[:24] for x in inputs], LABELS[:24], seed=1).weights for _ in range(2))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)


def test_in_use_every_clip_counts_by_its_weight() -> None:
    module = cnn3d.NETWORK.build(cnn3d.Settings(side=28, length=10, places=4, filters=(4,)), [112]).eval()
    x = torch.from_numpy(made()["pixels"][1:2]).float()
    clips = cut(x, 10)
    with torch.inference_mode():
        of_clips = module.volume(shown(clips[0], 28))
        torch.testing.assert_close(module.features(x)[0], of_clips.mean(0), msg="untrained weights are equal")
        module.places[:] = torch.tensor([0.0, 0.0, 0.0, 50.0])
        torch.testing.assert_close(module.features(x)[0], of_clips[-1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("n_steps", "length"), [(50, 16), (16, 16), (5, 16), (17, 16), (1, 4)])
def test_clips_reach_from_the_first_step_to_the_last(n_steps: int, length: int) -> None:
    x = torch.arange(n_steps, dtype=torch.float32)[None, :, None, None].expand(1, n_steps, 2, 2)
    clips = cut(x, length)[0, :, :, 0, 0]
    assert clips.shape[1] == length
    assert (clips[0, 0], clips[-1, -1]) == (0, n_steps - 1)
    assert set(clips.flatten().tolist()) == set(range(n_steps))
    assert spread(n_steps, 3, x.device)[[0, -1]].tolist() == [0, n_steps - 1]


@pytest.mark.parametrize("name", ["eda:cnn2d", "video:cnn2d", "eda+ecg:lstm-3dcnn", "video:lstm-3dcnn"])
def test_a_row_without_both_recordings_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"it sees video joined to others: eda\+ecg\+emg\+video:"):
        row(name)
    assert row("eda+video:cnn2d").signals == ("eda",)
