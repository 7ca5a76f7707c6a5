"""Identity: a `Stage` is a name, a version, parameters and the keys of its inputs; its key is a hash of just these.

What a result is made with enters the key; where and how it is computed (machine, device, path, address, number of workers)
never does. Seeds derive from keys, so that a fit draws the same numbers wherever it runs.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

_text = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Any) -> Any:
    """`value` as plain JSON types, mappings sorted. Raises TypeError for anything that has no canonical text."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value!r} cannot be part of a key: it is not finite")
        return value
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    if isinstance(value, Mapping):
        if not all(isinstance(k, str) for k in value):
            raise TypeError(f"a mapping in a key needs text keys, found {list(value)[:3]!r}")
        return {k: canonical(value[k]) for k in sorted(value)}
    raise TypeError(f"{type(value).__name__} cannot be part of a key: {value!r}")


def digest(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return _hash(_text(canonical(value)))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_text_by_lines = json.JSONEncoder(ensure_ascii=True, separators=(",\n", ":"), allow_nan=False).encode


def _text_of_list(values: Iterable[Any]) -> str:
    """The JSON of a list of plain values: several times as fast as the encoder is for lists."""
    return f"[{','.join(map(_text, values))}]"


class Column:
    """Rows of text and whole numbers, alone or in lists, whose JSON is kept: any choice of them is hashed at SHA-256's speed.

    A choice is a list of spans (first row, one past the last), none of them empty.
    """

    def __init__(self, rows: Iterable[Any]) -> None:
        text = _text_by_lines(list(rows))[1:-1]  # one call for all: text in rows is escaped, so line ends are separators
        nested = text.startswith("[")
        text = text.replace("],\n[", "]\n[").replace(",\n", ",") if nested else text.replace(",\n", "\n")
        lines = text.split("\n")
        self._bytes = memoryview((",".join(lines) + ",").encode())
        self._starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self._begun = (0, 0, hashlib.sha256(b"[["))

    def feed(self, found: Any, spans: Sequence[tuple[int, int]]) -> None:
        """Put the JSON list of the chosen rows into a hash that was begun."""
        found.update(b"[")
        self._feed(found, spans)

    def _feed(self, found: Any, spans: Sequence[tuple[int, int]]) -> None:
        for first, end in spans[:-1]:
            found.update(self._bytes[self._starts[first] : self._starts[end]])
        for first, end in spans[-1:]:
            found.update(self._bytes[self._starts[first] : self._starts[end] - 1])  # without the last comma
        found.update(b"]")

    def digest(self, spans: Sequence[tuple[int, int]]) -> str:
        """`digest` of the list of the chosen rows."""
        found = hashlib.sha256()
        self.feed(found, spans)
        return found.hexdigest()[:12]

    def begin(self, spans: Sequence[tuple[int, int]]) -> Any:
        """A hash of the beginning of a list of lists, the first being the chosen rows.

        The first span goes on from where that of the last call ended, if it can: when subjects are left out one after
        another, what lies before them is not hashed again for each.
        """
        if len(spans) < 2:
            found = hashlib.sha256(b"[")
            self.feed(found, spans)
            return found
        (first, end), (begun, until, kept) = spans[0], self._begun
        if begun != first or until > end:
            until, kept = first, hashlib.sha256(b"[[")
        kept.update(self._bytes[self._starts[until] : self._starts[end]])
        self._begun = (first, end, kept)
        found = kept.copy()
        self._feed(found, spans[1:])
        return found


def digest_columns(columns: Sequence[Column], spans: Sequence[tuple[int, int]]) -> str:
    """`digest` of a list of lists: of each column the chosen rows."""
    found = columns[0].begin(spans)
    for column in columns[1:]:
        found.update(b",")
        column.feed(found, spans)
    found.update(b"]")
    return found.hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Params(Mapping[str, Any]):
    """Parameters that many stages share, written out once. Raises TypeError where `canonical` does."""

    values_by_name: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    @cached_property
    def text(self) -> str:
        """Their canonical JSON."""
        return _text(canonical(self.values_by_name))


@dataclass(frozen=True)
class Stage:
    """One step of the work. Raise `version` when the code behind `name` starts to give other results."""

    name: str
    version: int | str
    params: Mapping[str, Any] = field(hash=False)
    inputs: tuple[str, ...] = ()

    def identity(self) -> dict[str, Any]:
        """All that enters the key, as JSON types."""
        return {"name": self.name, "version": self.version, "params": canonical(self.params), "inputs": list(self.inputs)}

    @cached_property
    def key(self) -> str:
        """12 hexadecimal digits, equal for equal identities: `digest` of the identity, put together from what is written."""
        params = self.params.text if isinstance(self.params, Params) else _text(canonical(self.params))
        name, version, inputs = _text(self.name), _text(canonical(self.version)), _text_of_list(self.inputs)
        return _hash(f'{{"inputs":{inputs},"name":{name},"params":{params},"version":{version}}}')

    @property
    def seed(self) -> int:
        """A seed below 2**31 that depends on the identity alone."""
        return int(hashlib.sha256(f"seed/{self.key}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF
