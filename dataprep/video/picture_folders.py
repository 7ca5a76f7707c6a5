"""A folder of pictures as a video: a file a frame (PNG, JPEG, BMP, TIFF), named alike but for a number that rises with time.

Such files say no rate: whoever describes the data states it. The time of a picture follows from its number, so that a missing one
leaves a gap and moves no other. Numbers may rise in steps (0, 5, 10): the largest step that all of them share is one frame.
Hidden files and files of other kinds (labels, Thumbs.db) are no pictures.

Every picture is read as it is shown: grey and palettes as RGB, turned as its EXIF data say, 16 bits by their full range. One that
cannot be read whole, is see-through or of another shape than the first is refused with its reason.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from dataprep import file_names
from dataprep.records import RecordingError
from dataprep.storage import Place, Remote, digest
from dataprep.video.frames import Frame
from dataprep.video.orientation import same_shape

VERSION = 1  # raise when the same pictures may give other frames
PICTURES = "pictures-"
"""Begins what identifies the content of a folder of pictures."""
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)", re.DOTALL)
PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
JPEG, JPEG_END = b"\xff\xd8", b"\xff\xd9"
SLACK_S = 1e-4  # times in a table are rounded
DARK = 16  # a 16-bit picture that stays below this part of its range holds fewer bits than it says


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder in the order of time: `places`, one a file, counts frames from 0; a gap is a missing picture."""

    folder: Place
    names: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many frames there would be without gaps."""
        return self.places[-1] + 1

    @property
    def said(self) -> tuple[str, ...]:
        """A sentence about missing pictures, if there are any."""
        missing = self.length - len(self.names)
        if not missing:
            return ()
        after = next(n for n, (a, b) in enumerate(pairwise(self.places)) if b > a + 1)
        return (f"{missing} of {self.length} pictures are missing by their numbers, the first after {self.names[after]}",)


def pictures_of(folder: Place) -> Pictures:
    """The pictures of a folder. Raises RecordingError where there are none or their names form no one series; OSError."""
    found = sorted(n for n in file_names.listed(folder) or () if n.lower().endswith(ENDINGS))
    if not found:
        raise RecordingError(
            f"{folder}: found a folder without pictures, expected a video file, or pictures ({', '.join(ENDINGS)})"
        )
    parts = {name: NUMBERED.fullmatch(name[: name.rfind(".")]) for name in found}
    unnumbered = [name for name, match in parts.items() if match is None]
    if unnumbered:
        raise RecordingError(f"{folder}: found the picture {unnumbered[0]!r}, expected a number in the name of each")
    series = {(m["before"], m["after"], name[name.rfind(".") :].lower()): name for name, m in parts.items() if m}
    if len(series) > 1:
        seen = " and ".join(repr(name) for name in sorted(series.values())[:3])
        raise RecordingError(
            f"{folder}: found pictures of {len(series)} series, such as {seen}; expected those of one video"
        )
    numbered = sorted((int(m["number"]), name) for name, m in parts.items() if m)
    twice = next((b for a, b in pairwise(numbered) if a[0] == b[0]), None)
    if twice:
        raise RecordingError(f"{folder}: found the number {twice[0]} twice ({twice[1]!r}), expected each once")
    first = numbered[0][0]
    step = math.gcd(*(number - first for number, _ in numbered)) or 1
    places = tuple((number - first) // step for number, _ in numbered)
    return Pictures(folder, tuple(name for _, name in numbered), places)


def read_pictures(pictures: Pictures, rate_hz: float, *, start_s: float = 0.0) -> Iterator[Frame]:
    """The frames from that on screen at `start_s` on, each read when it is asked for; times count from there.

    Raises RecordingError for a picture that cannot be used, OSError.
    """
    shown = max((place for place in pictures.places if place / rate_hz <= start_s + SLACK_S), default=0)
    size: tuple[int, int] | None = None
    for name, place in zip(pictures.names, pictures.places, strict=True):
        if place < shown:
            continue
        file = pictures.folder / name
        rgb = picture(file.read_bytes(), file)
        own = rgb.shape[1], rgb.shape[0]
        size = size or own
        if not same_shape(own, size):
            raise RecordingError(
                f"{file}: is {own[0]}x{own[1]}, the first {size[0]}x{size[1]}; expected one shape of picture"
            )
        yield Frame(place / rate_hz - start_s, (rgb,), None, size)


def picture(content: bytes, file: Place) -> np.ndarray:
    """A picture as it is shown, (h, w, 3) uint8 RGB. Raises RecordingError that names the file."""
    if not content:
        raise RecordingError(f"{file}: the file is empty (0 bytes); expected a picture")
    if (content.startswith(PNG) and PNG_END not in content[-64:]) or (
        content.startswith(JPEG) and JPEG_END not in content[-4096:]
    ):
        raise RecordingError(f"{file}: the picture was cut off, expected a whole one")
    data = np.frombuffer(content, np.uint8)
    raw = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    shown = None if raw is None else cv2.imdecode(data, cv2.IMREAD_COLOR)
    if raw is None or shown is None:
        raise RecordingError(f"{file}: cannot be decoded, expected a picture")
    if raw.dtype not in (np.uint8, np.uint16):
        raise RecordingError(f"{file}: found values of the type {raw.dtype}, expected 8 or 16 bits")
    if raw.ndim == 3 and raw.shape[2] == 4 and raw[..., 3].min() < (255 if raw.dtype == np.uint8 else 65535):
        raise RecordingError(f"{file}: is see-through in places, expected a picture without an alpha channel")
    if raw.dtype == np.uint16 and raw.max() < 65536 // DARK:
        seen = f"16-bit values of at most {raw.max()}"
        raise RecordingError(f"{file}: found {seen}, expected the full range (it seems to hold fewer bits than it says)")
    return cv2.cvtColor(shown, cv2.COLOR_BGR2RGB)


def sizes_and_times(folder: Place) -> list[tuple[str, int, int, int]]:
    """(name, bytes, times of modification and of change in ns) of every picture of a folder, by name. Raises OSError."""
    if isinstance(folder, Remote):
        found = [(at.name, size, time_ns, time_ns) for at, size, time_ns in folder.listing()]
    else:
        stats = [(at.name, at.stat()) for at in Path(folder).iterdir()]
        found = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats]
    return sorted(f for f in found if f[0].lower().endswith(ENDINGS) and not file_names.is_shadow(f[0]))


def content_of(folder: Place) -> str:
    """SHA-256 over the names and contents of a folder's pictures, hexadecimal. Raises OSError."""
    names = [name for name, *_ in sizes_and_times(folder)]
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda name: digest(str(folder / name)), names))
    told = "".join(f"{name}\0{content}\0" for name, content in zip(names, contents, strict=True))
    return hashlib.sha256(told.encode()).hexdigest()
