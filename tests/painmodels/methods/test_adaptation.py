"""Adaptation without labels: what it aligns, and which methods can take it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch.nn.modules.batchnorm import _BatchNorm

from grid.experiment.config import load
from grid.run.options import ADAPTATIONS as OPTION
from painmodels.methods import method, methods
from painmodels.methods.adaptation import ADAPTATIONS, aligned, cannot
from painmodels.methods.cnn import NETWORK
from painmodels.registry import SubNetwork
from painmodels.training.batch_statistics import with_statistics_of
from painmodels.training.loop import fit

CAN = {
    "logistic": {"batch-statistics", "coral"},
    "rf": {"coral"},
    "cnn": {"batch-statistics"},
    "majority": set(),
    "mlp": set(),
}


def test_features_get_the_mean_and_the_spread_of_the_training_side() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(0, 1, (400, 3)) @ np.array([[1, 0.8, 0], [0, 1, 0], [0, 0, 2]]) + [5, 0, -3]
    tested = (rng.normal(0, 1, (300, 3)) @ np.array([[1, 0, 0], [-0.8, 1, 0], [0, 0, 1]])) * [10, 0.1, 1] + [100, 7, 0]
    tested[3, 1] = np.nan  # a feature that is not defined
    moved = aligned(tested, train)
    np.testing.assert_allclose(moved.mean(0), train.mean(0), atol=1e-9)
    np.testing.assert_allclose(moved.std(0) / train.std(0), 1, atol=0.15)  # the identity holds it back
    before, after, wanted = (np.corrcoef(x[np.isfinite(x).all(1)].T)[0, 1] for x in (tested, moved, train))
    assert abs(after - wanted) < 0.6 * abs(before - wanted)


def test_a_network_takes_the_statistics_of_other_recordings_and_keeps_what_it_learnt() -> None:
    x = np.random.default_rng(1).uniform(0, 1, (40, 100, 1)).astype(np.float32)
    settings = replace(NETWORK.settings(), epochs=1)
    fitted = fit(NETWORK, settings, [x], np.arange(40) % 2, seed=0)
    other = (0.2 * x + 3).astype(np.float32)  # of another sensor
    adapted, again = (with_statistics_of(NETWORK, settings, fitted.weights, [other]) for _ in range(2))
    changed = {name for name in adapted if not np.array_equal(adapted[name], fitted.weights[name])}
    assert changed
    assert all("running" in name or "num_batches" in name for name in changed)
    assert all(adapted[name].tobytes() == again[name].tobytes() for name in adapted)
    first = next(name for name in adapted if name.endswith("running_mean"))
    assert not np.allclose(adapted[first], fitted.weights[first], atol=0.1)


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_says_whether_it_can_be_adapted(name: str) -> None:
    experiment = load("paper")
    parts = method(name).parts(method(name).on[:1], lambda role: experiment.network(role)[0])
    trained = [experiment.trained(name, part) for part in parts]
    assert OPTION == ADAPTATIONS
    can = {how for how in ADAPTATIONS if not cannot(name, [t for t, _ in trained], how)}
    assert can == CAN.get(name, can)
    for (network, settings), part in zip(trained, parts, strict=True):
        if isinstance(network, SubNetwork) and name != "hybrid":  # its networks have a test of their own
            layers = (isinstance(layer, _BatchNorm) for layer in network.build(settings, [1] * len(part.inputs)).modules())
            assert any(layers) == network.keeps_statistics
