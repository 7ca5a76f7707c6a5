"""Small fits of every role on planted data, for the tests of the training loop and of checkpoints."""

from __future__ import annotations

import numpy as np

from painmodels.registry import network
from painmodels.training.loop import Fitted

N, T = 96, 12
LABELS = np.arange(N) % 2


def planted(*shape: int, strength: float = 1.5, dtype: type = np.float32) -> np.ndarray:
    """Noise (N, *shape); in class 1 the first feature is higher, in sequences over the second half."""
    x = np.random.default_rng(1).normal(size=(N, *shape)) * 0.5
    x[LABELS == 1, ..., 0] += strength * (np.arange(shape[0]) >= shape[0] // 2 if len(shape) > 1 else 1)
    return x.astype(dtype)


CASES = {
    "spatial": (network("spatial", "fc7"), {"width": 32, "lr": 1e-2, "epochs": 12}, [planted(T, 16, dtype=np.float16)]),
    "temporal": (network("temporal", "lstm"), {"lr": 1e-2, "epochs": 12, "batch": 16}, [planted(T, 8)]),
    "attention": (network("attention", "additive"), {"lr": 3e-2, "epochs": 60, "batch": 16}, [planted(T, 3)]),
    "physiological": (network("physiological", "lstm"), {"lr": 1e-2, "epochs": 12, "batch": 16}, [planted(T, 2)]),
    "fusion": (network("fusion", "concat"), {"lr": 1e-2, "epochs": 12, "batch": 16}, [planted(6), planted(6)]),
}
SMALL = {"epochs": 4, "batch": 20, "hidden": 6, "dropout": 0.3, "milestones": (2,)}
LSTM = network("physiological", "lstm")


def same(one: Fitted, two: Fitted) -> bool:
    return one.curve == two.curve and all(one.weights[k].tobytes() == v.tobytes() for k, v in two.weights.items())
