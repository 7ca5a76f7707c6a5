"""Methods on the face mesh: sizes, and that each learns a movement of the face on people whom it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch

from dataprep.video.decode import Frame
from dataprep.video.face_mesh import mesh
from grid.experiment.config import load
from painmodels.methods import gnn, method, stgcn_gru
from painmodels.methods.graph import Estimator, Recordings
from painmodels.methods.mesh_points import EYE_CORNERS, POINTS, adjacency, edges, mesh_features
from painmodels.registry import SubNetwork, network
from painmodels.training.loop import fit, outputs

RATE_HZ, STEPS, PEOPLE, TRIALS = 25.0, 50, 20, 8
LABELS = np.arange(PEOPLE * TRIALS) % 2
TRAIN, TEST = slice(0, 14 * TRIALS), slice(14 * TRIALS, None)
ROWS = ("video:landmarks-rf", "video:gnn", "video:stgcn-gru")


@cache
def face() -> np.ndarray:
    """The mesh of the portrait of scikit-image, (468, 3)."""
    picture = np.ascontiguousarray(skimage.data.astronaut())
    state = np.array([175, 60, 275, 190, 203, 108, 246, 110, 225, 130, 206, 150, 244, 150, 1.0], np.float32)
    return mesh()(Frame(0.0, (picture,), None), state)


@cache
def clips() -> np.ndarray:
    """(N, T, 468, 3): people of other shapes and sizes whose heads move; under pain brows come down and lids close, late."""
    rng = np.random.default_rng(0)
    eyes_px = np.linalg.norm(face()[EYE_CORNERS[1]] - face()[EYE_CORNERS[0]])
    t = np.arange(STEPS) / RATE_HZ
    made = []
    for n, label in enumerate(LABELS):
        if n % TRIALS == 0:
            shape = face() * rng.uniform(0.9, 1.1, 3) + rng.normal(0, 0.5, (468, 3))
            size, place = rng.uniform(0.7, 1.6), rng.uniform(-50, 50, 3)
        rise = label / (1 + np.exp(-(t - 1.0 - 0.2 * rng.random()) / 0.1))
        down = np.zeros((468, 3))
        for points, by in (
            ((105, 66, 107, 334, 296, 336), 0.09),
            ((160, 158, 385, 387), 0.05),
            ((13, 14, 17, 84, 314), 0.06),
        ):
            down[list(points), 1] = by * eyes_px
        turn = 0.1 * np.cumsum(rng.normal(0, 0.1, STEPS))
        moved = shape + rise[:, None, None] * down + np.cumsum(rng.normal(0, 0.3, (STEPS, 1, 3)), 0)
        x, y, z = np.moveaxis(moved - moved.mean((0, 1)), -1, 0)
        turned = np.stack(
            [
                np.cos(turn)[:, None] * x - np.sin(turn)[:, None] * y,
                np.sin(turn)[:, None] * x + np.cos(turn)[:, None] * y,
                z,
            ],
            -1,
        )
        made.append(size * turned + 200 + place + rng.normal(0, 0.3, turned.shape))
    return np.array(made, np.float32)


def part_of(row: str) -> tuple[Any, Any]:
    """What a row trains, with the settings of the shipped small experiment."""
    name = row.partition(":")[2]
    (part,) = method(name).parts(("video",), lambda role: network(role, "concat"))
    assert [i.recording for i in part.inputs] == ["mesh"]
    settings = load("methods-demo").trained(name, part)[1]
    return part.trained, replace(settings, epochs=min(settings.epochs, 10)) if hasattr(settings, "epochs") else settings


def given(x_NTP3: np.ndarray) -> Recordings:
    return Recordings(n=len(x_NTP3), rate_hz=RATE_HZ, signals={}, made={"mesh": x_NTP3})


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_each_learns_a_movement_that_it_can_see(row: str) -> None:
    assert row in method(row.partition(":")[2]).compared
    trained, settings = part_of(row)
    if isinstance(trained, Estimator):
        weights = trained.fit(given(clips()[TRAIN]), LABELS[TRAIN], settings, 3, "cpu").weights
        p_N = trained.predict(weights, given(clips()[TEST]), settings, "cpu")
    else:
        assert isinstance(trained, SubNetwork)
        weights = fit(trained, settings, [clips()[TRAIN]], LABELS[TRAIN], seed=3).weights
        p_N = outputs(trained, settings, weights, [clips()[TEST]], what="prediction")
    assert ((p_N > 0.5) == LABELS[TEST]).mean() >= 0.8


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("entry", "parameters"), [(gnn, 9_410), (stgcn_gru, 77_202)])
def test_sizes(entry: Any, parameters: int) -> None:
    settings = entry.Settings()
    module = entry.NETWORK.build(settings, [3]).eval()
    assert count(module) == parameters
    for n_steps in (STEPS, entry.NETWORK.least_steps(settings)):
        logits = module(torch.from_numpy(clips()[:3, :n_steps]))
        assert logits.shape == (3, 2)
        assert torch.isfinite(logits).all()
    assert entry.NETWORK.build(replace(settings, classes=5), [3])(torch.from_numpy(clips()[:2])).shape == (2, 5)


@pytest.mark.parametrize("entry", [gnn, stgcn_gru])
def test_networks_see_neither_where_the_head_is_nor_how_large(entry: Any) -> None:
    module = entry.NETWORK.build(entry.Settings(), [3]).eval()
    x = torch.from_numpy(clips()[:2])
    torch.testing.assert_close(module(1.5 * x + torch.tensor([40.0, -30.0, 5.0])), module(x), atol=2e-3, rtol=1e-3)


def test_attention_shares_out_what_a_point_takes() -> None:
    block = stgcn_gru.Block(6, 8, 9)
    weights = block.attention(torch.rand(2, 16, len(POINTS), 6))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, len(POINTS)))


def test_the_graph_is_in_one_piece_and_joins_neighbours() -> None:
    near = adjacency()
    np.testing.assert_allclose(near, near.T)
    assert (np.linalg.matrix_power(near, len(POINTS)) > 0).all()
    where = face()[list(POINTS), :2]
    eyes_px = np.linalg.norm(face()[EYE_CORNERS[1]] - face()[EYE_CORNERS[0]])
    lengths = [np.linalg.norm(where[a] - where[b]) for a, b in edges()]
    assert np.median(lengths) < 0.2 * eyes_px
    assert max(lengths) < 0.9 * eyes_px


def test_features_are_of_course_velocity_and_acceleration_without_size_and_place() -> None:
    one, other = (mesh_features(x, rate_hz=RATE_HZ) for x in (clips()[1], 2 * clips()[1] + np.float32(30)))
    assert len(one) == 23 * 3 * 7 - 4
    for name, value in one.items():
        assert other[name] == pytest.approx(value, rel=1e-3, abs=1e-3)
    rest = mesh_features(np.tile(face(), (STEPS, 1, 1)), rate_hz=RATE_HZ)
    assert max(abs(v) for n, v in rest.items() if "_course_" not in n) < 1e-6
    assert one["brow_right_course_range"] > 4 * rest["brow_right_course_range"] + 0.02
    assert np.isnan(list(mesh_features(clips()[0][:2], rate_hz=RATE_HZ).values())).all()


def test_a_forest_with_emg_sees_the_mesh_and_one_without_the_track() -> None:
    def takes(*words: str) -> set[str]:
        (part,) = method("rf").parts(words, lambda role: network(role, "concat"))
        return {i.recording for i in part.inputs}

    assert takes("eda", "ecg", "emg", "video") == {"domain", "mesh"}
    assert takes("video") == {"faces"}
    assert takes("eda", "video") == {"signals", "faces"}
    (part,) = method("rf").parts(("emg", "video"), lambda role: network(role, "concat"))
    assert isinstance(part.trained, Estimator)
    assert part.trained.features
    domain = {"emg": np.random.default_rng(0).normal(size=(6, STEPS, 12)).astype(np.float32)}
    seen = Recordings(n=6, rate_hz=RATE_HZ, signals={}, made={"domain": domain, "mesh": clips()[:6]})
    alone = (
        method("landmarks-rf")
        .parts(("video",), lambda role: network(role, "concat"))[0]
        .trained.features(given(clips()[:6]))
    )  # type: ignore[union-attr, misc]
    np.testing.assert_array_equal(part.trained.features(seen)[:, -alone.shape[1] :], alone)
