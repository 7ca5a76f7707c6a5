"""Every network of every role learns levels and numbers: one epoch, and predictions of the shape that the task says."""

from __future__ import annotations

import numpy as np
import pytest

from painmodels.registry import network, networks
from painmodels.training.loop import fit, outputs

N, T = 10, 7
INPUTS = {
    "spatial": [(T, 6)],
    "temporal": [(T, 6)],
    "attention": [(T, 6), (T,)],
    "physiological": [(T, 2)],
    "fusion": [(6,), (6,)],
}


@pytest.mark.parametrize("key", networks(), ids="-".join)
@pytest.mark.parametrize(("kind", "classes", "shape"), [("ordinal", 5, (5,)), ("regression", 0, ())])
def test_every_network_does_every_task(key: tuple[str, str], kind: str, classes: int, shape: tuple[int, ...]) -> None:
    entry, rng = network(*key), np.random.default_rng(0)
    shapes = [(T, 6), (T, 6)] if entry.sequences else INPUTS[entry.role]
    inputs = [np.abs(rng.normal(size=(N, *s))).astype(np.float32) for s in shapes]
    labels = np.arange(N) % 5 / (1 if classes else 4)
    settings = entry.settings(task=kind, classes=classes, epochs=1, batch=4)
    fitted = fit(entry, settings, inputs, labels, seed=0)
    assert fitted.learning is not None
    assert fitted.curve[0]["loss"] > 0
    p = outputs(entry, settings, fitted.weights, inputs, what="prediction")
    assert p.shape == (N, *((T,) if entry.per_frame else ()), *shape)
    if classes:
        np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
