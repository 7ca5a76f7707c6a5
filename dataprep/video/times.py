"""The time of every decoded picture, also where the container's times are missing or wrong."""

from __future__ import annotations

import heapq
from fractions import Fraction

import av

_NO_TIMES = 0x80  # AVFMT_NOTIMESTAMPS: raw streams
_PRESENTATION = (
    "mov",
    "matroska",
    "mpegts",
    "mpeg",
    "flv",
    "nut",
    "mxf",
    "ivf",
    "ogg",
)  # formats that store the shown times


class Clock:
    """Seconds of the pictures of one stream, in the order in which they are shown.

    A raw stream has none: they are counted at `declared_hz`. Elsewhere a picture has its own presentation time, or that of
    decoding where it has none. AVI and its like store the order of decoding alone, and FFmpeg passes that for presentation:
    there, where pictures are reordered, the first that is shown gets the earliest time stored, the second the next.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self.raw_hz = declared_hz(stream) if is_raw(container) else None
        self.unit_s = float(stream.time_base or 1)
        stored = self.raw_hz is not None or stores_times(container)
        self.decoding_order = not stored and bool(stream.codec_context.has_b_frames)
        self.waiting: list[int] = []
        self.delays: set[int] = set()
        self.shown = 0

    def stored(self, packet: av.Packet) -> None:
        """Register a packet before it is decoded."""
        if not self.decoding_order or not packet.size or packet.dts is None:
            return
        self.delays.add(0 if packet.pts is None else packet.pts - packet.dts)
        heapq.heappush(self.waiting, packet.dts if packet.pts is None else packet.pts)
        if len(self.delays) > 1:  # presentation times after all
            self.decoding_order = False

    def time_s(self, picture: av.VideoFrame) -> float | None:
        """The time of the next picture; None if it is unknown."""
        self.shown += 1
        if self.raw_hz is not None:
            return float((self.shown - 1) / self.raw_hz)
        at = picture.pts if picture.pts is not None else picture.dts
        if self.decoding_order and self.waiting:
            at = heapq.heappop(self.waiting)
        return None if at is None else at * self.unit_s


def stores_times(container: av.container.InputContainer) -> bool:
    """Whether the container stores when pictures are shown, not only when they are decoded."""
    return bool(set(container.format.name.split(",")) & set(_PRESENTATION))


def is_raw(container: av.container.InputContainer) -> bool:
    """Whether the file is a bare stream, without any container's clock."""
    return bool(container.format.flags & _NO_TIMES)


def declared_hz(stream: av.VideoStream) -> Fraction | None:
    """The rate that a bare stream declares in its own headers; None if it does not."""
    return stream.codec_context.framerate or None
