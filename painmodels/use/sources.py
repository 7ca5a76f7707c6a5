"""Live sources: cameras, network streams, pipes, and laboratory streams (LSL), as frames and samples with their times.

| video                            | is                                                            |
|----------------------------------|---------------------------------------------------------------|
| `camera`, `camera:1`             | the first, the second camera of this machine                  |
| `rtsp://…`, `http://…`, `udp://…`| a network stream, by FFmpeg                                   |
| `-`                              | a video from the standard input, such as Matroska or MPEG-TS  |

| signals                          | is                                                            |
|----------------------------------|---------------------------------------------------------------|
| `lsl:NAME`                       | a stream of the Lab Streaming Layer (`pip install pylsl`)     |
| `-`                              | lines of numbers from the standard input, after a header of channel names; rates are given |

Time 0 is when reading began. A frame's time is when the first one came plus the difference of their own times; LSL gives times
that are corrected to this machine's clock. Of a camera or a network stream frames are left out if they come faster than they
are judged; a pipe waits.
"""

from __future__ import annotations

import importlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import av
import numpy as np

from dataprep.records import InputError
from dataprep.video.decode import DECODERS, Frame
from dataprep.video.streams import Opened

CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
OPEN_S = 10.0
"""How long a source may take to appear, in s."""


@dataclass(frozen=True)
class Frames:
    """A frame at its time since the start."""

    at_s: float
    frame: Frame


@dataclass(frozen=True)
class Samples:
    """Samples of some channels, from a time on; None: they follow those before."""

    at_s: float | None
    values: dict[str, np.ndarray]


Piece = Frames | Samples
Source = Callable[[float], Iterator[Piece]]
"""Called with the time (`time.monotonic()`) that is 0."""


def is_running(name: str | None) -> bool:
    """Whether this names a live source, not a file."""
    return name is not None and (name == "-" or name.partition(":")[0] in ("camera", "lsl") or "://" in name)


def video_source(name: str) -> Source:
    """Frames of a camera, a network stream or the standard input. Reading raises InputError if it cannot be opened."""

    def read(start_s: float) -> Iterator[Piece]:
        container = _opened(name)
        if not container.streams.video:
            raise InputError(f"{name}: found no video stream, expected one")
        first_s = None
        opened = Opened(container=container, stream=container.streams.video[0], rate_hz=0.0, declared=0, length_s=0.0)
        for frame in DECODERS["pyav"](Path(name), name, opened):
            first_s = time.monotonic() - start_s if first_s is None else first_s
            yield Frames(max(0.0, first_s) + frame.time_s, frame)

    return read


def _opened(name: str) -> Any:
    kind, _, rest = name.partition(":")
    try:
        if name == "-":
            return av.open("pipe:0")
        if kind == "camera":
            if sys.platform not in CAMERAS:
                raise InputError(f"{name}: cameras are read on {' and '.join(CAMERAS)}, found {sys.platform}")
            format_, device = CAMERAS[sys.platform]
            return av.open(device.format(rest or "0"), format=format_)
        options = {"rtsp_transport": "tcp"} if kind == "rtsp" else {}
        return av.open(name, options=options, timeout=OPEN_S)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: cannot be opened ({error}), expected a video that can be read") from None


def pipe_source(lines: TextIO, *, channels: Sequence[str]) -> Source:
    """Samples from lines: a header of channel names, then a row of numbers a sample; TAB, comma or blanks between."""

    def split(line: str) -> list[str]:
        return line.replace(",", " ").split()

    def read(_: float) -> Iterator[Piece]:
        header = split(lines.readline())
        lacking = [c for c in channels if header.count(c) != 1]
        if lacking:
            seen = " ".join(header)[:80]
            raise InputError(f"-: found the header {seen!r}, expected one column each of {', '.join(channels)}")
        for n, line in enumerate(lines, start=2):
            row = split(line)
            try:
                values = [float(row[header.index(c)]) for c in channels]
            except (ValueError, IndexError):
                raise InputError(f"-: line {n}: found {line.strip()[:60]!r}, expected {len(header)} numbers") from None
            yield Samples(None, {c: np.array([x]) for c, x in zip(channels, values, strict=True)})

    return read


