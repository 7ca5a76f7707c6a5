"""The recordings of a folder: videos and signals that have one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dataprep.file_names import is_shadow
from dataprep.records import InputError
from painmodels.use.predictor import Predictor

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
SIGNALS = "_bio.csv"


def recordings(folder: Path, model: Predictor) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Name, video and signals of every recording below a folder that has what the model uses, by name.

    Names are matched without regard to case where that joins just two files; hidden files are none. Raises InputError if there
    is no recording, or two files have one name. What may have been meant for one is said on the standard error.
    """
    found: dict[str, dict[str, Path]] = {}
    others = []
    for path in sorted(folder.rglob("*")):
        if any(map(is_shadow, path.relative_to(folder).parts)) or path.is_dir():
            continue
        if path.suffix.lower() in VIDEOS:
            part, name, used = "video", path.stem, model.uses_video
        elif path.name.lower().endswith(SIGNALS):
            part, name, used = "signals", path.name[: -len(SIGNALS)], model.uses_signals
        else:
            others.append(path)
            continue
        if not used:
            continue
        if part in found.setdefault(name, {}):
            raise InputError(f"{folder}: found {found[name][part]} and {path}, expected one {part} file of a name")
        found[name][part] = path
    if others:
        print(f"{folder}: {_not_taken(others)}", file=sys.stderr)
    if not found:
        said = f", but {_not_taken(others)}" if others else ""
        raise InputError(f"{folder}: found no recording, expected NAME.mp4 or NAME{SIGNALS} there or below{said}")
    joined = _joined(found)
    for name in sorted(joined):
        yield name, joined[name].get("video"), joined[name].get("signals")


def _not_taken(others: Sequence[Path]) -> str:
    seen = ", ".join(path.name for path in others[:3]) + (", …" if len(others) > 3 else "")
    return f"{len(others)} other files are not taken ({seen}); a recording is NAME.mp4 (or another video) or NAME{SIGNALS}"


def _joined(found: Mapping[str, dict[str, Path]]) -> dict[str, dict[str, Path]]:
    """The recordings, a video and signals whose names differ in case alone being one where no third file has that name."""
    alike: dict[str, list[str]] = {}
    for name in found:
        alike.setdefault(name.casefold(), []).append(name)
    out = {}
    for members in alike.values():
        files = [item for name in members for item in found[name].items()]
        if len(files) == len(dict(files)):
            named = next((name for name in members if "video" in found[name]), members[0])
            out[named] = dict(files)
        else:
            out |= {name: found[name] for name in members}
    return out
