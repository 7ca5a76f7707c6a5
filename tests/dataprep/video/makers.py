"""Clips as cameras and tools write them, all of one drawn face, and the comparison of any of them with the plain one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from dataprep.synthetic import face as synthetic_face
from dataprep.video import apertures
from dataprep.video.decode import open_video, steps

N, RATE, SIZE = 20, 25, (320, 240)

Change = Callable[[np.ndarray], np.ndarray]
# name -> display matrix (a, b, c, d), and how the picture is stored so that the matrix brings it back
ORIENTATIONS: dict[str, tuple[tuple[int, int, int, int], Change]] = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "turned left": ((0, -1, 1, 0), lambda p: np.rot90(p, -1)),
    "upside down": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "turned right": ((0, 1, -1, 0), lambda p: np.rot90(p)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "flipped": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


@cache
def face() -> tuple[np.ndarray, ...]:
    """The face: N pictures of SIZE, RGB. Its mouth and brows move."""
    rng = np.random.default_rng(3)
    person = synthetic_face.draw_person(rng, expressive=True)
    pictures = synthetic_face.frames(person, rng, level=1.0, size=SIZE)
    return tuple(np.asarray(p) for p, _ in zip(pictures, range(60 + N), strict=False))[60:]


@dataclass(frozen=True)
class Kind:
    """How a clip is written. `sar`: its pixels' shape. `times`: when each picture is shown, in 1/1000 s (default: RATE)."""

    codec: str = "libx264"
    pixels: str = "yuv420p"
    orientation: str = "upright"
    sar: Fraction | None = None
    rate: Fraction | int = RATE
    matrix: int = 0
    full: bool = False
    times: tuple[int, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    container: str | None = None
    container_options: dict[str, str] = field(default_factory=dict)


def write(path: Path, kind: Kind, pictures: Sequence[np.ndarray] | None = None) -> Path:
    """Write the face, or other pictures, as that kind of clip."""
    (a, b, c, d), stored = ORIENTATIONS[kind.orientation]
    with av.open(str(path), "w", format=kind.container, options=kind.container_options) as container:
        stream: Any = container.add_stream(kind.codec, rate=kind.rate, options=kind.options)
        made = [_squeezed(stored(p), kind.sar) for p in (face() if pictures is None else pictures)]
        stream.height, stream.width = made[0].shape[:2]
        stream.pix_fmt = kind.pixels
        if kind.sar:
            stream.codec_context.sample_aspect_ratio = kind.sar
        if kind.orientation != "upright":
            stream.set_display_matrix([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30])
        if kind.matrix:
            stream.codec_context.colorspace = kind.matrix
        if kind.full:
            stream.codec_context.color_range = 2
        if kind.times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for n, picture in enumerate(made):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if kind.pixels != "rgb24":
                colours: dict[str, Any] = {"dst_colorspace": kind.matrix} if kind.matrix else {}
                frame = frame.reformat(format=kind.pixels, dst_color_range=2 if kind.full else 1, **colours)
            if kind.times:
                frame.pts, frame.time_base = kind.times[n], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = n, 1 / Fraction(kind.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _squeezed(picture: np.ndarray, sar: Fraction | None) -> np.ndarray:
    if not sar:
        return picture
    height, width = picture.shape[:2]
    size = (round(width / sar) // 2 * 2, height) if sar > 1 else (width, round(height * sar) // 2 * 2)
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def pictures_of(path: Path, *, decoder: str = "pyav", stream: int = -1) -> tuple[np.ndarray, list[float]]:
    """The whole of every frame, (n, 120, 160, 3), as it is shown, and the times in s."""
    frames = list(steps(open_video(path, decoder=decoder, stream=stream)))
    whole = [f.window((0, 0, f.width, f.height), width=160, height=120) for f in frames]
    return np.stack(whole), [f.time_s for f in frames]


@cache
def plain(folder: Path) -> tuple[np.ndarray, list[float]]:
    """The plain clip, read: MP4, H.264, 4:2:0, square pixels, upright."""
    return pictures_of(write(folder / "plain.mp4", Kind()))


def difference(path: Path, folder: Path, *, decoder: str = "pyav") -> float:
    """The largest mean difference of a frame from the plain clip's, in grey levels. Number and shape must be the same."""
    first = next(iter(open_video(path, decoder=decoder).frames))
    assert abs(first.width / first.height / (SIZE[0] / SIZE[1]) - 1) < 0.02
    found, _ = pictures_of(path, decoder=decoder)
    expected, _ = plain(folder)
    assert len(found) == len(expected)
    return float(np.abs(found.astype(int) - expected).mean(axis=(1, 2, 3)).max())


def with_clap(path: Path, size: tuple[int, int], offset: tuple[int, int]) -> Path:
    """A MOV or MP4 whose header is at its end, given a clean aperture: its size, and twice its middle from the picture's."""
    numbers = [value for n, of in ((size[0], 1), (size[1], 1), (offset[0], 2), (offset[1], 2)) for value in (n, of)]
    clap = struct.pack(">I4s8i", 40, b"clap", *numbers)
    data = path.read_bytes()
    at = data.rindex(b"stsd") + 12  # the sample entry
    size_of = struct.unpack_from(">I", data, at)[0]
    data = data[: at + size_of] + clap + data[at + size_of :]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        data = _longer(data, data.rindex(name) - 4, 40)
    path.write_bytes(_longer(data, at, 40))
    return path


def _longer(data: bytes, at: int, by: int) -> bytes:
    return data[:at] + struct.pack(">I", struct.unpack_from(">I", data, at)[0] + by) + data[at + 4 :]


def with_pixel_crop(path: Path, left: int, top: int, right: int, bottom: int) -> Path:
    """A Matroska file, given a crop. Its index goes: places in the file have moved."""
    crops = [(0x54CC, left), (0x54BB, top), (0x54DD, right), (0x54AA, bottom)]

    def rebuilt(data: bytes, masters: tuple[int, ...]) -> bytes:
        out = b""
        for number, start, end in apertures.elements(data):
            content = data[start:end]
            if masters and number == masters[0]:
                content = rebuilt(content, masters[1:])
                if len(masters) == 1:
                    content += b"".join(element(n, value.to_bytes(2, "big")) for n, value in crops)
            if number not in (0xBF, 0x114D9B74, 0x1C53BB6B):  # checksums, the table of contents, the index
                out += element(number, content)
        return out

    def element(number: int, content: bytes) -> bytes:
        return number.to_bytes((number.bit_length() + 7) // 8, "big") + (len(content) | 1 << 56).to_bytes(8, "big") + content

    path.write_bytes(rebuilt(path.read_bytes(), (0x18538067, 0x1654AE6B, 0xAE, 0xE0)))
    return path


def two_parts(path: Path, parts: list[tuple[list[np.ndarray], Fraction]]) -> Path:
    """A stream whose picture size or pixel shape changes where the second part begins."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.height, stream.width = parts[0][0][0].shape[:2]
        stream.pix_fmt, n = "yuv420p", 0
        for pictures, sar in parts:
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.height, encoder.width = pictures[0].shape[:2]
            encoder.pix_fmt, encoder.time_base, encoder.framerate, encoder.max_b_frames = "yuv420p", Fraction(1, 25), 25, 0
            encoder.sample_aspect_ratio = sar
            encoder.options = {"x264-params": "annexb=1:repeat-headers=1"}
            packets = []
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base, n = n, Fraction(1, 25), n + 1
                packets += encoder.encode(frame)
            for packet in packets + encoder.encode(None):
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                container.mux(packet)
    return path


def with_streams(path: Path, streams: list[tuple[str, list[np.ndarray], int]]) -> Path:
    """A file with several streams of pictures: codec, pictures, and flags."""
    with av.open(str(path), "w") as container:
        made = []
        for codec, pictures, flags in streams:
            stream: Any = container.add_stream(codec, rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = flags
            made.append(stream)
        for stream, (_, pictures, _) in zip(made, streams, strict=True):
            for n, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = n, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path
