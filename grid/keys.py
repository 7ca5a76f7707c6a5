"""Identity: a `Stage` is a name, a version, parameters and the keys of its inputs; its key is a hash of just these.

What a result is made with enters the key; where and how it is computed (machine, device, path, address, number of workers)
never does. Seeds derive from keys, so that a fit draws the same numbers wherever it runs.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


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
    return _hash(canonical(value))


def digest_rows(*tables: Sequence[Sequence[str]] | Sequence[str] | Sequence[int]) -> str:
    """`digest` of a list of tables of text and whole numbers alone, such as trial ids: ten times as fast, the same digits."""
    return _hash(tables)


def _hash(plain: Any) -> str:
    text = json.dumps(plain, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
        """12 hexadecimal digits, equal for equal identities."""
        return digest(self.identity())

    @property
    def seed(self) -> int:
        """A seed below 2**31 that depends on the identity alone."""
        return int(hashlib.sha256(f"seed/{self.key}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF
