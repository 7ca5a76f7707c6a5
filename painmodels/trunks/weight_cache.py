"""Weight files of the backbones on this machine: found, read and checked, imported, and where they come from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dataprep.home import home
from dataprep.outputs import drafted
from dataprep.records import InputError
from painmodels.trunks.backbones import State, backbone, expected_shapes
from painmodels.trunks.matconvnet import read_mat
from painmodels.trunks.mini_xception import read_hdf5
from painmodels.trunks.weight_files import check_kind, plain_names, read_pth, state_in


class WeightsMissing(InputError):  # noqa: N818  (a state of the installation, not a fault of the program)
    """The backbone has no weights here. The message says where they come from and what can be done without them."""


def cache_path(name: str) -> Path:
    """Where the imported weights of backbone `name` are kept."""
    folder = os.environ.get("PAIN_GRID_WEIGHTS")
    return (Path(folder) if folder else home() / ".cache" / "pain-grid") / f"{name}.safetensors"


def find_weights(name: str, weights: Path | None = None) -> Path:
    """The weight file of a backbone: the one given, the one that ships, or the imported one. Raises WeightsMissing."""
    entry = backbone(name)
    path = weights or entry.shipped or cache_path(name)
    if path.is_file():
        return path
    raise WeightsMissing(
        f"there are no weights for {name}: {path} does not exist.\n"
        f"They come from: {entry.source}.\n"
        f"Download the file once and import it: python -m painmodels.weights import FILE --as {name}\n"
        "Without them, two options work at once: --trunk mini-xception-fer (pre-trained on FER2013, comes with the "
        "project), or --trunk alexnet-table1 --random-trunk (the paper's layers with random weights)."
    )


def read_weights(name: str, path: Path, *, only: Collection[str] | None = None) -> State:
    """The checked state of the network from a file that ships or was imported. Raises ValueError naming the file.

    `only`: tensors to read; of the others, names and shapes are checked alone, and their values take no memory.
    """
    if path.suffix == ".safetensors":
        state = _read_safetensors(path, expected_shapes(name), only)
    elif path.suffix in (".hdf5", ".h5") and name == "mini-xception-fer":
        state = read_hdf5(path)
    else:
        raise InputError(f"{path}: expected .safetensors; make it: python -m painmodels.weights import {path} --as {name}")
    checked = _checked(name, path, state)
    return checked if only is None else {key: checked[key] for key in checked if key in only}


def content_mark(name: str, path: Path) -> str:
    """What stands for the content of a weight file of backbone `name`. Raises InputError if it is absent or another's."""
    if not path.is_file():
        raise InputError(
            f"{path}: no such file, expected weights of {name} as .safetensors. They come from: {backbone(name).source}; "
            f"import the file: python -m painmodels.weights import FILE --as {name} --out {path.with_suffix('.safetensors')}"
        )
    digest = file_digest(path)
    _found_good(name, path, digest)
    return f"{name} sha256 {digest[:12]}"


@lru_cache(maxsize=64)
def _found_good(name: str, path: Path, _digest: str) -> None:
    read_weights(name, path)


def provenance(name: str, path: Path) -> str:
    """One sentence on where the weights of `path` come from."""
    entry = backbone(name)
    if path == entry.shipped:
        return f"{name}: weights of {entry.source}, file sha256 {file_digest(path)[:12]}."
    record = path.with_suffix(".json")
    if not record.is_file():
        return f"{name}: weights of {path.name}, sha256 {file_digest(path)[:12]}, no provenance record beside it."
    facts = json.loads(record.read_text())
    return f"{name}: weights imported from {facts['file']}, sha256 {facts['sha256'][:12]}; published at {entry.source}."


def file_digest(path: Path) -> str:
    """The sha256 of a file, hexadecimal; remembered as long as its size and time of change stay the same."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def import_weights(file: Path, name: str, *, out: Path | None = None) -> Path:
    """Check a published file of backbone `name` and write it as safetensors with its provenance; gives the path written.

    Raises ValueError that names the file and lists the tensors that are missing, unknown or misshapen.
    """
    shapes = expected_shapes(name)
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    if file.suffix == ".mat":
        check_kind(file, allowed=b"MATLAB")
        state: Mapping[str, torch.Tensor] = read_mat(file, shapes)
    elif file.suffix == ".safetensors":
        state = _read_safetensors(file, shapes)
    else:
        state = state_in(file, read_pth(file), shapes)
    state = _checked(name, file, state)
    path = out or cache_path(name)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: the output is a .safetensors file")
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"backbone": name, "file": file.name, "sha256": file_digest(file), "published": backbone(name).source}
    # the record first: weights without a record would be possible the other way round
    with drafted(path.with_suffix(".json")) as draft:
        draft.write_text(json.dumps(facts, indent=1) + "\n")
    with drafted(path) as draft:
        save_file(state, draft)
    return path


def _read_safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]], only: Collection[str] | None = None) -> State:
    """Tensors mapped from the file, by the network's names; those that are not wanted have a shape and nothing else."""
    try:
        with safe_open(path, framework="pt") as file:
            return {
                name: file.get_tensor(key)
                if only is None or name in only
                else torch.empty(file.get_slice(key).get_shape(), device="meta")
                for key, name in plain_names(file.keys(), shapes).items()
            }
    except (SafetensorError, OSError) as error:
        check_kind(path)
        raise InputError(f"{path}: not a safetensors file: {error}") from error


def _checked(name: str, path: Path, state: Mapping[str, torch.Tensor]) -> State:
    """The tensors as contiguous float32, every name and shape as `expected_shapes` has it."""
    shapes = expected_shapes(name)
    found = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    if found and not found.keys() & shapes.keys():
        seen = ", ".join(f"{k} {tuple(v.shape)}" for k, v in list(found.items())[:3])
        wanted = ", ".join(list(shapes)[:3])
        raise InputError(
            f"{path}: these are not the weights of {name}: found {seen} …, expected {wanted} …; no name is shared"
        )
    faults = [f"missing {k} {shapes[k]}" for k in shapes if k not in found]
    faults += [f"unknown {k} {tuple(found[k].shape)}" for k in found if k not in shapes]
    for key in shapes.keys() & found.keys():
        if tuple(found[key].shape) != shapes[key]:
            faults.append(f"{key} has shape {tuple(found[key].shape)}, expected {shapes[key]}")
        elif not found[key].is_meta and not torch.isfinite(found[key]).all():
            faults.append(f"{key} holds values that are not finite")
    if faults:
        more = f"; and {len(faults) - 12} more" if len(faults) > 12 else ""
        raise InputError(f"{path}: these are not the weights of {name}: {'; '.join(sorted(faults)[:12])}{more}")
    return {key: found[key].to(torch.float32).contiguous() for key in shapes}
