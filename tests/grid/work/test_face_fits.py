"""Fits on the face mesh and on aligned faces: held-out trials change no byte of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from grid.experiment.cells import row
from grid.experiment.config import load
from grid.plan.nodes import graph
from tests.grid.work.one_fit import one_fit

IDS = tuple(f"s{i // 4}-{i}" for i in range(24))
TRAIN = IDS[:16]


class Held:
    """Recordings of trials in memory, all of one kind."""

    def __init__(self, kind: str, *, held_out: float) -> None:
        rng, self.kind = np.random.default_rng(0), kind
        shape, dtype = {"mesh": ((468, 3), np.float32), "pixels": ((112, 112), np.uint8)}[kind]
        made = {t: rng.normal(128, 30, (30, *shape)).clip(0, 255).astype(dtype) for t in IDS}
        self.arrays = {t: x if t in TRAIN else (x * held_out).astype(dtype) for t, x in made.items()}

    def of_video(self, kind: str, trial_ids: Iterable[str]) -> list[np.ndarray]:
        assert kind == self.kind
        return [self.arrays[t] for t in trial_ids]


def fitted(folder: Path, name: str, *, held_out: float) -> dict[str, bytes]:
    small = {"gnn": {"epochs": 2}, "stgcn-gru": {"epochs": 1}, "landmarks-rf": {"trees": 5}, "3dcnn": {"epochs": 2}}
    (node,) = graph(load("methods-demo", methods=small), row(f"video:{name}"))
    arrays = one_fit(folder, node, TRAIN, (0, 30), Held(node.part.recordings[0], held_out=held_out))
    return {key: value.tobytes() for key, value in arrays.items()}


@pytest.mark.parametrize("name", ["gnn", "stgcn-gru", "landmarks-rf", "3dcnn"])
def test_held_out_trials_change_no_byte_of_a_fit_on_the_face(tmp_path: Path, name: str) -> None:
    one = fitted(tmp_path / "one", name, held_out=1.0)
    assert one
    assert fitted(tmp_path / "other", name, held_out=-7.0) == one
