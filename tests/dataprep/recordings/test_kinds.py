"""A kind of recording is one entry: planned, made in the one pass, stored and read only where a row takes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dataprep import faces
from dataprep import recordings as kinds
from dataprep.recordings.kind import SIGNALS, VIDEO, Recording
from grid.launch import main
from grid.plan import preparation
from painmodels import methods as package
from painmodels.methods.graph import Estimator, Input, Method, Part, Recordings, TwoClasses
from painmodels.training.loop import Fitted

SEEN: list[Recordings] = []


@dataclass(frozen=True)
class Settings(TwoClasses):
    """Nothing to set."""


def fit(recordings: Recordings, labels: np.ndarray, settings: Settings, seed: int, device: str) -> Fitted:
    SEEN.append(recordings)
    return Fitted({"share": np.array([labels.mean()])}, ())


def predict(weights: Mapping[str, np.ndarray], recordings: Recordings, settings: Settings, device: str) -> np.ndarray:
    return np.full(recordings.n, 0.25)


GREY = Recording(
    name="grey",
    of=VIDEO,
    shape=lambda facts: (facts.n_steps, 2),
    of_video=lambda trunk: (
        lambda steps: np.stack(
            [
                steps.crops_BYXC.mean(axis=(1, 2, 3)),
                [f.luma((0, 0, f.width, f.height), side=8).mean() for f in steps.frames],
            ],
            1,
        )
    ),
    frames=True,
)
TOTAL = Recording(
    name="total", of=SIGNALS, along="", shape=lambda facts: (1,), of_channel=lambda s: np.array([s.values.sum()])
)


def taking(name: str, *taken: str) -> Method:
    part = Part("estimator", tuple(Input(kind) for kind in taken), trained=Estimator(Settings, fit, predict))
    return Method(name, on=("video", "eda", "ecg"), several=True, parts=lambda words, choice: (part,))


METHODS = [
    taking("greys", "grey", "mask"),
    taking("natives", "signals_native"),
    taking("totals", "total"),
    taking("tracks", "faces"),
]


@pytest.fixture
def with_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (GREY, TOTAL):
        monkeypatch.setitem(kinds.recordings(), kind.name, kind)  # type: ignore[arg-type]
    for method in METHODS:
        monkeypatch.setitem(package.methods(), method.name, method)  # type: ignore[arg-type]
    SEEN.clear()


@pytest.mark.slow
def test_kinds_are_made_stored_and_read(
    with_kinds: None,
    tiny_grid: Path,
    tiny_data: Path,
    tiny_experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_trunk(*_: object) -> None:
        raise AssertionError("no row takes the trunk's features")

    monkeypatch.setattr(preparation.TrunkSpec, "of", no_trunk)
    followed: list[str] = []
    follower = faces.Follower

    def counted(*arguments: object, name: str, **options: object) -> faces.Follower:
        followed.append(name)
        return follower(*arguments, name=name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(faces, "Follower", counted)
    shutil.copytree(tiny_grid / "store" / "faces", tmp_path / "out" / "store" / "faces")
    shutil.rmtree(next((tmp_path / "out" / "store" / "faces").iterdir()))
    rows = "video:greys,eda+ecg:natives,eda:totals,video:tracks"
    out = tmp_path / "out"
    base = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out), "--folds", "0"]
    asked = [*base, "--modalities", rows, "--scenarios", "all87,expressive67", "--in-process"]
    assert main(asked) == 0
    assert len(followed) == 1  # all other faces are known
    cells = {(c["modality"], c["scenario"]): c for c in json.loads((out / "cells.json").read_text())}
    whole = cells["eda:totals", "expressive67"]
    assert (whole["status"], whole["reason"]) == (
        "impossible",
        "total is of the whole trial, and the scenario uses a part of it",
    )
    assert {c["status"] for c in cells.values() if c is not whole} == {"done"}
    store = out / "store"
    assert {p.name for p in store.iterdir()} >= {"faces", "grey", "signals", "signals_native", "total"}
    assert not (store / "features").exists()
    grey = load_file(next((store / "grey").glob("*/arrays.safetensors")))["grey"]
    assert (grey.shape, grey.dtype) == ((138, 2), np.float32)
    assert 0 < grey.min() < grey.max() < 255

    by_steps = {name: sorted({x.shape[1] for s in SEEN for x in arrays_of(s, name)}) for name in ("grey", "faces")}
    assert by_steps == {"grey": [88, 138], "faces": [88, 138]}  # the second scenario leaves the first 2 s out
    natives = {s.made["signals_native"]["eda"].shape[1]: s for s in SEEN if "signals_native" in s.made}
    assert natives.keys() == {2807, 2807 - 1024}
    assert natives[2807].made["signals_native"].keys() == {"eda", "ecg"}
    assert natives[2807].rates_hz == {"eda": 512.0, "ecg": 512.0}

    before = sorted(p for p in store.rglob("*") if p.is_file())
    assert main(asked) == 0
    assert sorted(p for p in store.rglob("*") if p.is_file()) == before


def arrays_of(seen: Recordings, name: str) -> list[np.ndarray]:
    """The array of a kind, if these recordings hold it."""
    if name == "faces":
        return [] if seen.faces is None else [seen.faces]
    return [seen.made[name]] if name in seen.made else []


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match=r"no kind of recording is called 'thermal'; there are: .*features.*signals"):
        kinds.recording("thermal")
