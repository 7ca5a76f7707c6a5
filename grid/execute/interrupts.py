"""Ctrl-C where a library cannot stand it: it is held back until that is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
