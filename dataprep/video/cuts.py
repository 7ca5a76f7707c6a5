"""A part of a long video: the decoder seeks to the key frame before it, so that a trial of an hour's file costs a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import av

from dataprep.records import RecordingError, VideoPart
from dataprep.storage import Place
from dataprep.video.decoders import View, blamed, of_picture, pictures
from dataprep.video.frames import Frame
from dataprep.video.streams import Opened
from dataprep.video.times import Clock, is_raw

STEP_BACK_S = 4.0  # doubled until a key frame before the part is met
SLACK_S = 1e-4  # times in a table are rounded


def cut(path: Place, opened: Opened, reopen: Callable[[], Opened], part: VideoPart) -> Iterator[Frame]:
    """The frame on screen where a part of the file begins, and all that follow; times count from there on.

    Bare streams, MPEG program streams, and AVI with reordered pictures are decoded from their beginning: no time can be sought
    in them. Raises RecordingError where it begins before the first frame, or what is decoded is damaged.
    """
    container, stream = opened.container, opened.stream
    seekable = not (is_raw(container) or container.format.name == "mpeg" or Clock(container, stream).decoding_order)
    first = pictures(path, opened)
    first_s = next((at_s for at_s, _ in first), None)
    first.close()
    if first_s is None or part.start_s < -SLACK_S:
        seen = "no frame" if first_s is None else "a video that begins at 0 s"
        raise RecordingError(f"{path}: found {seen}, expected a trial at {part.start_s:g} s{part.where}")
    zero_s, back_s = first_s + part.start_s, 0.0
    while True:
        found = reopen()
        whole = not seekable or zero_s - back_s <= first_s
        if not whole:
            _seek(path, found, zero_s - back_s)
        shown = pictures(path, found, whole=whole)
        at_start = _until(zero_s + SLACK_S, shown)
        if whole or (at_start and at_start[0][0] <= zero_s + SLACK_S):
            break
        shown.close()  # the key frame lies behind the part's beginning
        back_s = max(STEP_BACK_S, 2 * back_s)
    view = View(path, found)
    for at_s, picture in chain(at_start, shown):
        yield of_picture(path, picture, round((at_s - first_s) * found.rate_hz), view, at_s - zero_s)


def _until(zero_s: float, shown: Iterator[tuple[float, av.VideoFrame]]) -> list[tuple[float, av.VideoFrame]]:
    """The picture that is on screen at a time and the one after it, as far as there are such."""
    last: list[tuple[float, av.VideoFrame]] = []
    for at_s, picture in shown:
        last = [*last[-1:], (at_s, picture)] if at_s > zero_s else [(at_s, picture)]
        if at_s > zero_s:
            break
    return last


def _seek(path: Place, found: Opened, to_s: float) -> None:
    try:
        found.container.seek(int(to_s / float(found.stream.time_base or 1)), stream=found.stream)
    except av.FFmpegError as error:
        raise blamed(error, f"{path}: {to_s:.3f} s cannot be reached ({error}); expected an intact stream") from None
