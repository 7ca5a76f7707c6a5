"""One fit of a row's only part on recordings in memory: for tests of what a fit depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dataprep.datasets import dataset
from grid.plan.nodes import Node
from grid.plan.specs import Fit, TrainSet
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.fit_predict import Runner


def one_fit(folder: Path, node: Node, trials: tuple[str, ...], steps: tuple[int, int], blocks: Any) -> dict[str, np.ndarray]:
    """Arrays of a fit on `trials`, of two classes in turn, whose subject is their first two letters; `blocks` has recordings."""
    train = TrainSet(trials, tuple(t[:2] for t in trials), tuple(i % 2 for i in range(len(trials))), "side")
    biovid = dataset("biovid")
    stage = Stage("fit-x", 1, node.params(biovid, steps, node.settings, node.normalise, 0), (train.key,))
    job = Fit(
        stage=stage,
        part=node.spec(biovid, steps),
        settings=node.settings,
        upstream=(),
        normalise=node.normalise,
        train=train,
        scenario="all87",
        fold=0,
    )
    store = Store(folder)
    Runner(store, blocks).fit(job)
    return {name: value.copy() for name, value in store.arrays(stage).items()}
