"""Weight files as people publish them: wrapped, prefixed, or something else under the name of one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dataprep.records import InputError
from painmodels.trunks.backbones import backbone
from painmodels.trunks.weight_cache import import_weights, read_weights

NAME = "mini-xception-fer"
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return backbone(NAME).build().state_dict()


def prefixed(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


def moments(state: State) -> dict[str, Any]:
    """What Adam keeps, as its state dict has it."""
    return {
        "state": {i: {"step": torch.tensor(1.0), "exp_avg": v} for i, v in enumerate(state.values())},
        "param_groups": [],
    }


WRAPPINGS: dict[str, Any] = {
    "plain": lambda s: s,
    "data parallel": lambda s: prefixed(s, "module."),
    "compiled": lambda s: prefixed(s, "_orig_mod."),
    "both": lambda s: prefixed(s, "_orig_mod.module."),
    "checkpoint": lambda s: {"state_dict": prefixed(s, "module."), "epoch": 3, "best": 0.7},
    "net": lambda s: {"net": s, "acc": 0.73, "epoch": 250},
    "tutorial": lambda s: {"model_state_dict": s, "optimizer_state_dict": moments(s), "loss": torch.tensor(1.0)},
    "lightning": lambda s: {"state_dict": prefixed(s, "model."), "optimizer_states": [moments(s)], "hparams": {"lr": 1e-3}},
    "nested": lambda s: {"checkpoint": {"weights": {"backbone": s}}},
    "averaged": lambda s: {"n_averaged": torch.tensor(5)} | prefixed(s, "module."),
    "parameters": lambda s: {"params": {k: torch.nn.Parameter(v, requires_grad=False) for k, v in s.items()}},
}


@pytest.mark.parametrize("wrapping", list(WRAPPINGS))
def test_the_tensors_are_found_in_their_wrappings(tmp_path: Path, state: State, wrapping: str) -> None:
    torch.save(WRAPPINGS[wrapping](state), tmp_path / "published.pth.tar")
    out = import_weights(tmp_path / "published.pth.tar", NAME, out=tmp_path / "out.safetensors")
    found = load_file(out)
    assert found.keys() == {key for key in state if "num_batches" not in key}
    assert all(torch.equal(found[key], state[key]) for key in found)


def test_a_prefix_in_safetensors_is_taken_off_when_imported_and_when_used(tmp_path: Path, state: State) -> None:
    path = tmp_path / "prefixed.safetensors"
    save_file({key: value.contiguous() for key, value in prefixed(state, "module.").items()}, path)
    assert import_weights(path, NAME, out=tmp_path / "out.safetensors").is_file()
    wanted = next(key for key in state if key.endswith("weight"))
    assert read_weights(NAME, path, only=[wanted]).keys() == {wanted}


def test_two_sets_of_weights_are_not_chosen_between(tmp_path: Path, state: State) -> None:
    torch.save({"model": state, "ema": state}, tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"2 times, at \['model'\] and \['ema'\]; expected once"):
        import_weights(tmp_path / "two.pth", NAME, out=tmp_path / "out.safetensors")


def test_the_weights_of_another_network_are_said_to_be_that(tmp_path: Path) -> None:
    torch.save({"net": {"module.a.weight": torch.ones(2)}, "more": {"x": [1]}}, tmp_path / "other.pth")
    with pytest.raises(
        InputError, match=r"not the weights of mini-xception-fer: .*found module\.a\.weight .*no name is shared"
    ):
        import_weights(tmp_path / "other.pth", NAME, out=tmp_path / "out.safetensors")


def code(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("readme.txt", "hello")


NO_WEIGHTS: dict[str, tuple[Any, str]] = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "Git LFS"),
    "page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", r"web page \(HTML\)"),
    "bare page": (b"<HTML><head></head></HTML>", r"web page \(HTML\)"),
    "error": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
    "json": (b'{"message": "Not Found"}', "text that begins with"),
    "empty": (b"", "empty file"),
    "gzip": (b"\x1f\x8b\x08\0rest", "gzip"),
    "picture": (b"\x89PNG\r\n\x1a\nrest", "PNG"),
    "noise": (bytes(range(200, 250)), "first bytes are c8 c9 ca"),
    "script": (code, "TorchScript"),
    "archive": (archive, "ZIP archive"),
    "whole model": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        r"more than tensors \(torch\..*Linear\)",
    ),
}


@pytest.mark.parametrize("kind", list(NO_WEIGHTS))
@pytest.mark.parametrize("ending", [".pth", ".bin"])
def test_what_is_no_weight_file_is_told_in_plain_words_without_unsafe_advice(tmp_path: Path, kind: str, ending: str) -> None:
    content, words = NO_WEIGHTS[kind]
    path = tmp_path / f"file{ending}"
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(InputError, match=words) as refused:
        import_weights(path, NAME, out=tmp_path / "out.safetensors")
    assert "weights_only" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ending", [".safetensors", ".mat"])
def test_other_endings_are_looked_into_too(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"file{ending}"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(InputError, match="Git LFS"):
        import_weights(path, NAME, out=tmp_path / "out.safetensors")


def test_a_file_that_was_cut_off_is_said_to_be(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cut off or damaged"):
        import_weights(tmp_path / "cut.pth", NAME, out=tmp_path / "out.safetensors")
