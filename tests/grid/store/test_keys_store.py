"""Identity and artefacts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from grid.store.artefacts import Store
from grid.store.identity import Column, Params, Stage, canonical, digest, digest_columns


def test_keys_are_pinned() -> None:
    """These keys are on users' disks: a change here throws their results away. Bump a stage's version instead."""
    assert digest({"b": 1, "a": [True, None, 0.1, "é"]}) == "e6df56346267"
    assert Stage("fit", 1, {"lr": 1e-5, "milestones": (20,)}, ("abc",)).key == "9bc5c8d6b7e1"


def test_tables_of_trials_have_the_key_that_anything_has() -> None:
    rows = [["a-é-1", "0f"], ["b", "1e"], ['"', ","], ["d", ""]]
    columns = [Column(rows), Column((0, 1, 1, 10)), Column("aébd")]
    for spans in ([(0, 4)], [(0, 1), (2, 4)], [(0, 2), (3, 4)], [(0, 1), (3, 4)], [(1, 2), (3, 4)], [(3, 4), (0, 2)], []):
        chosen = [i for first, end in spans for i in range(first, end)]
        lists = [[column[i] for i in chosen] for column in (rows, (0, 1, 1, 10), "aébd")]
        assert digest_columns(columns, spans) == digest(lists)
        assert columns[0].digest(spans) == digest(lists[0])


def test_shared_parameters_are_parameters_like_any_other() -> None:
    params = {"b": {"z": 1.5, "a": (None, "é")}, "a": True}
    alone, shared = Stage("fit", "1", params, ("x",)), Stage("fit", "1", Params(params), ("x",))
    assert alone == shared
    assert alone.key == shared.key == digest(shared.identity())
    with pytest.raises(TypeError, match="cannot be part of a key"):
        Stage("fit", 1, Params({"a": {1}})).key  # noqa: B018


def test_order_of_a_mapping_is_no_identity_but_everything_else_is() -> None:
    base = Stage("fit", 1, {"a": 1, "b": 2}, ("x", "y"))
    assert Stage("fit", 1, {"b": 2, "a": 1}, ("x", "y")).key == base.key
    others = [
        Stage("fit", 2, {"a": 1, "b": 2}, ("x", "y")),
        Stage("fot", 1, {"a": 1, "b": 2}, ("x", "y")),
        Stage("fit", 1, {"a": 1.5, "b": 2}, ("x", "y")),
        Stage("fit", 1, {"a": 1, "b": 2}, ("y", "x")),
    ]
    assert len({s.key for s in [base, *others]}) == 5
    assert 0 <= base.seed < 2**31
    assert base.seed != others[0].seed


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"a": {1, 2}}, Path("x"), np.float32(1), b"x"])
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"cannot be part of a key|needs text keys"):
        canonical(value)


def test_an_artefact_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store, stage = Store(tmp_path), Stage("x", 1, {"p": 1})
    arrays = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array([True, False]), "c": np.array(7)}
    assert not store.has(stage)
    store.write(stage, arrays, {"seconds": 1.5})
    assert store.has(stage)
    assert store.facts(stage) == {"seconds": 1.5}
    for name, array in store.arrays(stage).items():
        assert (array.dtype, array.shape) == (arrays[name].dtype, arrays[name].shape)
        np.testing.assert_array_equal(array, arrays[name])
    store.write(stage, {"a": np.zeros(1)}, {})  # a second writer changes nothing
    assert store.facts(stage) == {"seconds": 1.5}
    assert store.keys("x") == {stage.key}
    assert not (tmp_path / ".drafts").exists() or not list((tmp_path / ".drafts").iterdir())


def _write_forever(root: Path) -> None:
    store = Store(root)
    for i in range(10_000):
        store.write(Stage("x", 1, {"i": i}), {"a": np.full((200, 1000), i, np.float32)}, {"i": i})


def test_a_killed_writer_leaves_only_complete_artefacts(tmp_path: Path) -> None:
    for n in (1, 4, 16):
        writer = multiprocessing.get_context("fork").Process(target=_write_forever, args=(tmp_path / str(n),))
        writer.start()
        deadline = time.monotonic() + 60
        while len(Store(tmp_path / str(n)).keys("x")) < n and time.monotonic() < deadline:
            time.sleep(0.001)
        assert writer.pid
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        store = Store(tmp_path / str(n))
        found = 0
        for i in range(10_000):
            stage = Stage("x", 1, {"i": i})
            if store.has(stage):
                found += 1
                assert (store.arrays(stage)["a"] == i).all()
        assert found == len(store.keys("x"))
        assert n <= found < 10_000
