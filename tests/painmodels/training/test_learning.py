"""Clipped steps, and what happened in training as data: learned, not learned, collapsed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from grid.experiment.config import ConfigError, load
from painmodels.methods import method
from painmodels.methods.graph import Estimator, Recordings
from painmodels.registry import SubNetwork, Training, network
from painmodels.tasks.classes import entropy
from painmodels.training.checkpoints import file_checkpoint
from painmodels.training.learning import COLLAPSED, LEARNED, NOT_LEARNED, verdict, verdict_of
from painmodels.training.loop import fit
from painmodels.training.packed_loop import Job, fit_packed

LSTM, FUSION = network("physiological", "lstm"), network("fusion", "concat")
N, T = 48, 20
LABELS = np.arange(N) % 2


def planted(scale: float = 1.0) -> np.ndarray:
    """Trials (N, T, 1) that rise where the label is 1."""
    rng = np.random.default_rng(0)
    x = rng.normal(scale=0.3, size=(N, T, 1)).astype(np.float32)
    x[LABELS == 1, T // 2 :] += 1
    return (x * scale).astype(np.float32)


def settings(**values) -> Training:
    return LSTM.settings(**{"hidden": 8, "epochs": 12, "batch": 16, "lr": 1e-2, **values})


def test_the_verdict_speaks_of_three_losses() -> None:
    ln2 = math.log(2)
    assert entropy(np.array([0, 1, 0, 1])) == pytest.approx(ln2)
    assert entropy(np.array([0, 0, 0, 1])) == pytest.approx(0.5623, abs=1e-4)
    assert entropy(np.arange(5)) == pytest.approx(math.log(5))
    assert verdict(ln2, 0.96 * ln2, 0.96 * ln2) == NOT_LEARNED
    assert verdict(ln2, 0.94 * ln2, 0.94 * ln2) == LEARNED
    assert verdict(1.0, 0.2, 0.2 + 0.25 * 0.8 + 1e-9) == COLLAPSED
    assert verdict(1.0, 0.2, 0.2 + 0.25 * 0.8 - 1e-9) == LEARNED
    assert verdict(1.0, 0.97, 5.0) == NOT_LEARNED  # what never came below a guess has nothing to lose
    assert verdict_of({"learning": None}) == verdict_of({}) == ""


@pytest.mark.parametrize("clip_norm", [0.0, 1e-3, 1e3])
def test_a_step_is_made_of_a_gradient_of_at_most_that_norm(clip_norm: float, tmp_path: Path) -> None:
    """Adam's mean after one step is a tenth of the gradient it was given."""
    file = file_checkpoint(tmp_path / "state", every=1)
    one = settings(batch=N, clip_norm=clip_norm)
    fitted = fit(LSTM, one, [planted()], LABELS, seed=0, checkpoint=file, until=1)
    means = [v for k, v in file.load().items() if k.endswith("exp_avg")]
    given = 10 * math.sqrt(sum(float((m.astype(np.float64) ** 2).sum()) for m in means))
    found = fitted.curve[0]["gradient_norm"]
    assert 1e-2 < found < 1e2
    assert given == pytest.approx(min(found, clip_norm or math.inf), rel=1e-3)
    assert fitted.learning is None  # more epochs are to come


@pytest.mark.parametrize("clip_norms", [(0.05, 0.0), (1.0, 1e-3), (0.0, 0.0)])
def test_packed_networks_are_clipped_each_by_its_own_norm(clip_norms: tuple[float, float]) -> None:
    """The second one's inputs are a hundred times as large, and so are some of its gradients."""
    jobs = [
        Job(settings(clip_norm=c), planted(s), LABELS, seed)
        for seed, (c, s) in enumerate(zip(clip_norms, (1, 100), strict=True))
    ]
    for job, packed in zip(jobs, fit_packed(jobs), strict=True):
        alone = fit(LSTM, job.settings, [job.x_NTC], job.labels_N, seed=job.seed)
        for name, value in alone.weights.items():
            np.testing.assert_allclose(packed.weights[name], value, atol=1e-4, err_msg=name)
        for key in ("largest_gradient_norm", "lowest_loss", "last_loss", "train_loss", "train_accuracy", "constant_loss"):
            assert getattr(packed.learning, key) == pytest.approx(getattr(alone.learning, key), rel=1e-3, abs=1e-5)


