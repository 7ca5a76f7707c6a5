"""Two decoders, one contract: the same frames in the same order, upright and in one size; windows cut by the two differ by less
than 3 grey levels on average (rounding and chroma filters).

    pyav    FFmpeg through PyAV, hands out native planes, refuses damaged frames (https://pyav.basswood-io.com)
    decord  hands out RGB pictures, conceals damage (https://github.com/dmlc/decord); what it would misread is refused:
            MPEG streams, bare streams, reordered pictures in AVI, another stream than the one it takes
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Iterator, Mapping
from fractions import Fraction
from typing import IO, Any

import av
import cv2  # noqa: F401  (before decord: its zlib would serve libpng in OpenCV, and fail)
import numpy as np

from dataprep.records import RecordingError
from dataprep.storage import Place
from dataprep.video import colours
from dataprep.video.frames import Frame
from dataprep.video.orientation import UPRIGHT, Orientation, of_matrix, same_shape, shown_size
from dataprep.video.streams import Opened
from dataprep.video.times import Clock, is_raw, stores_times

try:
    import decord
except ImportError:  # it has builds for x86-64 alone
    decord = None
Source = str | IO[bytes]  # a file of this machine, or a copy of one in a bucket


class View:
    """How the pictures of one stream are shown. All frames get the size of the first: one that another run begins with is no
    other than the one it continues with."""

    def __init__(self, path: Place, opened: Opened) -> None:
        self.path = path
        self.container_aspect = opened.aspect
        self.aperture = opened.aperture
        self.stored = (opened.stream.codec_context.width, opened.stream.codec_context.height)
        self.context = opened.stream.codec_context
        self.codec_aspect = self.context.sample_aspect_ratio or Fraction(1)
        self.size: tuple[int, int] | None = None
        self.seen: tuple[object, ...] | None = None

    def of(self, picture: av.VideoFrame, n: int) -> tuple[Orientation, tuple[int, int]]:
        """Orientation and shown size of frame `n`. Raises RecordingError where it is not the shape of the first."""
        matrix = picture.side_data.get("DISPLAYMATRIX")
        try:
            orientation = UPRIGHT if matrix is None else of_matrix(_numbers(matrix))
            stored = (picture.width, picture.height)
            if self.aperture:
                if stored != self.stored:
                    raise ValueError(
                        f"a picture of {stored[0]}x{stored[1]} under a crop of {self.stored[0]}x{self.stored[1]}"
                    )
                stored = self.aperture.size(stored)
            size = shown_size(stored, self.container_aspect, orientation)
        except ValueError as error:
            raise RecordingError(
                f"{self.path}: frame {n}: found {error}, expected quarter turns, mirrors and crops of real pixels"
            ) from None
        aspect = self.context.sample_aspect_ratio or Fraction(1)
        self.size = self.size or size
        if not same_shape(size, self.size):
            seen, first = (f"{w}x{h}" for w, h in (size, self.size))
            raise RecordingError(f"{self.path}: frame {n} is shown {seen}, the first {first}; expected one shape of picture")
        if aspect != self.codec_aspect and self.container_aspect in (None, self.codec_aspect):
            now, before = (f"{a.numerator}:{a.denominator}" for a in (aspect, self.codec_aspect))
            seen = f"{now}, those before {before}"
            raise RecordingError(f"{self.path}: from about frame {n} on pixels are {seen}; expected one shape of picture")
        return orientation, self.size


def _numbers(matrix: Any) -> np.ndarray:
    return np.frombuffer(matrix, np.int32)


def read_pyav(path: Place, _: Source, opened: Opened) -> Iterator[Frame]:
    """The frames of an opened file, decoded by FFmpeg. Raises RecordingError where the stream is damaged."""
    view = View(path, opened)
    first_s: float | None = None
    for n, (at_s, picture) in enumerate(pictures(path, opened)):
        first_s = at_s if first_s is None else first_s
        yield of_picture(path, picture, n, view, at_s - first_s)


def pictures(path: Place, opened: Opened, *, whole: bool = True) -> Generator[tuple[float, av.VideoFrame], None, None]:
    """(time in the file's seconds, picture) of all that follows where the file stands. Raises RecordingError.

    `whole`: it stands at its beginning; else the pictures before the first key frame are left out, since they need earlier ones.
    """
    container, stream = opened.container, opened.stream
    # Parallel work is over clips, one thread each: many decoders of one thread beat one decoder of many.
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    clock = Clock(container, stream)
    first_s: float | None = None
    last_s, n = 0.0, 0

    def where(at_s: float | None) -> str:
        return f"{path}: frame {n}" if whole or at_s is None else f"{path}: the frame at {at_s:.3f} s"

    with container:
        try:
            for packet in container.demux(stream):
                clock.stored(packet)
                for picture in packet.decode():
                    at_s = clock.time_s(picture)
                    if first_s is None and not whole and not picture.key_frame:
                        continue
                    if picture.is_corrupt:
                        raise RecordingError(f"{where(at_s)} is damaged, expected an intact stream")
                    if at_s is None:
                        raise RecordingError(f"{where(at_s)} has no time, expected one for every frame")
                    first_s = at_s if first_s is None else first_s
                    if at_s - first_s < last_s:
                        raise RecordingError(
                            f"{where(at_s)} is shown at {at_s - first_s:.3f} s, the one before it at {last_s:.3f} s; "
                            "expected times that ascend"
                        )
                    last_s = at_s - first_s
                    yield at_s, picture
                    n += 1
        except av.FFmpegError as error:
            raise blamed(error, f"{path}: decoding stopped ({error}); expected an intact stream") from None


def of_picture(path: Place, picture: av.VideoFrame, n: int, view: View, time_s: float) -> Frame:
    """The picture as it is shown."""
    orientation, size = view.of(picture, n)
    try:
        planes, to_rgb = colours.planes(picture)
    except ValueError as error:
        raise RecordingError(
            f"{path}: frame {n}: found {error}, expected BT.601, BT.709 or BT.2020 of standard range"
        ) from None
    if view.aperture:
        planes = tuple(view.aperture.of(plane, (picture.width, picture.height)) for plane in planes)
    shown = tuple(orientation.of(plane) for plane in planes)
    return Frame(time_s=time_s, planes=shown, to_rgb=to_rgb, shown=size, interlaced=picture.interlaced_frame)


def read_decord(path: Place, source: Source, opened: Opened) -> Iterator[Frame]:
    """The frames of an opened file, decoded by decord. Raises RecordingError where it would misread or cannot read them."""
    with opened.container:
        reason = _misread(opened)
        if reason:
            raise RecordingError(f"{path}: found {reason}, which decord cannot read; expected decoder 'pyav'")
        orientation, size = _probed(path, opened)
    try:
        reader = decord.VideoReader(_from_start(source), num_threads=1)
        times_s = np.asarray(reader.get_frame_timestamp(range(len(reader))), dtype=np.float64)[:, 0]
        # Frames before 0 are cut away by an edit list: they are not handed out, but they are counted.
        times_s = times_s[times_s > -1e-6]
        for time_s in times_s:
            rgb = orientation.of(reader.next().asnumpy())
            yield Frame(float(time_s - times_s[0]), (rgb,), None, size)
    except (decord.DECORDError, RuntimeError, AssertionError, StopIteration) as error:
        reason = (str(error).splitlines() or ["end of file"])[-1]
        raise RecordingError(f"{path}: decoding stopped ({reason}); expected an intact stream") from None


def not_here(decoder: str, *, cut: bool = False) -> str:
    """Why a known decoder cannot be used on this machine, or for a part of a file; empty if it can."""
    if decoder == "decord" and cut:
        return "decord reads whole files, and these trials are cut out of long videos; expected 'pyav'"
    if decoder == "decord" and decord is None:
        return "decord is not installed here (it has builds for x86-64 alone), expected 'pyav'"
    return ""


def _misread(opened: Opened) -> str | None:
    """The reason why decord would misread the file without an error, or cannot read it; None if it can."""
    container, stream = opened.container, opened.stream
    if opened.aperture:
        return "a picture of which the container shows a part (a clean aperture or crop)"
    if container.format.name in ("mpeg", "mpegts", "ivf"):
        # It drops the first group of pictures and repeats the last frame instead.
        return f"{container.format.name.upper()}, a stream without an index"
    if is_raw(container):
        return "a bare stream without times"
    codec = stream.codec_context.codec.canonical_name
    if codec in ("av1", "vvc", "evc"):
        return codec.upper()
    if not stores_times(container) and (codec in ("h264", "hevc") or stream.codec_context.has_b_frames):
        return f"{codec.upper()} in {container.format.name.upper()}, which stores no times of reordered pictures"
    if opened.several and container.streams.best("video") is not stream:
        return "several streams of pictures, of which another is taken"
    return None


def _probed(path: Place, opened: Opened) -> tuple[Orientation, tuple[int, int]]:
    """What is left to do for decord's pictures, and their shown size. decord itself undoes the quarter turns of MOV and MP4,
    taking mirrors for turns; it says nothing of a size that changes, so that key frames are looked at by FFmpeg."""
    container, stream = opened.container, opened.stream
    view = View(path, opened)
    first: tuple[Orientation, tuple[int, int]] | None = None
    own, first_s = 0, 0.0
    try:
        for picture in container.decode(stream):
            at_s = picture.time or 0.0
            first_s = at_s if first is None else first_s
            orientation, size = view.of(picture, round((at_s - first_s) * opened.rate_hz))
            if first is None:
                first = (orientation, size)
                own = round(picture.rotation / 90) % 4 if "mov" in container.format.name.split(",") else 0
                colours.planes(picture)
                stream.codec_context.skip_frame = "NONKEY"  # not before: an edit list may hide the first one
            elif orientation != first[0]:
                raise RecordingError(f"{path}: found pictures turned in different ways, expected decoder 'pyav'")
    except av.FFmpegError as error:
        raise blamed(error, f"{path}: decoding stopped ({error}); expected an intact stream") from None
    except RecordingError:
        raise
    except ValueError as error:
        raise RecordingError(f"{path}: found {error}, expected BT.601, BT.709 or BT.2020 of standard range") from None
    if first is None:
        raise RecordingError(f"{path}: found no frame, expected at least one")
    return first[0].after(own), first[1]


_OF_THE_MACHINE = frozenset(
    [errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR]  # noqa: RUF005
    + [errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ECONNRESET]
)


def blamed(error: av.FFmpegError, sentence: str) -> Exception:
    """FFmpeg's error as that of the recording, or, where its number is one of the system's, as what it is."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return OSError(error.errno, sentence)
    return RecordingError(sentence)


def _from_start(source: Source) -> Source:
    if not isinstance(source, str):
        source.seek(0)
    return source


DECODERS: Mapping[str, Callable[[Place, Source, Opened], Iterator[Frame]]] = {
    "pyav": read_pyav,
    "decord": read_decord,
}
