"""Fits with [augment]: held-out trials change no byte of them, and what is not augmented keeps its identity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from dataprep.datasets import dataset
from grid.experiment.cells import row
from grid.experiment.config import load
from grid.plan.nodes import graph
from painmodels.training.augment import KINDS
from tests.grid.work.one_fit import one_fit

IDS = tuple(f"t{i:02d}" for i in range(40))
TRAIN = IDS[:30]
EVERY = {"kinds": list(KINDS), "epochs": 5}


class Held:
    """Signals of trials in memory."""

    def __init__(self, *, held_out: float) -> None:
        rng = np.random.default_rng(0)
        made = {t: rng.normal(size=(138, 3)).astype(np.float32) for t in IDS}
        self.arrays = {t: x if t in TRAIN else x * held_out for t, x in made.items()}

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        return [self.arrays[t] for t in trial_ids]

    def start(self, name: str) -> Mapping[str, np.ndarray]:
        return {}


def fitted(folder: Path, *, held_out: float, augment: dict) -> dict[str, np.ndarray]:
    experiment = load("methods-demo", augment=augment, methods={"cnn-lstm": {"epochs": 2}})
    (node,) = graph(experiment, row("eda:cnn-lstm"))
    return one_fit(folder, node, TRAIN, (0, 138), Held(held_out=held_out))


def test_held_out_trials_change_no_byte_of_an_augmented_fit(tmp_path: Path) -> None:
    one = fitted(tmp_path / "one", held_out=1.0, augment=EVERY)
    other = fitted(tmp_path / "other", held_out=-7.0, augment=EVERY)
    assert {k: v.tobytes() for k, v in one.items()} == {k: v.tobytes() for k, v in other.items()}
    plain = fitted(tmp_path / "plain", held_out=1.0, augment={})
    assert any(plain[k].tobytes() != v.tobytes() for k, v in one.items())


def test_only_networks_on_signals_are_augmented() -> None:
    biovid, plain, augmented = dataset("biovid"), load("methods-demo"), load("methods-demo", augment=EVERY)

    def identity(experiment: object, name: str) -> list[dict]:
        nodes = graph(experiment, row(name))  # type: ignore[arg-type]
        return [n.params(biovid, (0, 138), n.settings, n.normalise, 0) for n in nodes]

    for name in ("video", "eda:rf", "eda:mlp", "majority"):
        assert identity(plain, name) == identity(augmented, name)
    for name in ("eda", "eda:cnn", "eda+ecg:crossmod"):
        assert identity(augmented, name)[0]["augment"]["kinds"] == tuple(KINDS)
        assert "augment" not in identity(plain, name)[0]
