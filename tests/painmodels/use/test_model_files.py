"""A model's folder that was edited, mixed up or damaged is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from painmodels.export import from_run
from painmodels.use.model import Model, load
from painmodels.use.model_files import ABOUT, TENSORS
from painmodels.use.onnx_files import write_onnx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tiny_grid: Path) -> dict[str, Model]:
    cells = {
        "signals": "eda+ecg/expressive67/fold0",
        "video": "video/expressive67/fold0",
        "both": "eda+ecg+video/all87/fold0",
    }
    return {name: from_run(tiny_grid, cell) for name, cell in cells.items()}


EDITS: dict[str, Callable[[dict], object]] = {
    "another channel": lambda a: a["channels"].__setitem__(0, "emg_trapezius"),
    "another clock": lambda a: a.__setitem__("clock_hz", 50.0),
    "classes swapped": lambda a: a["classes"].reverse(),
    "another window": lambda a: a["networks"][0].__setitem__("steps", [0, 138]),
    "another scaling": lambda a: a["networks"][0].__setitem__("normalise", "train"),
    "channels swapped": lambda a: a["networks"][0].__setitem__("channels", [1, 0]),
    "no networks": lambda a: a.__setitem__("networks", []),
    "no hash": lambda a: a.pop("sha256"),
    "a hash of another kind": lambda a: a.__setitem__("sha256", 5),
    "a key more": lambda a: a.__setitem__("gain", 2.0),
    "an older format": lambda a: a.__setitem__("format", 1),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_description_is_refused_in_one_sentence(name: str, models: dict, tmp_path: Path) -> None:
    models["signals"].save(tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text())
    EDITS[name](about)
    (tmp_path / ABOUT).write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"model.json: found .*: export the model again") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_tensors_of_another_model_and_flipped_bits_are_refused(models: dict, tmp_path: Path) -> None:
    models["signals"].save(tmp_path / "a")
    models["both"].save(tmp_path / "b")
    (tmp_path / "a" / TENSORS).write_bytes((tmp_path / "b" / TENSORS).read_bytes())
    with pytest.raises(ValueError, match=r"not those that model.json was written with"):
        load(tmp_path / "a")
    content = bytearray((tmp_path / "b" / TENSORS).read_bytes())
    content[-9] ^= 0x40
    (tmp_path / "b" / TENSORS).write_bytes(content)
    with pytest.raises(ValueError, match=r"not those that model.json was written with"):
        load(tmp_path / "b")
    for text in ("[]", "{", "[" * 100_000, "null", '"x"'):
        (tmp_path / "b" / ABOUT).write_text(text)
        with pytest.raises(ValueError, match=r"model.json"):
            load(tmp_path / "b")


def test_weights_that_are_no_numbers_are_refused(models: dict) -> None:
    model = models["signals"]
    tensors = {name: v.clone() for name, v in model.tensors.items()}
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match="not finite in"):
        Model(model.about, tensors)


def test_a_second_export_leaves_nothing_of_the_first_and_others_can_read_it(models: dict, tmp_path: Path) -> None:
    models["both"].save(tmp_path)
    write_onnx(models["both"], tmp_path)
    models["signals"].save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", ABOUT, TENSORS]
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert {(tmp_path / name).stat().st_mode for name in (ABOUT, TENSORS)} == {plain.stat().st_mode}
