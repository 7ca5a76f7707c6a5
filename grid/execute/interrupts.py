"""Ctrl-C and SIGTERM: both end a run alike, and are held back where a library cannot stand them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a run that was asked to end by SIGTERM, as schedulers of clusters do."""


def end_on_sigterm() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does. To be said again after `ray.init`, which has a handler of its own."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_interrupt)


@contextmanager
def sigterm_noted() -> Iterator[list[int]]:
    """SIGTERM is a Ctrl-C inside; it is in the list if there was one. What was there before comes back at the end."""
    before = signal.getsignal(signal.SIGTERM)
    _noted.clear()
    end_on_sigterm()
    try:
        yield _noted
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


_noted: list[int] = []


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    _noted.append(number)
    of_interrupts = signal.getsignal(signal.SIGINT)
    if not callable(of_interrupts):  # a shell's background ignores Ctrl-C
        raise KeyboardInterrupt
    of_interrupts(signal.SIGINT, frame)


@contextmanager
def held_back() -> Iterator[None]:
    """Raises KeyboardInterrupt at its end if there was a Ctrl-C inside; a second one acts at once.

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
