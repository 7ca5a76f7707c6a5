"""Chooses the stream of a file that is the recording, and reads its rate, length and pixel shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import IO

import av
from av.container import InputContainer
from av.stream import Disposition

from dataprep.records import RecordingError
from dataprep.storage import Place
from dataprep.video import apertures
from dataprep.video.apertures import WHOLE, Aperture
from dataprep.video.times import declared_hz, is_raw

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
_RECENT = 10  # pictures at the end of an index that tell how far apart they are
_THUMBNAILS = 0.1  # a stream with fewer pictures than this share of another's are its thumbnails


@dataclass(frozen=True)
class Opened:
    """A file opened for decoding. By its header: `rate_hz`, `declared` frames, `length_s` from the first to the end (0: unknown).

    `aspect` is the shape of its pixels by the container, or by the codec where the container is silent; None: not said.
    `aperture` is the part of the stored picture that is shown.
    """

    container: InputContainer
    stream: av.VideoStream
    rate_hz: float
    declared: int
    length_s: float
    aperture: Aperture = WHOLE

    @property
    def aspect(self) -> Fraction | None:
        return self.stream.sample_aspect_ratio or None

    @property
    def several(self) -> bool:
        """Whether there are other streams of pictures beside this one."""
        return len(self.container.streams.video) > 1


def opened(path: Place, open_container: Callable[[], InputContainer], *, wanted: int) -> Opened:
    """The file's recording, chosen among its video streams: no cover, no thumbnails, and of two recordings stream `wanted`.

    Raises RecordingError if there is none, or several and `wanted` (an index of the file's streams) is none of them.
    """
    container = open_container()
    try:
        videos = container.streams.video
        real = [s for s in videos if not s.disposition & _NO_VIDEO]
        if not real:
            seen = "pictures beside the sound (a cover or thumbnails)" if videos else "no video stream"
            raise RecordingError(f"{path}: found {seen}{' and no video stream' if videos else ''}, expected one")
        indices = [s.index for s in real]
        chosen = indices[0]
        if len(real) > 1:
            counts = _pictures(container)
            container.close()
            container = open_container()  # the packets are read; from the beginning
            chosen = _choose(path, container, counts, indices, wanted)
        stream = container.streams[chosen]
        assert isinstance(stream, av.VideoStream)
        if stream.codec_context is None:
            raise RecordingError(f"{path}: found a video stream of an unknown codec, expected one that FFmpeg decodes")
        return _described(path, container, stream)
    except BaseException:
        container.close()
        raise


def _pictures(container: InputContainer) -> Counter[int]:
    """How many packets each video stream has, by its index."""
    return Counter(p.stream.index for p in container.demux(*container.streams.video) if p.size)


def _choose(path: Place, container: InputContainer, counts: Counter[int], real: list[int], wanted: int) -> int:
    most = max(counts[i] for i in real)
    real = [i for i in real if counts[i] > max(1, _THUMBNAILS * most) or counts[i] == most]
    if len(real) == 1:
        return real[0]
    if wanted in real:
        return wanted
    kinds = []
    for i in real:
        stream = container.streams[i]
        assert isinstance(stream, av.VideoStream)
        kinds.append(
            f"{i} ({stream.codec_context.codec.canonical_name}, {stream.width}x{stream.height}, {counts[i]} pictures)"
        )
    which = f"stream = {wanted}" if wanted >= 0 else "no choice"
    raise RecordingError(
        f"{path}: found {len(real)} videos, streams {' and '.join(kinds)}, and {which}; "
        "expected one of them as [faces] stream or --stream"
    )


def _described(path: Place, container: InputContainer, stream: av.VideoStream) -> Opened:
    if is_raw(container):
        declared = declared_hz(stream)
        if declared is None:
            seen = f"a bare {stream.codec_context.codec.canonical_name} stream that declares no frame rate"
            raise RecordingError(f"{path}: found {seen}, expected one that does, or a container with times (MP4, MKV, …)")
        return Opened(container=container, stream=stream, rate_hz=float(declared), declared=0, length_s=0.0)
    rate_hz = float(stream.average_rate or stream.guessed_rate or 0)
    length_s = (container.duration or 0) / av.time_base
    if container.format.name == "matroska,webm":  # there the end is what is stored
        length_s -= (container.start_time or 0) / av.time_base
    if (
        container.format.name == "avi" and stream.time_base
    ):  # of a file that was cut off FFmpeg guesses the length by its size
        length_s = float(stream.frames * stream.time_base)
    pictures = _indexed(stream) or stream.frames or round(length_s * rate_hz)
    return Opened(container=container, stream=stream, rate_hz=rate_hz, declared=pictures, length_s=max(0.0, length_s))


def _indexed(stream: av.VideoStream) -> int:
    """Pictures in an AVI's index, 0 if it does not reach the end: the header also counts empty places, such as those before
    the first picture of a file that starts late."""
    at = [entry.timestamp for entry in stream.index_entries] if stream.container.format.name == "avi" else []
    if len(at) < 3:
        return 0
    longest = max(b - a for a, b in pairwise(at[1:][-_RECENT:]))
    return len(at) if at[-1] + 2 * longest >= stream.frames else 0  # counted in places


def with_aperture(found: Opened, source: str | IO[bytes]) -> Opened:
    """The same, with the part of the picture that the container says is shown. `source`: the file, or a copy of one."""
    videos = [s.index for s in found.container.streams.video]
    context = found.stream.codec_context
    with open(source, "rb") if isinstance(source, str) else nullcontext(source) as file:
        at = file.tell()  # FFmpeg reads a copy of a file at its own place, and goes on there
        aperture = apertures.of_file(
            file,
            format_name=found.container.format.name,
            track=found.stream.id,
            nth=videos.index(found.stream.index),
            stored=(context.width, context.height),
        )
        file.seek(at)
    return replace(found, aperture=aperture)
