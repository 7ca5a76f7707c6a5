"""Recognises published weight files and reads their tensors, without the containers and prefixes around them.

Nothing is unpickled but tensors. What is no weight file is told by its first bytes, in plain words.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from dataprep.records import InputError

State = Mapping[str, torch.Tensor]
DEPTH = 4  # of mappings inside mappings
EXPECTED = "expected a PyTorch file of tensors alone, as torch.save(model.state_dict(), FILE) writes it"
_MAGIC = {
    b"version https://git-lfs": "a pointer of Git LFS in place of the file: fetch the file itself with `git lfs pull`",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"\x89HDF": "an HDF5 file (Keras?)",
    b"MATLAB": "a MATLAB file: give it the ending .mat",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
}


def check_kind(path: Path, *, allowed: bytes = b"\0") -> None:
    """Raises InputError for a file that is plainly no weight file, whatever its ending, unless it begins with `allowed`."""
    with path.open("rb") as file:
        head = file.read(512)
    said = None if head.startswith(allowed) else _kind(head)
    if said:
        raise InputError(f"{path}: found {said}; {EXPECTED}")


def _kind(head: bytes) -> str | None:
    if not head:
        return "an empty file (0 bytes)"
    known = next((said for magic, said in _MAGIC.items() if head.startswith(magic)), None)
    if known:
        return known
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or (text.startswith(b"<") and b"html" in text):
        return "a web page (HTML) in place of the file: the site asked for a login or a confirmation"
    if text.startswith((b"<?xml", b"<")):
        return "an XML text (an error message of a storage server?) in place of the file"
    printable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return f"a text that begins with {head[:40].decode('ascii', 'replace')!r}" if printable else None


def read_pth(path: Path) -> Any:
    """The content of a PyTorch file, tensors and plain values alone. Raises InputError that says what the file is instead."""
    check_kind(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: refused: found {_refused(path, str(error))}; {EXPECTED}") from None


def _refused(path: Path, message: str) -> str:
    """Why torch would not load the file, without torch's advice to load it unsafely."""
    with path.open("rb") as file:
        head = file.read(16)
    if zipfile.is_zipfile(path):
        names = zipfile.ZipFile(path).namelist()
        if any("/code/" in name or name.endswith("constants.pkl") for name in names):
            return "a TorchScript program, which is code"
        if not any(name.endswith("data.pkl") for name in names):
            return f"a ZIP archive of other files ({', '.join(names[:3])})"
    elif head.startswith(b"PK"):
        return "a PyTorch file that was cut off or damaged"
    elif not head.startswith(b"\x80"):
        return f"no weight file (its first bytes are {head.hex(' ')})"
    named = re.search(r"GLOBAL (\S+)", message) or re.search(r"(?:Unsupported class|class) (\S+)", message)
    if named:
        return f"more than tensors ({named[1].rstrip('.,')}), a pickled object that could run code when it is loaded"
    if "eight" in message and "load failed" in message:
        return "more than tensors: pickled objects that could run code when they are loaded"
    return "a PyTorch file that was cut off or damaged"


def state_in(path: Path, content: Any, shapes: Mapping[str, tuple[int, ...]]) -> State:
    """The tensors of the network among what a file holds, by the network's own names.

    That is the only mapping of tensors in it, at any depth; of several, the only one that has the network's names. A prefix
    that all tensors share is taken off. Raises InputError if there is none, or several fit.
    """
    found = dict(_mappings(content))
    if not found:
        raise InputError(
            f"{path}: found {type(content).__name__} without tensors, expected a state dict (tensor name -> tensor)"
        )
    plain = {where: without_prefix(state, shapes) for where, state in found.items()}
    fitting = [where for where, state in plain.items() if shapes.keys() <= state.keys()]
    if len(fitting) > 1:
        raise InputError(
            f"{path}: found weights of the network {len(fitting)} times, at {' and '.join(fitting)}; expected once"
        )
    if fitting:
        return plain[fitting[0]]
    return max(plain.values(), key=lambda state: len(state.keys() & shapes.keys()) + len(state) / 1e6)


def _mappings(content: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every mapping with tensors in it, by the keys that lead there."""
    if not isinstance(content, Mapping) or depth > DEPTH:
        return
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if tensors:
        yield where or "the top", tensors
    for key, value in content.items():
        yield from _mappings(value, f"{where}[{key!r}]", depth + 1)


def without_prefix(state: State, shapes: Iterable[str]) -> dict[str, torch.Tensor]:
    """The state with the first parts of its names taken off, as long as all share them and no name is one of the network's."""
    known = set(shapes)
    counters = {k for k, v in state.items() if not v.ndim and "." not in k and k not in known}  # of an averaged model
    return {name: state[key] for key, name in plain_names(state.keys() - counters, known).items()}


def plain_names(keys: Iterable[str], shapes: Iterable[str]) -> dict[str, str]:
    """Name in the file -> name without the prefix that all share (`module.`, `_orig_mod.`, `model.` …)."""
    known = set(shapes)
    names = {key: key for key in keys}
    while names and not known & set(names.values()):
        firsts = {name.partition(".")[0] if "." in name else "" for name in names.values()}
        if len(firsts) != 1 or "" in firsts:
            break
        names = {key: name.partition(".")[2] for key, name in names.items()}
    return names if known & set(names.values()) else {key: key for key in names}
