"""Output files of commands: an output is never an input, has an allowed suffix, and is written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dataprep.records import InputError


def check_there(**given: Path | None) -> None:
    """Raises InputError that names the option, for a file of the command line that is not there."""
    for name, path in given.items():
        if path is not None and not path.exists():
            raise InputError(f"--{name}: {path}: no such file")


def check_output(option: str, path: Path, *, endings: Iterable[str] = (), inputs: Iterable[Path | None] = ()) -> None:
    """Raises InputError if the file that `option` names cannot be an output.

    That is a folder, a file in a folder that is not there, one whose ending is none of `endings` (none given: any), or one
    of `inputs`, by whatever name or link.
    """
    allowed = tuple(endings)
    if path.is_dir():
        raise InputError(f"{option} {path}: found a folder, expected the name of a file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.absolute().parent}")
    if allowed and path.suffix.lower() not in allowed:
        raise InputError(f"{option} {path}: found the ending {path.suffix!r}, expected {' or '.join(allowed)}")
    for given in inputs:
        if given is not None and _same(path, given):
            raise InputError(f"{option} {path}: is the input {given}, which it would overwrite; expected another name")


def check_folder(option: str, path: Path, *, inputs: Iterable[Path | None] = (), mark: str = "") -> None:
    """Raises InputError if files cannot be written into the folder that `option` names.

    That is a file, one of the folders `inputs` or a folder inside one of them, and, where `mark` is given, a folder with files in
    it none of which has this name: an earlier output has one.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{option} {path}: found a file, expected a folder")
    for given in inputs:
        if given is not None and path.resolve().is_relative_to(given.resolve()):
            raise InputError(f"{option} {path}: lies in the input {given}; expected a folder elsewhere")
    if mark and path.is_dir() and any(path.iterdir()) and not (path / mark).exists():
        raise InputError(
            f"{option} {path}: found a folder with other files, expected a new or empty one, or one with a {mark}"
        )


def _same(path: Path, other: Path) -> bool:
    try:
        return path.exists() and os.path.samefile(path, other)
    except OSError:
        return path.resolve() == other.resolve()


def shown(text: str) -> str:
    """Text that can be written as UTF-8: bytes of a name on disk that are none are shown as `\\xff`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` when the block ends well, and goes when it does not."""
    draft = path.with_name(f".{path.stem}.draft-{os.getpid()}{path.suffix}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