def test_a_killed_fit_has_the_record_of_one_that_was_not(tmp_path: Path) -> None:
    whole = fit(LSTM, settings(), [planted()], LABELS, seed=1)
    kept = file_checkpoint(tmp_path / "state", every=1)
    fit(LSTM, settings(), [planted()], LABELS, seed=1, checkpoint=kept, until=5)
    resumed = fit(LSTM, settings(), [planted()], LABELS, seed=1, checkpoint=kept)
    assert resumed.learning == whole.learning
    assert resumed.curve == whole.curve
    assert whole.learning.verdict == LEARNED
    assert whole.learning.train_accuracy > 0.9


def test_a_checkpoint_of_another_clip_norm_is_not_resumed(tmp_path: Path) -> None:
    kept = file_checkpoint(tmp_path / "state", every=1)
    fit(LSTM, settings(), [planted()], LABELS, seed=1, checkpoint=kept, until=5)
    anew = fit(LSTM, settings(clip_norm=0.5), [planted()], LABELS, seed=1, checkpoint=kept)
    assert anew.curve == fit(LSTM, settings(clip_norm=0.5), [planted()], LABELS, seed=1).curve


def test_a_rate_that_cannot_move_has_not_learned_and_one_that_explodes_has_collapsed() -> None:
    still = fit(LSTM, settings(lr=1e-12), [planted()], LABELS, seed=0).learning
    assert still.verdict == NOT_LEARNED
    exploding = settings(epochs=30, milestones=(25,), gamma=1000.0)
    assert fit(LSTM, replace(exploding, gamma=1.0), [planted()], LABELS, seed=0).learning.verdict == LEARNED
    burst = fit(LSTM, exploding, [planted()], LABELS, seed=0).learning
    assert burst.verdict == COLLAPSED
    assert burst.last_loss > burst.constant_loss > burst.lowest_loss


def test_a_per_frame_network_is_recorded_per_frame() -> None:
    entry = network("spatial", "fc7")
    x = np.repeat(planted()[..., :1], 6, axis=2)
    fitted = fit(entry, entry.settings(width=8, epochs=8, batch=64, lr=1e-2), [x], LABELS, seed=0)
    assert fitted.learning.constant_loss == pytest.approx(math.log(2))
    assert fitted.learning.last_loss == fitted.curve[-1]["loss"]
    assert fitted.learning.train_loss == pytest.approx(fitted.curve[-1]["loss"], rel=0.2)


def test_estimators_have_no_record_of_epochs() -> None:
    given = Recordings(N, 25.0, {"eda": np.repeat(planted()[..., 0], 4, axis=1)})
    for name in ("rf", "logistic", "argmax", "majority"):
        (part,) = method(name).parts(("eda",), lambda role: network(role, "concat"))
        assert isinstance(part.trained, Estimator)
        assert part.trained.fit(given, LABELS, part.trained.settings(), 0, "cpu").learning is None, name


class _Breaks(nn.Module):
    """A loss that is finite, and a gradient that is not."""

    def __init__(self, settings: Training, input_sizes: Sequence[int]) -> None:
        super().__init__()
        self.head = nn.Linear(input_sizes[0], 2)

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        return self.head(x_BF) + (self.head.bias * 0).sqrt()


def test_a_gradient_that_is_not_finite_ends_the_fit_in_its_last_step_too() -> None:
    breaks = SubNetwork(role="fusion", name="breaks", settings=Training, build=_Breaks)
    for clip_norm in (0.0, 1.0):
        one = Training(epochs=1, batch=N, lr=1e-3, clip_norm=clip_norm)
        with pytest.raises(ValueError, match="the gradient norm is nan in epoch 0"):
            fit(breaks, one, [planted()[:, :, 0]], LABELS, seed=0)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "'much'"])
def test_an_impossible_norm_is_named(value: str, tmp_path: Path, tiny_experiment: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(tiny_experiment.read_text().replace("[physiological]", f"[physiological]\nclip_norm = {value}"))
    with pytest.raises(ConfigError, match=r"\[physiological\].*clip_norm"):
        load(str(file))


def test_shipped_experiments_clip_every_network() -> None:
    roles = ("spatial", "temporal", "attention", "physiological", "fusion")
    for name in ("demo", "paper"):
        experiment = load(name)
        assert {experiment.network(role)[1].clip_norm for role in roles} == {1.0}
