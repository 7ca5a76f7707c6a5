"""Fits on the face mesh and on aligned faces: held-out trials change no byte of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from grid.experiment.cells import row
from grid.experiment.config import load
from grid.plan.nodes import graph
from grid.run.session import first_weights
from painmodels.trunks.trunk import whole_state
from tests.grid.work.one_fit import one_fit

pytestmark = pytest.mark.slow

IDS = tuple(f"s{i // 4}-{i}" for i in range(24))
TRAIN = IDS[:16]


class Held:
    """Recordings of trials in memory, all of one kind."""

    def __init__(self, kind: str, *, held_out: float, starts: Mapping[str, Mapping[str, np.ndarray]] | None = None) -> None:
        self.starts = starts or {}
        rng, self.kind = np.random.default_rng(0), kind
        shape, dtype = {"mesh": ((468, 3), np.float32), "pixels": ((112, 112), np.uint8)}[kind]
        made = {t: rng.normal(128, 30, (30, *shape)).clip(0, 255).astype(dtype) for t in IDS}
        self.arrays = {t: x if t in TRAIN else (x * held_out).astype(dtype) for t, x in made.items()}

    def start(self, name: str) -> Mapping[str, np.ndarray]:
        return self.starts[name]

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


def test_a_network_starts_from_a_file_and_leaves_what_is_frozen(tmp_path: Path) -> None:
    """The key has what the file holds, wherever it is; the frozen layers of the fit are those of the file."""
    state, _ = whole_state("mobilenet_v2", random=True)
    (tmp_path / "there").mkdir()
    files = [tmp_path / "a.safetensors", tmp_path / "there" / "b.safetensors", tmp_path / "c.safetensors"]
    for n, file in enumerate(files):
        save_file({name: x + (n == 2) if name == "features.0.0.weight" else x for name, x in state.items()}, file)
    (tmp_path / "mine.toml").write_text('base = "demo"\nname = "mine"\n[methods.mobilenet]\nweights = "a.safetensors"\n')
    experiment = load(
        str(tmp_path / "mine.toml"), methods={"mobilenet": {"epochs": 1, "weights": str(files[0]), "blocks": 3}}
    )
    (node,) = graph(load(str(tmp_path / "mine.toml")), row("video:mobilenet"))
    others = [load("methods-demo", methods={"mobilenet": {"weights": str(file)}}) for file in files]
    marks = [graph(other, row("video:mobilenet"))[0].settings.weights for other in others]
    assert node.settings.weights == marks[0] == marks[1] != marks[2]
    (node,) = graph(experiment, row("video:mobilenet"))
    starts = first_weights(experiment, [node.settings], trunk=False)
    fitted = one_fit(tmp_path / "store", node, TRAIN, (0, 30), Held("pixels", held_out=1.0, starts=starts))
    same = {name for name, x in state.items() if np.array_equal(fitted.get(f"network.start.{name}"), x)}
    kept = {name for name in state if name.startswith(("features.0.", "features.1.", "features.2."))}
    assert kept <= same
    assert "network.start.features.3.conv.0.0.weight" in fitted
    assert "features.3.conv.0.0.weight" not in same
