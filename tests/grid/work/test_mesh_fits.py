"""Fits on the face mesh: held-out trials change no byte of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import dataset
from grid.experiment.cells import row
from grid.experiment.config import load
from grid.plan.nodes import graph
from grid.plan.specs import Fit, TrainSet
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.fit_predict import Runner

IDS = tuple(f"s{i // 4}-{i}" for i in range(24))
TRAIN = IDS[:16]


class Held:
    """Meshes of trials in memory."""

    def __init__(self, *, held_out: float) -> None:
        rng = np.random.default_rng(0)
        made = {t: rng.normal(200, 40, (30, 468, 3)).astype(np.float32) for t in IDS}
        self.arrays = {t: x if t in TRAIN else x * held_out for t, x in made.items()}

    def of_video(self, kind: str, trial_ids: Iterable[str]) -> list[np.ndarray]:
        assert kind == "mesh"
        return [self.arrays[t] for t in trial_ids]


def fitted(folder: Path, name: str, *, held_out: float) -> dict[str, bytes]:
    settings = {"gnn": {"epochs": 2}, "stgcn-gru": {"epochs": 1}, "landmarks-rf": {"trees": 5}}
    (node,) = graph(load("methods-demo", methods=settings), row(f"video:{name}"))
    train = TrainSet(TRAIN, tuple(t[:2] for t in TRAIN), tuple(i % 2 for i in range(len(TRAIN))), "side")
    biovid = dataset("biovid")
    stage = Stage("fit-x", 1, node.params(biovid, (0, 30), node.settings, node.normalise, 0), (train.key,))
    job = Fit(
        stage=stage,
        part=node.spec(biovid, (0, 30)),
        settings=node.settings,
        upstream=(),
        normalise=node.normalise,
        train=train,
        scenario="all87",
        fold=0,
    )
    store = Store(folder)
    Runner(store, Held(held_out=held_out)).fit(job)  # type: ignore[arg-type]
    return {key: value.tobytes() for key, value in store.arrays(stage).items()}


@pytest.mark.parametrize("name", ["gnn", "stgcn-gru", "landmarks-rf"])
def test_held_out_trials_change_no_byte_of_a_fit_on_the_mesh(tmp_path: Path, name: str) -> None:
    one = fitted(tmp_path / "one", name, held_out=1.0)
    assert one
    assert fitted(tmp_path / "other", name, held_out=-7.0) == one
