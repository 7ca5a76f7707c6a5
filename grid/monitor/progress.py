"""Progress of a run: done, running, to do and an ETA; bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 15.0
RECENT = 64
"""So many pieces of work, the latest ones, say how fast it goes: costly fits come first, and cheap ones follow."""


def tell_first(lines: Sequence[str], file: str) -> None:
    """Print the first five, and how many more the result folder's `file` lists when the run ends."""
    for line in lines[:5]:
        print(line)
    if len(lines) > 5:
        print(f"… and {len(lines) - 5} more: {file} lists all of them when the run has ended")


class Display:
    """One bar at a time. Use as a context manager around a phase; `advance` after each finished piece of work.

    `there`: so many of the pieces are stored, and only read.
    """

    def __init__(self, title: str, total: int, *, unit: str, there: int = 0) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.there = f"{there} there already" if there else ""
        self.to_do = total - there
        self.done = self.failed = self.running = 0
        self.console = Console(soft_wrap=True, highlight=False)
        self.live = self.console.is_terminal
        self.started = self.last_line = time.monotonic()
        self.ended: deque[float] = deque(maxlen=RECENT)
        self.left_s: float | None = None
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=self.console,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Display:
        if self.live:
            self.bars.start()
            self.task = self.bars.add_task(
                f"{self.title} ({self.there})" if self.there else self.title, total=self.total, state="", eta=""
            )
        else:
            there = f", {self.there}" if self.there else ""
            self.console.print(f"{self.title}: {self.to_do} {self.unit} to do{there}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self.bars.stop()
        elif kind is None:
            self._line()

    def advance(self, *, failed: bool = False, running: int = 0, total: int = 0, left_s: float | None = None) -> None:
        """One piece of work is over; `running` are still being worked on; `total` is the new total, if it has grown.

        `left_s`: how long the rest takes, where the caller knows better than by counting pieces.
        """
        self.total, self.left_s = total or self.total, left_s
        self.done += 1
        self.ended.append(time.monotonic())
        self.failed += failed
        self.running = running
        if self.live and self.task is not None:
            self.bars.update(self.task, completed=self.done, total=self.total, state=self._state(), eta=self._eta())
        elif time.monotonic() - self.last_line > QUIET_SECONDS:
            self._line()

    def say(self, text: str) -> None:
        """A line of its own, above the bar."""
        (self.bars.console if self.live else self.console).print(f"  {text}", markup=False)

    def _state(self) -> str:
        parts = [f"{self.running} running"] if self.running else []
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """The estimated time left; None before the first piece is done, since that time includes the start of workers."""
        if self.done >= self.total:
            return None
        if self.left_s is not None:
            return self.left_s
        if len(self.ended) < 2:
            return None
        return (self.ended[-1] - self.ended[0]) / (len(self.ended) - 1) * (self.total - self.done)

    def _line(self) -> None:
        self.last_line = time.monotonic()
        spent = self.last_line - self.started
        state = f" ({self._state()})" if self._state() else ""
        eta = f", {self._eta()}" if self._eta() else ""
        self.console.print(f"  {self.title}: {self.done}/{self.total} {self.unit}{state}, {spent:.0f} s{eta}")

    def _eta(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f"ETA {left:.0f} s" if left < 600 else f"ETA {left / 60:.0f} min"


class Hashing:
    """A display of files being hashed, which appears with the first of them: a repeat hashes none."""

    def __init__(self) -> None:
        self.display: Display | None = None

    def __enter__(self) -> Hashing:
        return self

    def progress(self, done: int, total: int) -> None:
        """So many of the files that have to be hashed are."""
        if self.display is None:
            self.display = Display("hashing", total, unit="files").__enter__()
        self.display.advance()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.display is not None:
            self.display.__exit__(kind, error, trace)
