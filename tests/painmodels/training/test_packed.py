"""Packed fits: many networks at once, each with the result that it has alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from painmodels.networks.physiological_lstm import NETWORK, Settings
from painmodels.training.checkpoints import file_checkpoint
from painmodels.training.loop import Fitted, fit
from painmodels.training.packed_loop import Job, fit_packed

T = 30


def job(seed: int, *, n: int = 40, channels: int = 2, **settings) -> Job:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    x = rng.normal(size=(n, T, channels)).astype(np.float32)
    x[labels == 1, T // 2 :, 0] += 1
    return Job(Settings(**{"hidden": 8, "epochs": 5, "batch": 16, "lr": 1e-2, **settings}), x, labels, seed)


def alone(one: Job, device: str = "cpu"):
    return fit(NETWORK, one.settings, [one.x_NTC], one.labels_N, seed=one.seed, device=device)


def assert_same(jobs: list[Job], device: str = "cpu", atol: float = 1e-4) -> None:
    for one, packed in zip(jobs, fit_packed(jobs, device=device), strict=True):
        assert_alike(packed, alone(one, device), atol)


def assert_alike(packed: Fitted, expected: Fitted, atol: float = 1e-4) -> None:
    assert packed.weights.keys() == expected.weights.keys()
    for name, value in expected.weights.items():
        np.testing.assert_allclose(packed.weights[name], value, atol=atol, err_msg=name)
    assert len(packed.curve) == len(expected.curve)
    for got, wanted in zip(packed.curve, expected.curve, strict=True):
        assert got["epoch"] == wanted["epoch"]
        assert got["lr"] == wanted["lr"]
        assert got["loss"] == pytest.approx(wanted["loss"], abs=1e-4)


def test_packed_is_as_alone_over_five_epochs() -> None:
    assert_same([job(k) for k in range(4)])


def test_each_has_its_own_data_length_rate_and_epochs() -> None:
    """40, 33 (a last batch of one) and 16 trials; one network rests while others go on."""
    jobs = [
        job(1),
        job(2, n=33, lr=3e-3, epochs=3),
        job(3, n=16, lr=2e-2, milestones=(2,), epochs=5),
        job(4, epochs=0),
    ]
    assert_same(jobs)
    assert fit_packed(jobs)[3].curve == ()


@pytest.mark.parametrize("settings", [{"layers": 1}, {"layers": 3}, {"classes": 5}, {"weight_decay": 1e-2}])
def test_other_shapes(settings: dict) -> None:
    assert_same([job(5, **settings), job(6, **settings)])


def test_a_neighbour_has_no_influence() -> None:
    one = job(7)
    first, second = (fit_packed([one, other])[0] for other in (job(8), job(9, lr=0.1)))
    for name, value in first.weights.items():
        assert value.tobytes() == second.weights[name].tobytes()


def test_what_cannot_be_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="found 2 layouts, expected one"):
        fit_packed([job(0), job(1, channels=1)])
    with pytest.raises(ValueError, match="without dropout"):
        fit_packed([job(0, dropout=0.2)])
    bad = job(0)
    bad.x_NTC[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="the loss is nan in epoch 0"):
        fit_packed([bad])


def test_a_packed_fit_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Written alone and read packed, written packed and read alone; fits at different places; a rung at a time."""
    whole = [alone(job(k)) for k in range(3)]
    kept = [file_checkpoint(tmp_path / f"{k}.safetensors", every=1) for k in range(3)]
    for k, epochs in ((0, 2), (1, 3)):
        one = job(k)
        fit(NETWORK, one.settings, [one.x_NTC], one.labels_N, seed=one.seed, checkpoint=kept[k], until=epochs)
    (first,) = fit_packed([replace(job(2), checkpoint=kept[2], until=1)])
    assert len(first.curve) == 1
    packed = fit_packed([replace(job(k), checkpoint=kept[k], until=4) for k in range(3)])
    assert [len(f.curve) for f in packed] == [4, 4, 4]
    for k in (0, 1):
        assert_alike(fit_packed([replace(job(k), checkpoint=kept[k])])[0], whole[k])
    last = job(2)
    done = fit(NETWORK, last.settings, [last.x_NTC], last.labels_N, seed=last.seed, checkpoint=kept[2])
    assert_alike(done, whole[2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_packed_on_a_gpu_is_as_alone_on_the_cpu() -> None:
    jobs = [job(k, n=40 - k, epochs=5 - k) for k in range(3)]
    for one, packed in zip(jobs, fit_packed(jobs, device="cuda"), strict=True):
        for name, value in alone(one).weights.items():
            np.testing.assert_allclose(packed.weights[name], value, atol=2e-3, err_msg=name)
