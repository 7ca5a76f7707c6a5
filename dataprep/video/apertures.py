"""The part of a stored picture that its container says is to be shown: `clap` of MOV and MP4, PixelCrop of Matroska.

FFmpeg reads both and cuts neither; PyAV passes neither on. So they are read here from the file itself. What cannot be understood
is no crop: FFmpeg has opened the file, and a header of another making is not a reason to refuse it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

_DEEP = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_MOST_BYTES, _MATROSKA_BYTES = 64 << 20, 1 << 20  # of a header that is read at once
_SEGMENT, _TRACKS, _CLUSTER, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE, 0xE0
_CROPS = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}


@dataclass(frozen=True)
class Aperture:
    """Pixels of the stored picture that are cut off on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Width and height that are left of a stored picture of (width, height). Raises ValueError if nothing is."""
        width, height = stored[0] - self.left - self.right, stored[1] - self.top - self.bottom
        if min(width, height) < 1:
            raise ValueError(f"a crop to {width}x{height} of a picture of {stored[0]}x{stored[1]}")
        return width, height

    def of(self, plane: np.ndarray, stored: tuple[int, int]) -> np.ndarray:
        """The plane of a stored picture of (width, height) without what is cut off; of any subsampling, to whole samples."""
        width, height = self.size(stored)
        sx, sy = plane.shape[1] / stored[0], plane.shape[0] / stored[1]
        x0, y0 = round(self.left * sx), round(self.top * sy)
        return plane[y0 : y0 + max(1, round(height * sy)), x0 : x0 + max(1, round(width * sx))]


WHOLE = Aperture()


def of_file(file: IO[bytes], *, format_name: str, track: int, nth: int, stored: tuple[int, int]) -> Aperture:
    """The crop of the file's video number `nth` (from 0), whose pictures are stored as (width, height).

    `track` is its number in MOV and MP4.
    """
    formats = set(format_name.split(","))
    try:
        if "mov" in formats:
            return _of_mov(file, track, stored)
        if "matroska" in formats:
            return _of_matroska(file, nth)
    except (struct.error, ValueError, IndexError, ZeroDivisionError):
        pass
    return WHOLE


def _boxes(data: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the boxes in a piece of a MOV or MP4 file (ISO/IEC 14496-12, 4.2)."""
    while start + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, start)
        head = 16 if size == 1 else 8
        if size == 1:
            size = struct.unpack_from(">Q", data, start + 8)[0]
        size = size or len(data) - start
        if size < head:
            return
        yield name, data[start + head : start + size]
        start += size


def _of_mov(file: IO[bytes], track: int, stored: tuple[int, int]) -> Aperture:
    for name, trak in _boxes(_moov(file)):
        if name != b"trak" or _track_id(trak) != track:
            continue
        for _, entry in _sample_entries(trak):
            for box, clap in _boxes(entry, 78):  # after the fields of a visual sample entry (12.1.3)
                if box == b"clap":
                    return _of_clap(clap, stored)
    return WHOLE


def _moov(file: IO[bytes]) -> bytes:
    position, end = 0, file.seek(0, 2)
    while position + 8 <= end:
        file.seek(position)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 16 if size == 1 else 8
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        size = size or end - position
        if name == b"moov":
            return file.read(min(size - head, _MOST_BYTES))
        if size < head:
            break
        position += size
    return b""


def _track_id(trak: bytes) -> int:
    tkhd = dict(_boxes(trak)).get(b"tkhd", b"")
    return int(struct.unpack_from(">I", tkhd, 20 if tkhd[:1] == b"\x01" else 12)[0])


def _sample_entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, content in _boxes(data):
        if name == b"stsd":
            yield from _boxes(content, 8)
        elif name in _DEEP:
            yield from _sample_entries(content)


def _of_clap(clap: bytes, stored: tuple[int, int]) -> Aperture:
    """Width, height and the offset of the middle, each a fraction (12.1.4)."""
    n = struct.unpack_from(">8i", clap)
    width, height, right, down = (n[k] / n[k + 1] for k in (0, 2, 4, 6))
    left, top = (stored[0] - width) / 2 + right, (stored[1] - height) / 2 + down
    sides = (left, top, stored[0] - left - width, stored[1] - top - height)
    if min(sides) < -0.5 or min(width, height) < 1:  # beyond the picture: FFmpeg takes no notice of it either
        return WHOLE
    return Aperture(*(max(0, round(side)) for side in sides))


def elements(data: bytes, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the content of the elements in a piece of a Matroska file (RFC 8794)."""
    while start < len(data):
        number, start = _coded(data, start, keep_marker=True)
        size, start = _coded(data, start, keep_marker=False)
        end = min(start + size, len(data))
        yield number, start, end
        start = end


def _coded(data: bytes, start: int, *, keep_marker: bool) -> tuple[int, int]:
    length = 9 - data[start].bit_length()
    value = int.from_bytes(data[start : start + length], "big")
    if length > 8 or start + length > len(data):
        raise ValueError("no EBML number")
    marker = 1 << (7 * length)
    if not keep_marker:
        value -= marker
        value = 1 << 62 if value == marker - 1 else value  # a size that is not known
    return value, start + length


def _of_matroska(file: IO[bytes], nth: int) -> Aperture:
    """Reads up to the first cluster: what is there of the tracks is before it."""
    file.seek(0)
    data = file.read(_MATROSKA_BYTES)
    seen = 0
    for entry in _inside(data, _SEGMENT, _TRACKS, _ENTRY):
        for video in _inside(entry, _VIDEO):
            if seen == nth:
                found = {number: int.from_bytes(video[a:b], "big") for number, a, b in elements(video)}
                return Aperture(**{side: found.get(number, 0) for number, side in _CROPS.items()})
            seen += 1
    return WHOLE


def _inside(data: bytes, number: int, *deeper: int) -> Iterator[bytes]:
    """The contents of the elements of that number, or of those inside them."""
    for found, start, end in elements(data):
        if found == _CLUSTER:
            return
        if found == number:
            yield from _inside(data[start:end], *deeper) if deeper else [data[start:end]]
