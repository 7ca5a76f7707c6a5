"""Ordered levels and numbers: their losses, what is predicted; and scores against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from dataprep.records import InputError
from painmodels.registry import network
from painmodels.tasks import task
from painmodels.tasks.levels import icc, quadratic_kappa, spearman
from painmodels.training.loop import fit, outputs
from painmodels.training.packed_loop import Job, fit_packed

LEVELS = ("BL1", "PA1", "PA2", "PA3", "PA4")
ORDINAL, NUMBER = task("ordinal", LEVELS), task("regression", LEVELS, values=(32.0, 43.0, 45.0, 46.5, 48.0), unit="°C")
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
KINDS = (("ordinal", 5), ("regression", 0))


def test_the_loss_of_a_level_is_minus_the_logarithm_of_its_probability() -> None:
    outputs_BO, y_B = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 5
    p_BK = ORDINAL.predicted(outputs_BO)
    torch.testing.assert_close(p_BK.sum(-1), torch.ones(40))
    expected = -p_BK[torch.arange(40), y_B].log()
    torch.testing.assert_close(ORDINAL.loss(outputs_BO, y_B, reduction="none"), expected, rtol=1e-4, atol=1e-5)
    assert float(ORDINAL.loss(outputs_BO, y_B)) == pytest.approx(float(expected.mean()), rel=1e-4)
    called = ORDINAL.called(p_BK.numpy().astype(float))
    assert (torch.from_numpy(called) == y_B).equal(ORDINAL.right(outputs_BO, y_B))
    sure = torch.tensor([[-60.0, 0.0, 0.0, 0.0], [60.0, 60.0, 60.0, 60.0]])
    assert torch.isfinite(ORDINAL.loss(sure, torch.tensor([4, 0]))).all()


def test_a_constant_guess_costs_what_the_shares_of_the_levels_say() -> None:
    y = np.array([0, 0, 0, 1, 2, 3, 4, 4])
    above = np.array([np.log(np.mean(y[y >= k] > k) / np.mean(y[y >= k] == k)) for k in range(4)])
    outputs_BO = torch.from_numpy(np.tile(above, (len(y), 1)))
    assert float(ORDINAL.loss(outputs_BO, torch.from_numpy(y))) == pytest.approx(ORDINAL.constant_loss(y))
    assert NUMBER.constant_loss(np.array([0.0, 1.0])) == 0.25


def test_scores_are_those_of_scikit_learn_and_scipy() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 5, 300), rng.dirichlet(np.ones(5), 300)
    found, called = ORDINAL.score(y, p), np.cumsum(p, axis=1).__ge__(0.5).argmax(1)
    assert found["quadratic_kappa"] == pytest.approx(cohen_kappa_score(y, called, weights="quadratic"))
    assert found["mae"] == pytest.approx(np.abs(y - called).mean())
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((y - p @ np.arange(5)) ** 2)))
    assert found["spearman"] == pytest.approx(spearmanr(y, p @ np.arange(5)).statistic)
    assert found["accuracy"] == pytest.approx((y == called).mean())
    assert tuple(found) == tuple(metric.name for metric in ORDINAL.metrics)
    # of two raters the ICC(3,1) is twice the covariance over the sum of the variances
    one, two = np.array([5, 3, 8, 4, 6, 6]), np.array([8, 6, 8, 5, 7, 9])
    assert icc(one, two) == pytest.approx(2 * np.cov(one, two)[0, 1] / (one.var(ddof=1) + two.var(ddof=1)))
    assert icc(one, one + 2) == pytest.approx(1)
    assert np.isnan(
        [icc(np.ones(1), np.ones(1)), spearman(np.ones(3), np.arange(3)), quadratic_kappa(np.diag([3, 0]))]
    ).all()


def test_a_number_is_told_in_its_own_unit() -> None:
    assert [NUMBER.truth(NUMBER.target(place, {})) for place in range(5)] == [32.0, 43.0, 45.0, 46.5, 48.0]
    p = NUMBER.read(np.array([0.0, 1.0, 0.5]))
    assert p[:, 0].tolist() == [32.0, 48.0, 40.0]
    assert NUMBER.called(p).tolist() == [0, 4, 1]
    assert NUMBER.score(np.array([32.0, 48.0, 43.0]), p)["mae"] == pytest.approx(1.0)
    rating = task("regression", LEVELS, column="vas", range=(0.0, 10.0))
    assert rating.truth(rating.target(0, {"vas": "2.5"})) == 2.5
    assert rating.target(0, {"vas": " "}) is None
    assert "quadratic_kappa" not in [metric.name for metric in rating.metrics]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("ordinal", {"names": ("a", "b")}, "expected three levels or more for the task ordinal"),
        ("ordinal", {"column": "vas"}, "task.column: found 'vas'; the task ordinal has no such setting"),
        ("regression", {"column": "vas"}, r"task.range: found \[\], expected \[lowest, highest\] of 'vas'"),
        ("regression", {"values": (1.0, 2.0)}, "expected a number for each of BL1, PA1, PA2, PA3, PA4, ascending"),
        ("binary", {}, "expected two for the task binary"),
    ],
)
def test_what_cannot_be_a_task_is_said(kind: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        task(kind, **{"names": LEVELS, **options})


def test_a_column_must_hold_numbers_and_keep_its_range() -> None:
    rating = task("regression", LEVELS, column="vas", range=(0.0, 10.0))
    assert rating.target(0, {"age": "1"}) is None
    assert rating.target(0, {"vas": "2,5"}) == 0.25
    for columns, message in (({"vas": "x"}, "a number"), ({"vas": "11"}, "0 to 10")):
        with pytest.raises(InputError, match=f"expected {message}"):
            rating.target(0, columns)


def planted(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Trials (N, 12, 1) whose height is their level of five, and the levels."""
    levels = np.arange(n) % 5
    x = np.random.default_rng(0).normal(scale=0.2, size=(n, 12, 1)) + levels[:, None, None]
    return x.astype(np.float32) / 4, levels


