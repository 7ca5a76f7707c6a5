"""Looking for a subject: in which files below a folder or a prefix the name still stands, in their names or inside.

Text, JSON, databases and pictures are searched as bytes (as they are, as JSON and as URIs write them), parquet tables column by
column, safetensors by the names in their headers (their arrays are numbers). A name that is short, or a number, would be found
everywhere: for such a one the manifests' and tables' own columns are looked at, and file names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from dataprep.storage import Place, Remote

SHORTEST = 4
"""Characters of a name that is looked for in any text."""


def residue(root: Place, subject: str, *, others: Iterable[str] = (), skip: Iterable[str] = ()) -> list[str]:
    """The files below `root` in which the subject is found. `others`: subjects whose names may contain this one's.

    `skip`: names directly below the root that are not looked at.
    """
    longer = sorted({o for o in others if o != subject and subject in o}, key=len, reverse=True)
    skipped = set(skip)
    found = []
    for at, inside in _files(root):
        if inside.split("/")[0] in skipped:
            continue
        try:
            if _names(inside, subject, longer) or _holds(at, subject, longer):
                found.append(str(at))
        except FileNotFoundError:  # it went in this moment
            continue
    return found


def _files(root: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(root, Remote):
        try:
            listed = root.listing(recursive=True)
        except FileNotFoundError:
            return
        for remote, _, time_ns in listed:
            if time_ns:
                yield remote, remote.uri.removeprefix(f"{root.uri}/")
        return
    for folder, names, files in os.walk(root):
        for name in [*files, *names]:
            path = Path(folder, name)
            yield path, path.relative_to(root).as_posix()


def _names(path: str, subject: str, longer: list[str]) -> bool:
    for other in longer:
        path = path.replace(other, "")
    return re.search(_pattern(subject), path) is not None


def _pattern(subject: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(subject)}(?![A-Za-z0-9])"


def _holds(at: Place, subject: str, longer: list[str]) -> bool:
    if isinstance(at, Path) and not at.is_file():
        return False
    if at.name.endswith(".parquet"):
        with suppress(ValueError, OSError):  # cut short by a full disk: searched as bytes
            return _in_table(at, subject, longer)
    if at.name == "manifest.json":
        with suppress(ValueError, AttributeError, TypeError):  # damaged: as bytes
            facts = json.loads(at.read_bytes()).get("facts", {})
            if subject == facts.get("subject") or subject in facts.get("subjects", ()):
                return True
    if len(subject) < SHORTEST or subject.isdigit():
        return False
    content = _header(at) if at.name.endswith(".safetensors") else at.read_bytes()
    for write in (str, lambda text: json.dumps(text)[1:-1], quote):
        mine = content
        for other in longer:
            mine = mine.replace(write(other).encode(), b"")
        if re.search(_pattern(write(subject)).encode(), mine):
            return True
    return False


def _header(at: Place) -> bytes:
    if isinstance(at, Remote):
        with at.open() as stream:
            return stream.read(min(int.from_bytes(stream.read(8), "little"), 2**24))
    with at.open("rb") as file:
        return file.read(min(int.from_bytes(file.read(8), "little"), 2**24))


def _in_table(at: Place, subject: str, longer: list[str]) -> bool:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(at.read_bytes()))
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        texts = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if texts and any(_names(value, subject, longer) for value in column.unique().to_pylist() if value):
            return True
    return False
