"""What a command is called in its help and messages: `pain-grid launch`, or `python -m grid.launch` where it was started so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_called: list[str] = []


@contextmanager
def called(name: str) -> Iterator[None]:
    """Within this context the running command is called `name`."""
    _called.append(name)
    try:
        yield
    finally:
        _called.pop()


def program(module: str) -> str:
    """The name of the running command, whose module is `module`."""
    return _called[-1] if _called else f"python -m {module}"