@pytest.mark.parametrize(("kind", "classes"), KINDS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_GPU])])
def test_packed_fits_are_those_of_the_loop(kind: str, classes: int, device: str) -> None:
    lstm, (x, levels) = network("physiological", "lstm"), planted()
    labels = levels if classes else levels / 4
    settings = lstm.settings(task=kind, classes=classes, hidden=6, epochs=3, batch=16, lr=1e-2)
    jobs = [Job(settings, x[:n], labels[:n], seed) for n, seed in ((60, 0), (100, 1))]
    for job, packed in zip(jobs, fit_packed(jobs, device=device), strict=True):
        alone = fit(lstm, settings, [job.x_NTC], job.labels_N, seed=job.seed)
        for name, value in alone.weights.items():
            np.testing.assert_allclose(packed.weights[name], value, atol=1e-5 if device == "cpu" else 2e-3)
        assert packed.learning is not None
        assert alone.learning is not None
        assert packed.learning.train_loss == pytest.approx(alone.learning.train_loss, rel=1e-4 if device == "cpu" else 1e-2)
        if device == "cpu":
            assert [row["accuracy"] for row in packed.curve] == [row["accuracy"] for row in alone.curve]


@pytest.mark.parametrize(("kind", "classes"), KINDS)
@pytest.mark.parametrize("name", ["concat", "late"])
def test_fusions_learn_levels(kind: str, classes: int, name: str) -> None:
    entry, (x, levels) = network("fusion", name), planted()
    inputs = [x[:, 0], x[:, 1]]
    settings = entry.settings(task=kind, classes=classes, epochs=60, batch=20, lr=2e-2)
    fitted = fit(entry, settings, inputs, levels if classes else levels / 4, seed=0)
    p = outputs(entry, settings, fitted.weights, inputs, what="prediction")
    learnt = task(kind, LEVELS)
    assert fitted.learning is not None
    assert fitted.learning.verdict == "learned"
    y = np.array([learnt.truth(learnt.target(level, {})) for level in levels])
    assert learnt.score(y, learnt.read(p).astype(float))["quadratic_kappa"] > 0.8
