"""Ctrl-C and SIGTERM: both end a run alike, and are held back where a library cannot stand them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a run that was asked to end by SIGTERM, as schedulers of clusters do."""


@contextmanager
def sigterm_noted() -> Iterator[list[int]]:
    """Inside, SIGTERM ends what runs as Ctrl-C does; the list is not empty if there was one. The handler before comes back."""
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    _noted.clear()
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        yield _noted
    finally:
        signal.signal(signal.SIGTERM, before)


def take_sigterm_back() -> None:
    """After a library's C code may have taken SIGTERM, which Python is not told of: it is noted again, if it was."""
    if signal.getsignal(signal.SIGTERM) is _as_interrupt:
        signal.signal(signal.SIGTERM, _as_interrupt)


def unless_noted(set_handler: Callable[[Any], None]) -> Callable[[Any], None]:
    """A library's way to take SIGTERM for itself, without effect inside `sigterm_noted`."""

    def set_if_free(handler: Any) -> None:
        if signal.getsignal(signal.SIGTERM) is not _as_interrupt:
            set_handler(handler)

    return set_if_free


_noted: list[int] = []


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    _noted.append(number)
    of_interrupts = signal.getsignal(signal.SIGINT)
    if not callable(of_interrupts):  # a shell's background ignores Ctrl-C
        raise KeyboardInterrupt
    of_interrupts(signal.SIGINT, frame)


@contextmanager
def held_back() -> Iterator[None]:
    """Raises KeyboardInterrupt at its end if there was a Ctrl-C, or a SIGTERM that is noted, inside; a second one acts at once.

    Ray that is interrupted while it starts ends its process by a segmentation fault. Outside the main thread nothing is
    held back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    met = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal met
        if met:
            raise KeyboardInterrupt
        met = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if met:
        raise KeyboardInterrupt
