"""A fit that is killed goes on from its checkpoint to the same bytes, and begins anew where that cannot be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from painmodels.methods import mobilenet
from painmodels.training.checkpoints import Checkpoint, file_checkpoint
from painmodels.training.loop import fit
from tests.painmodels.training.small_fits import CASES, LABELS, LSTM, SMALL, T, planted, same


class Killed(Exception):  # noqa: N818
    pass


FACES = np.random.default_rng(0).integers(0, 256, (len(LABELS), 3, 8, 8), dtype=np.uint8)
FROZEN = (mobilenet.NETWORK, {"weights": "of a file", "blocks": 1, "side": 8, "batch": 16}, [FACES])
"""A network of which layers are frozen."""


@pytest.mark.parametrize("role", ["physiological", "spatial", "frozen"])
@pytest.mark.parametrize("killed_in", [2, 5])
def test_a_killed_fit_goes_on_to_the_same_bytes(role: str, killed_in: int, tmp_path: Path) -> None:
    entry, values, inputs = {**CASES, "frozen": FROZEN}[role]
    extra = {"dropout": 0.3, "hidden": 6} if role == "physiological" else {}
    settings = entry.settings(**{**values, **extra, "epochs": 8, "milestones": (3, 6)})
    whole = fit(entry, settings, inputs, LABELS, seed=2)
    checkpoint = file_checkpoint(tmp_path / "state.safetensors", every=2)

    def kill(row: dict) -> None:
        if row["epoch"] == killed_in:
            raise Killed

    with pytest.raises(Killed):
        fit(entry, settings, inputs, LABELS, seed=2, on_epoch=kill, checkpoint=checkpoint)
    resumed: list[float] = []
    again = fit(
        entry, settings, inputs, LABELS, seed=2, on_epoch=lambda row: resumed.append(row["epoch"]), checkpoint=checkpoint
    )
    assert resumed[0] == killed_in // 2 * 2  # only what was lost is done again
    assert same(whole, again)
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_checkpoint_of_another_fit_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = file_checkpoint(tmp_path / "state.safetensors", every=1)
    x = [planted(T, 2)]
    fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, until=1)
    kept = (tmp_path / "state.safetensors").read_bytes()
    for settings, labels, seed in (
        (LSTM.settings(**SMALL), LABELS, 1),
        (LSTM.settings(**{**SMALL, "lr": 1e-2}), LABELS, 0),
        (LSTM.settings(**SMALL), 1 - LABELS, 0),
    ):
        caplog.clear()
        (tmp_path / "state.safetensors").write_bytes(kept)
        anew = fit(LSTM, settings, x, labels, seed=seed, checkpoint=checkpoint)
        assert same(anew, fit(LSTM, settings, x, labels, seed=seed))
        assert "found that of another fit" in caplog.text


DAMAGE = {
    "empty": lambda content: b"",
    "eight bytes": lambda content: content[:8],
    "cut in the header": lambda content: content[:100],
    "cut in the arrays": lambda content: content[: len(content) * 2 // 3],
    "zeros of the same length": lambda content: bytes(len(content)),
    "a page of zeros among the arrays": lambda content: content[:-4096] + bytes(4096),
    "garbage": lambda content: np.random.default_rng(0).bytes(len(content)),
    "a flipped bit": lambda content: content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
    "a picture": lambda content: b"\x89PNG\r\n\x1a\n" + content,
    "arrays of other names": lambda content: save({"a": np.zeros(3)}),
    "other shapes": lambda content: save({k: v[..., :1] if v.ndim else v for k, v in load(content).items()}),
    "other types": lambda content: save({k: v.astype(np.float16) for k, v in load(content).items()}),
    "one array missing": lambda content: save(dict(list(load(content).items())[1:])),
    "none of the older versions' checksums": lambda content: save({k: v for k, v in load(content).items() if k != "sha256"}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_begins_anew_and_says_so(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """As a power cut, a bad disk or another program leaves it: the fit has the weights that it would have had."""
    path = tmp_path / "state.safetensors"
    checkpoint, x = file_checkpoint(path, every=1), [planted(T, 2)]
    whole = fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0)
    fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, until=2)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    epochs: list[int] = []
    again = fit(
        LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, on_epoch=lambda r: epochs.append(r["epoch"])
    )
    assert epochs[0] == 0
    assert same(whole, again)
    (line,) = [r.getMessage() for r in caplog.records]
    assert str(path) in line
    assert "this fit begins anew" in line


def test_a_folder_in_a_checkpoints_place_is_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint, x = file_checkpoint(tmp_path / "state", every=1), [planted(T, 2)]
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "x").touch()
    fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, until=1)
    assert "this fit begins anew" in caplog.text
    assert (tmp_path / "state").is_file()


def test_a_state_of_right_checksum_and_wrong_shape_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[dict] = []
    x, settings = [planted(T, 2)], LSTM.settings(**SMALL)
    whole = fit(LSTM, settings, x, LABELS, seed=0, checkpoint=Checkpoint(1, kept.append, lambda: None))
    for name, value in (
        ("curve", np.zeros(4)),
        ("curve", np.zeros((2, 3))),
        ("gradient_norm", np.zeros(7)),
        ("model/head.bias", np.zeros(3, np.float32)),
        ("adam/head.bias/step", np.zeros(2, np.float32)),
    ):
        caplog.clear()
        state = {**kept[0], name: value}
        again = fit(LSTM, settings, x, LABELS, seed=0, checkpoint=Checkpoint(1, lambda s: None, lambda s=state: s))
        assert same(whole, again)
        assert "this fit begins anew" in caplog.text


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file, then the rename, then fsync of the folder."""
    done: list[str] = []
    whole = {name: getattr(os, name) for name in ("fsync", "replace")}
    kind = lambda fd: "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(f"fsync {kind(fd)}"), whole["fsync"](fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), whole["replace"](a, b))[1])
    file_checkpoint(tmp_path / "state", every=1).save({"a": np.zeros(3)})
    assert done == ["fsync file", "rename", "fsync folder"]


def test_a_checkpoint_is_plain_arrays() -> None:
    saved: list[dict] = []
    fit(
        LSTM,
        LSTM.settings(**SMALL),
        [planted(T, 2)],
        LABELS,
        seed=0,
        checkpoint=Checkpoint(2, saved.append, lambda: None),
    )
    assert len(saved) == 1  # not after the last epoch: the fit itself is the result
    assert all(isinstance(v, np.ndarray) and v.dtype != object for v in saved[0].values())
