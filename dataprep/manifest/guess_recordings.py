"""Which files of a folder are recordings, and which of them belong together. What is none is told, never left out in silence."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dataprep.file_names import is_shadow
from dataprep.manifest.channel_files import refuse
from dataprep.manifest.formats import NOT_TEXT
from dataprep.manifest.guess_events import is_events
from dataprep.manifest.layout import SETTINGS
from dataprep.records import InputError, RecordingError
from dataprep.video.picture_folders import pictures_of

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".3gp",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".vob",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
    ".flv",
)
TEXTS = (".csv", ".tsv", ".txt", ".asc")
SIGNALS = (*TEXTS, *NOT_TEXT)
TAIL = re.compile(r"[_\- ]?(bio|biosignals?|signals?|physio|video|face|cam(era)?|raw)$", re.I)
ABOUT = re.compile(r"(readme|license|participants|notes?|index)\b", re.I)
OWN = ("manifest.csv", "manifest.parquet", SETTINGS)
"""What stands in a data set's folder beside its recordings, by the project's own commands."""


@dataclass
class Recordings:
    """`files`: name -> part ('video' or 'signals') -> path from the folder on. `events`, `others`: files that are none."""

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


BY_HAND = "If they are trials, write manifest.csv, a row a trial, yourself"


def recordings(folder: Path, *, used: Collection[str] = ("video", "signals"), otherwise: str = BY_HAND) -> Recordings:
    """The recordings below a folder, of the parts that are used.

    Raises InputError where two files may be one trial's signals, or one trial's video; `otherwise`: its last sentence, on what
    can be done if they are not.
    """
    found = Recordings()
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    taken: list[tuple[str, str]] = []
    inside_video: set[Path] = set()
    for path, inner in _below(folder):
        part = _part(path)
        if path.is_dir():
            if _is_video(path):
                taken.append(("video", inner))
                inside_video.add(path)
        elif part == "signals" and path.suffix.lower() in TEXTS and is_events(path):
            found.events.append(inner)
        elif part and not ABOUT.match(path.stem):
            taken.append((part, inner))
        elif path.parent not in inside_video and path.suffix.lower() != ".hea":
            found.others.append(inner)
    if found.events and not taken:  # of files that all look alike, none is beside another
        taken, found.events = [("signals", inner) for inner in found.events], []
    taken = [(part, inner) for part, inner in taken if part in used]
    refuse(folder, [inner for part, inner in taken if part == "signals"], otherwise=otherwise)
    for part, inner in taken:
        name = _name(inner, is_folder=(folder / inner).is_dir())
        if part in parts[name]:
            raise InputError(
                f"{folder}: found {parts[name][part]} and {inner}, which have one name; expected one "
                f"{'signal' if part == 'signals' else 'video'} file of a trial. {otherwise}"
            )
        parts[name][part] = inner
    found.files = _joined(dict(parts))
    return found


def _below(folder: Path) -> Iterator[tuple[Path, str]]:
    """What may be part of a data set below a folder, and its path from there on; a folder before what is in it."""
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not any(map(is_shadow, inner.parts)) and (path.is_dir() or path.is_file()) and inner.as_posix() not in OWN:
            yield path, inner.as_posix()


def _part(path: Path) -> str:
    """What a file may be by its ending: 'video', 'signals' or nothing."""
    ending = path.suffix.lower()
    return "video" if ending in VIDEOS else "signals" if ending in SIGNALS else ""


def _name(inner: str, *, is_folder: bool) -> str:
    """The name of a recording: its path without the ending, and without a word that says what kind of file it is."""
    return TAIL.sub("", inner if is_folder else Path(inner).with_suffix("").as_posix())


def _is_video(folder: Path) -> bool:
    """Whether a folder holds the pictures of one video."""
    try:
        return len(pictures_of(folder).names) > 1
    except RecordingError:
        return False


def _joined(found: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Videos and signals in folders of their own, as in video/p1/a.mp4 and signals/p1/a.csv, are joined by what follows.

    Where that would give a name two files of a kind, nothing is joined.
    """
    parts = {part for files in found.values() for part in files}
    if len(parts) < 2 or any(len(files) > 1 for files in found.values()):
        return found
    joined: dict[str, dict[str, str]] = defaultdict(dict)
    for stem, files in found.items():
        joined[stem.partition("/")[2] or stem] |= files
    n_files = sum(map(len, joined.values()))
    return dict(joined) if n_files == len(found) and len(joined) < n_files else found
