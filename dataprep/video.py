"""Video files as a stream of frames in the decoder's own planes, and windows cut out of them.

A frame is kept as it was decoded (YUV planes, or one RGB picture): only the window that is looked at is resized and
converted to RGB, which is what makes preparing nearly as fast as decoding. Two decoders, one contract: the same frames
in the same order; windows cut by the two differ by less than 3 grey levels on average (rounding and chroma filters).

    pyav    FFmpeg through PyAV, hands out native planes, refuses damaged frames (https://pyav.basswood-io.com)
    decord  hands out RGB pictures, conceals damage, reads no MPEG program streams (https://github.com/dmlc/decord)

Colours follow the file's matrix and range; unmarked files are BT.601, limited range, which is FFmpeg's own rule.
Coordinates are continuous, in pixels of the full picture: (0, 0) is the outer corner of the first pixel.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import av
import cv2
import decord
import numpy as np
from av.container import InputContainer

from dataprep.places import Place, Remote, fetched, place
from dataprep.records import InputError, RecordingError

Box = tuple[float, float, float, float]
Source = str | IO[bytes]  # a file of this machine, or a copy of one in a bucket

VERSION = 2  # raise when the same file may give other frames or other window pixels
RATE_TOLERANCE = 0.02
LEAST_RATE = 0.4  # of a video, in parts of the clock's: below, a frame would be held for over two and a half steps
# A header may promise a few frames that an edit list hides; a file with a tenth missing was cut off.
COMPLETE_SHARE = 0.9


@dataclass(frozen=True)
class Frame:
    """One decoded picture, `time_s` after the first. `planes`: (Y, U, V), each (h, w) uint8, with `to_rgb` (3, 4);
    or a single (h, w, 3) RGB picture with `to_rgb` None."""

    time_s: float
    planes: tuple[np.ndarray, ...]
    to_rgb: np.ndarray | None

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    def window(self, box: Box, *, width: int, height: int) -> np.ndarray:
        """The box (x0, y0, x1, y1) of the picture as (height, width, 3) uint8 RGB; beyond the edge, the edge is repeated."""
        parts = [_resample(p, box, (self.width, self.height), (width, height)) for p in self.planes]
        return parts[0] if self.to_rgb is None else cv2.transform(cv2.merge(parts), self.to_rgb)

    def luma(self, box: Box, *, side: int) -> np.ndarray:
        """The same window of the luma alone (of green, if the planes are RGB), (side, side) uint8: for comparing."""
        plane = self.planes[0] if self.to_rgb is not None else self.planes[0][..., 1]
        return _resample(plane, box, (self.width, self.height), (side, side))


@dataclass(frozen=True)
class Video:
    """An opened file: `rate_hz` by its header (0 = unknown), `declared` frames (0 = unknown), frames to be read once."""

    path: Place
    rate_hz: float
    declared: int
    frames: Iterator[Frame]


def open_video(path: str | Place, *, decoder: str = "pyav") -> Video:
    """Open a file with one decoding thread; one in a bucket is fetched first.

    Raises RecordingError if it is empty or no video, OSError if it cannot be reached, ValueError for the decoder.

    Reading the frames raises RecordingError where the stream is damaged or ends early.
    """
    path = place(path)
    if decoder not in DECODERS:
        raise InputError(f"no decoder is called {decoder!r}; there are: {', '.join(DECODERS)}")
    if not path.is_file():
        if path.exists():
            raise RecordingError(f"{path}: found a folder or a device, expected a video file")
        raise FileNotFoundError(errno.ENOENT, "no such file; expected a video", str(path))
    source = fetched(path) if isinstance(path, Remote) else str(path)
    if (source.seek(0, 2) if not isinstance(source, str) else os.path.getsize(source)) == 0:
        raise RecordingError(f"{path}: the file is empty (0 bytes); expected a video")
    try:
        container = av.open(_from_start(source), "r")
    except av.FFmpegError as error:
        raise _blamed(error, f"{path}: cannot be opened ({error}); expected a video") from None
    if not container.streams.video:
        container.close()
        raise RecordingError(f"{path}: found no video stream, expected one")
    stream = container.streams.video[0]
    rate_hz = float(stream.average_rate or stream.guessed_rate or 0)
    declared = stream.frames or round((container.duration or 0) / av.time_base * rate_hz)
    return Video(path, rate_hz, declared, DECODERS[decoder](path, source, container))


_OF_THE_MACHINE = frozenset(
    [errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR]  # noqa: RUF005
    + [errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ECONNRESET]
)


def _blamed(error: av.FFmpegError, sentence: str) -> Exception:
    """FFmpeg's error as that of the recording, or, where its number is one of the system's, as what it is."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return OSError(error.errno, sentence)
    return RecordingError(sentence)


