"""Video files as streams of frames, upright, in square pixels and with their times, whoever made them.

What a file says of its picture is applied: turns and mirrors, the shape of its pixels, its colour matrix; a later size of the
same shape is brought to the first. What cannot be applied is refused with its reason, by every run alike.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer

from dataprep.records import InputError, RecordingError, VideoPart
from dataprep.storage import Place, Remote, fetched, place
from dataprep.video.cuts import cut
from dataprep.video.decoders import DECODERS, Source, blamed, not_here
from dataprep.video.frames import Box, Frame
from dataprep.video.picture_folders import pictures_of, read_pictures
from dataprep.video.streams import Opened, opened, with_aperture

__all__ = ["DECODERS", "VERSION", "Box", "Frame", "Video", "open_video", "steps"]

VERSION = 4  # raise when the same file may give other frames or other window pixels
RATE_TOLERANCE = 0.02
LEAST_RATE = 0.4  # of a video, in parts of the clock's: below, a frame would be held for over two and a half steps
COMPLETE_SHARE = 0.9  # of the promised frames and of the promised length: a file with less of both was cut off


@dataclass(frozen=True)
class Video:
    """An opened file: by its header `rate_hz`, `declared` frames and `length_s` (0: unknown); frames to be read once.

    `part`: that the frames are of; their times count from its start on. `said`: what is odd of it, although it can be used.
    """

    path: Place
    rate_hz: float
    declared: int
    frames: Iterator[Frame]
    length_s: float = 0.0
    part: VideoPart | None = None
    said: tuple[str, ...] = ()


def open_video(
    path: str | Place,
    *,
    decoder: str = "pyav",
    stream: int = -1,
    part: VideoPart | None = None,
    frames_hz: float | None = None,
    fills_s: float | None = None,
) -> Video:
    """Open a file with one decoding thread; one in a bucket is fetched first. `stream`: which one, where several are videos.

    `part`: begin at the frame that is on screen at its start; what lies before is not decoded, but from the last key frame on.
    A folder of pictures is a video of `frames_hz` pictures a second; where that is 0, all of them together last `fills_s`.

    Raises RecordingError if it is empty or no video, OSError if it cannot be reached, ValueError for the decoder.

    Reading the frames raises RecordingError where the stream is damaged or ends early.
    """
    path = place(path)
    if decoder not in DECODERS:
        raise InputError(f"no decoder is called {decoder!r}; there are: {', '.join(DECODERS)}")
    if reason := not_here(decoder, cut=part is not None):
        raise InputError(f"the decoder {decoder}: {reason}")
    if not path.is_file():
        if path.is_dir():
            return _of_pictures(path, frames_hz, fills_s, part)
        if path.exists():
            raise RecordingError(f"{path}: found a device, expected a video file")
        raise FileNotFoundError(errno.ENOENT, "no such file; expected a video", str(path))
    source: Source = fetched(path) if isinstance(path, Remote) else str(path)
    if (source.seek(0, 2) if not isinstance(source, str) else os.path.getsize(source)) == 0:
        raise RecordingError(f"{path}: the file is empty (0 bytes); expected a video")

    def container() -> InputContainer:
        if not isinstance(source, str):
            source.seek(0)
        return av.open(source, "r")

    def open_once() -> Opened:
        try:
            return with_aperture(opened(path, container, wanted=stream), source)
        except av.FFmpegError as error:
            raise blamed(error, f"{path}: cannot be opened ({error}); expected a video") from None

    file = open_once()
    if part is None:
        return Video(
            path=path,
            rate_hz=file.rate_hz,
            declared=file.declared,
            frames=DECODERS[decoder](path, source, file),
            length_s=file.length_s,
        )
    frames = cut(path, file, open_once, part)
    return Video(path=path, rate_hz=file.rate_hz, declared=file.declared, frames=frames, length_s=file.length_s, part=part)


def _of_pictures(folder: Place, frames_hz: float | None, fills_s: float | None, part: VideoPart | None) -> Video:
    found = pictures_of(folder)
    if frames_hz is None or (not frames_hz and not fills_s):
        seen = f"a folder of {len(found.names)} pictures whose rate nobody says"
        raise RecordingError(
            f"{folder}: found {seen}, expected a video file, or their rate (frames_hz under [files] of a dataset.toml)"
        )
    rate_hz = frames_hz or found.length / (fills_s or 1.0)
    length_s = found.length / rate_hz
    start_s = part.start_s if part else 0.0
    if part and not (frames_hz and 0 <= start_s < length_s):
        seen = (
            f"{found.length} pictures of {length_s:g} s"
            if frames_hz
            else "pictures that last as long as a trial (frames_hz = 0)"
        )
        raise RecordingError(f"{folder}: found {seen}, expected a trial at {start_s:g} s{part.where}")
    frames = read_pictures(found, rate_hz, start_s=start_s)
    return Video(
        path=folder, rate_hz=rate_hz, declared=found.length, frames=frames, length_s=length_s, part=part, said=found.said
    )


def steps(video: Video, *, clock_hz: float = 25.0, n_steps: int | None = None) -> Iterator[Frame]:
    """Exactly `n_steps` frames, step k being the one on screen at k / clock_hz; or every frame if `n_steps` is None.

    A video of another rate is taken by the times of its frames: of a faster one some are left out, those of a slower one are
    held. So is the frame before a step without one of its own (the last one of 137 instead of 138). Raises RecordingError if
    two in a row are missing, if the file's rate is too low for the clock, or if much less is there than was declared.
    """
    hold_s = 0.0 if n_steps is None else longest_hold_s(video, clock_hz=clock_hz)
    shown: Frame | None = None
    n_read = k = 0
    end_s = 0.0
    for frame in video.frames:
        n_read, end_s = n_read + 1, frame.time_s
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
    end_s += 1 / video.rate_hz if video.rate_hz else 0.0
    # Frames may be fewer than promised where the rate varies or an edit list hides some: then they last as long as promised.
    if n_steps is None and n_read < COMPLETE_SHARE * video.declared and end_s < COMPLETE_SHARE * video.length_s:
        raise RecordingError(f"{video.path}: found {n_read} frames, expected {video.declared} by its header: it was cut off")
    if n_steps is not None and shown is not None:
        if (n_steps - 1) / clock_hz - shown.time_s > hold_s:
            if video.part is not None:
                at_s = video.part.start_s
                seen = f"found {at_s + end_s:.2f} s of video, expected a trial of {n_steps / clock_hz:g} s at {at_s:g} s"
                raise RecordingError(f"{video.path}: {seen}{video.part.where}")
            if _on_clock(video, clock_hz):
                raise RecordingError(
                    f"{video.path}: found {n_read} frames, expected {n_steps} (one may be missing at the end)"
                )
            raise RecordingError(
                f"{video.path}: found {n_read} frames at {video.rate_hz:.2f} frames/s, which last {end_s:.2f} s, expected "
                f"{n_steps / clock_hz:.2f} s ({n_steps} steps of {clock_hz:g} a second)"
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