def lsl_source(name: str, *, channels: Sequence[str]) -> tuple[Source, dict[str, float]]:
    """Samples of the LSL stream `lsl:NAME`, and each channel's rate in Hz.

    Channels are found by their labels, in any case; where none has one, they are taken in order, if there are as many.
    Raises InputError if pylsl is not installed, or no such stream is there.
    """
    try:
        pylsl: Any = importlib.import_module("pylsl")
    except (ImportError, RuntimeError) as error:  # RuntimeError: without its library
        raise InputError(f"{name}: pylsl is not there ({error}): pip install 'pain-grid[lsl]'") from None
    wanted = name.removeprefix("lsl:")
    found = pylsl.resolve_byprop("name", wanted, timeout=OPEN_S)
    if not found:
        others = sorted({info.name() for info in pylsl.resolve_streams(1.0)})
        raise InputError(f"{name}: found the LSL streams {', '.join(others) or 'none'}, expected {wanted!r}")
    inlet = pylsl.StreamInlet(found[0], processing_flags=pylsl.proc_clocksync | pylsl.proc_dejitter)
    info = inlet.info(timeout=OPEN_S)
    rate_hz = float(info.nominal_srate())
    columns = lsl_columns(name, labels(info), channels=channels)
    if not rate_hz > 0:
        raise InputError(f"{name}: found a stream without a regular rate, expected samples at a rate")

    def read(start_s: float) -> Iterator[Piece]:
        ahead_s = pylsl.local_clock() - time.monotonic()
        known_s: float | None = None  # the time after the last sample
        while True:
            rows, stamps = inlet.pull_chunk(timeout=0.2, max_samples=round(rate_hz) or 1)
            if not stamps:
                continue
            at_s = stamps[0] - ahead_s - start_s
            early = int(np.ceil(max(0.0, -at_s) * rate_hz))  # buffered before the start
            x = np.asarray(rows, dtype=np.float64)[early:]
            if not len(x):
                continue
            at_s += early / rate_hz
            lost = known_s is None or at_s - known_s > max(0.05, 1.5 / rate_hz)
            yield Samples(at_s if lost else None, {c: x[:, columns[c]] for c in channels})
            known_s = (at_s if lost or known_s is None else known_s) + len(x) / rate_hz

    return read, dict.fromkeys(channels, rate_hz)


def labels(info: Any) -> list[str]:
    """The labels of an LSL stream's channels; empty ones where it gives none."""
    out, node = [], info.desc().child("channels").child("channel")
    for _ in range(info.channel_count()):
        out.append(node.child_value("label"))
        node = node.next_sibling()
    return out


def lsl_columns(name: str, labels: Sequence[str], *, channels: Sequence[str]) -> dict[str, int]:
    """Channel -> column. Raises InputError if they cannot be told."""
    lower = [label.lower() for label in labels]
    if not any(lower) and len(lower) == len(channels):
        return {c: k for k, c in enumerate(channels)}
    lacking = [c for c in channels if lower.count(c) != 1]
    if lacking:
        seen = ", ".join(repr(label) for label in labels)
        raise InputError(f"{name}: found channels labelled {seen}, expected one each of {', '.join(channels)}")
    return {c: lower.index(c) for c in channels}


def together(sources: Mapping[str, Source], *, waits: Mapping[str, bool]) -> Iterator[Piece]:
    """The pieces of several sources as they come, each read by a thread of its own, until all have ended.

    `waits`: whether a source may be kept waiting; of another the oldest frame is left out where more than a few are waiting.
    What a source raises is raised here.
    """
    came: queue.Queue[tuple[str, Piece | None, BaseException | None]] = queue.Queue()
    start_s = time.monotonic()
    room = {name: threading.BoundedSemaphore(64) for name in sources}
    stopped = threading.Event()

    def run(name: str, source: Source) -> None:
        error: BaseException | None = None
        try:
            for piece in source(start_s):
                drop = not waits[name] and isinstance(piece, Frames)
                if not room[name].acquire(blocking=False):
                    if drop:
                        continue
                    while not room[name].acquire(timeout=0.5):
                        if stopped.is_set():
                            return
                if stopped.is_set():
                    return
                came.put((name, piece, None))
        except BaseException as caught:
            error = caught
        came.put((name, None, error))

    for name, source in sources.items():
        threading.Thread(target=run, args=(name, source), daemon=True).start()
    left = len(sources)
    try:
        while left:
            name, piece, error = came.get()
            if error is not None:
                raise error
            if piece is None:
                left -= 1
                continue
            room[name].release()
            yield piece
    finally:
        stopped.set()