def _from_start(source: Source) -> Source:
    if not isinstance(source, str):
        source.seek(0)
    return source


def steps(video: Video, *, clock_hz: float = 25.0, n_steps: int | None = None) -> Iterator[Frame]:
    """Exactly `n_steps` frames, step k being the one on screen at k / clock_hz; or every frame if `n_steps` is None.

    A video of another rate is taken by the times of its frames: of a faster one some are left out, those of a slower one are
    held. So is the frame before a step without one of its own (the last one of 137 instead of 138). Raises RecordingError if
    two in a row are missing, if the file's rate is too low for the clock, or if much less is there than was declared.
    """
    hold_s = 0.0 if n_steps is None else longest_hold_s(video, clock_hz=clock_hz)
    shown: Frame | None = None
    n_read = k = 0
    for frame in video.frames:
        n_read += 1
        if n_steps is None:
            yield frame
            continue
        # Container clocks are rounded to a millisecond or coarser: a quarter of a step is no delay.
        while shown is not None and k < n_steps and frame.time_s > (k + 0.25) / clock_hz:
            yield _held(shown, k, clock_hz, hold_s, video.path)
            k += 1
        if k == n_steps:
            return
        shown = frame
    if (shown is None and n_steps is not None) or not n_read:
        raise RecordingError(f"{video.path}: found no frame, expected {n_steps or 'at least one'}")
    if n_steps is None and n_read < COMPLETE_SHARE * video.declared:
        raise RecordingError(f"{video.path}: found {n_read} frames, expected {video.declared} by its header: it was cut off")
    if n_steps is not None and shown is not None:
        if (n_steps - 1) / clock_hz - shown.time_s > hold_s:
            ends = "" if _on_clock(video, clock_hz) else f" of {clock_hz:g} a second, from {video.rate_hz:.2f}"
            raise RecordingError(
                f"{video.path}: found {n_read} frames, expected {n_steps}{ends} (one may be missing at the end)"
            )
        for last in range(k, n_steps):
            yield _held(shown, last, clock_hz, hold_s, video.path)


def longest_hold_s(video: Video, *, clock_hz: float) -> float:
    """For how long a frame may be shown on the clock, in s: one of the video's own frames may be missing, not two in a row.

    Raises RecordingError if the video's rate is too low for the clock.
    """
    if _on_clock(video, clock_hz):
        return 1.25 / clock_hz
    if video.rate_hz < LEAST_RATE * clock_hz:
        least = f"at least {LEAST_RATE * clock_hz:g} for a clock of {clock_hz:g} Hz"
        raise RecordingError(f"{video.path}: found {video.rate_hz:.2f} frames/s, which is too few: expected {least}")
    return max(1.25 / clock_hz, 2 / video.rate_hz)


def _on_clock(video: Video, clock_hz: float) -> bool:
    return not video.rate_hz or abs(video.rate_hz / clock_hz - 1) <= RATE_TOLERANCE  # 0: the header does not say


def _held(frame: Frame, k: int, clock_hz: float, hold_s: float, path: Place) -> Frame:
    if k / clock_hz - frame.time_s > hold_s:
        gap = f"between {frame.time_s:.3f} s and {k / clock_hz:.3f} s"
        raise RecordingError(f"{path}: found no frame {gap}, expected one every {1 / clock_hz:g} s")
    return frame


def _resample(plane: np.ndarray, box: Box, of: tuple[int, int], to: tuple[int, int]) -> np.ndarray:
    """The box (in pixels of a picture of size `of`) of a plane of any resolution, resized to `to` = (width, height).

    Halved by averaging while it is more than twice too large, then cut at sub-pixel position, then resized linearly:
    the smoothness of an area filter at a fifth of its time, and a slowly moving box makes no jumps.
    """
    sx, sy = plane.shape[1] / of[0], plane.shape[0] / of[1]
    x0, y0, x1, y1 = box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy
    halvings = max(0, int(np.log2(max(1.0, min((x1 - x0) / to[0], (y1 - y0) / to[1])))))
    unit = 2**halvings
    left, top = (max(0, min(int(v) - 2 * unit, n - unit)) for v, n in ((x0, plane.shape[1]), (y0, plane.shape[0])))
    right, bottom = max(int(np.ceil(x1)) + 2 * unit, left + unit), max(int(np.ceil(y1)) + 2 * unit, top + unit)
    part = plane[top:bottom, left:right]
    for _ in range(halvings):
        h, w = part.shape[0] // 2 * 2, part.shape[1] // 2 * 2
        part = cv2.resize(part[:h, :w], (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    size = (max(1, round((x1 - x0) / unit)), max(1, round((y1 - y0) / unit)))
    centre = (((x0 + x1) / 2 - left) / unit - 0.5, ((y0 + y1) / 2 - top) / unit - 0.5)
    return cv2.resize(cv2.getRectSubPix(part, size, centre), to, interpolation=cv2.INTER_LINEAR)


def _yuv_to_rgb(*, bt709: bool, full_range: bool) -> np.ndarray:
    """(3, 4) matrix from (Y, U, V, 1), 8 bits, to RGB. ITU-R BT.601-7 and BT.709-6."""
    red, blue = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    green = 1 - red - blue
    chroma = np.array(
        [
            [0, 2 * (1 - red)],
            [-2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [2 * (1 - blue), 0],
        ]
    ) * (1.0 if full_range else 255 / 224)
    luma, black = (1.0, 0.0) if full_range else (255 / 219, 16.0)
    offset = -luma * black - 128 * chroma.sum(axis=1)
    return np.column_stack([np.full(3, luma), chroma, offset])


def _read_pyav(path: Place, _: Source, container: InputContainer) -> Iterator[Frame]:
    stream = container.streams.video[0]
    # Parallel work is over clips, one thread each: many decoders of one thread beat one decoder of many.
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    first_s: float | None = None
    with container:
        try:
            for n, picture in enumerate(container.decode(stream)):
                if picture.is_corrupt:
                    raise RecordingError(f"{path}: frame {n} is damaged, expected an intact stream")
                if picture.time is None:
                    raise RecordingError(f"{path}: frame {n} has no time, expected one for every frame")
                first_s = picture.time if first_s is None else first_s
                yield _of_pyav(picture, float(picture.time - first_s))
        except av.FFmpegError as error:
            raise _blamed(error, f"{path}: decoding stopped ({error}); expected an intact stream") from None


def _of_pyav(picture: av.VideoFrame, time_s: float) -> Frame:
    """Planes without a copy where the format is 4:2:0; anything else is converted whole by FFmpeg. Rotation is undone."""
    turns = round(picture.rotation / 90) % 4
    planes: tuple[np.ndarray, ...]
    if picture.format.name in ("yuv420p", "yuvj420p"):
        planes = tuple(
            np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size)[: p.height, : p.width] for p in picture.planes
        )
        full = picture.color_range == 2 or picture.format.name == "yuvj420p"
        to_rgb: np.ndarray | None = _MATRICES[picture.colorspace == 1, full]
    else:
        planes, to_rgb = (picture.to_ndarray(format="rgb24"),), None
    if turns:
        planes = tuple(np.ascontiguousarray(np.rot90(p, turns)) for p in planes)
    return Frame(time_s, planes, to_rgb)


_MATRICES = {(m, r): _yuv_to_rgb(bt709=m, full_range=r) for m in (False, True) for r in (False, True)}


def _read_decord(path: Place, source: Source, container: InputContainer) -> Iterator[Frame]:
    container.close()
    if container.format.name in ("mpeg", "mpegts"):
        # It drops the first group of pictures and repeats the last frame instead, without an error.
        raise RecordingError(
            f"{path}: found an MPEG stream without an index, which decord misreads; expected decoder 'pyav'"
        )
    try:
        reader = decord.VideoReader(_from_start(source), num_threads=1)
        times_s = np.asarray(reader.get_frame_timestamp(range(len(reader))), dtype=np.float64)[:, 0]
        # Frames before 0 are cut away by an edit list: they are not handed out, but they are counted.
        times_s = times_s[times_s > -1e-6]
        for time_s in times_s:
            yield Frame(float(time_s - times_s[0]), (reader.next().asnumpy(),), None)
    except (decord.DECORDError, RuntimeError, AssertionError, StopIteration) as error:
        reason = (str(error).splitlines() or ["end of file"])[-1]
        raise RecordingError(f"{path}: decoding stopped ({reason}); expected an intact stream") from None


DECODERS: Mapping[str, Callable[[Place, Source, InputContainer], Iterator[Frame]]] = {
    "pyav": _read_pyav,
    "decord": _read_decord,
}
