"""The recordings of a folder: videos and signals that have one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dataprep.file_names import is_shadow
from dataprep.manifest.guess_recordings import SIGNALS as OF_A_TABLE
from dataprep.manifest.guess_recordings import VIDEOS
from dataprep.manifest.guess_recordings import recordings as drafted
from dataprep.records import InputError
from painmodels.use.predictor import Predictor

SIGNALS = "_bio.csv"
TAKES = (
    f"many recordings, instead of --video and --signals: NAME.mp4 (or another video), NAME{SIGNALS}; of a model that was "
    f"trained on a table signals of any name, {', '.join(OF_A_TABLE)}"
)
"""What `--folder` takes, as its help says."""
ALONE = "If they are recordings, predict each with --signals or --video"


def recordings(folder: Path, model: Predictor) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Name, video and signals of every recording below a folder that has what the model uses, by name.

    A model that was trained on a table takes the files that `dataprep.manifest` drafts, under the names that it gives them; any
    other takes NAME_bio.csv. Names are matched without regard to case where that joins just two files; hidden files are none.
    Raises InputError if there is no recording, or two files have one name. What is not taken is said on the standard error.
    """
    of_table = bool(model.about.get("reader_description"))
    found, others = _as_drafted(folder, model) if of_table else _by_stem(folder, model)
    taken = f"signals ({', '.join(f'*{ending}' for ending in OF_A_TABLE)})" if of_table else f"NAME{SIGNALS}"
    if others:
        print(f"{folder}: {_not_taken(others, taken)}", file=sys.stderr)
    if not found:
        said = f", but {_not_taken(others, taken)}" if others else ""
        raise InputError(f"{folder}: found no recording, expected NAME.mp4 or {taken} there or below{said}")
    joined = _joined(found)
    for name in sorted(joined):
        yield name, joined[name].get("video"), joined[name].get("signals")


Found = dict[str, dict[str, Path]]


def _as_drafted(folder: Path, model: Predictor) -> tuple[Found, list[Path]]:
    """Name -> part -> file as the draft of a table has them, and the files that are no recording."""
    used = [part for part, uses in (("video", model.uses_video), ("signals", model.uses_signals)) if uses]
    found = drafted(folder, used=used, otherwise=ALONE)
    files = {name: {part: folder / path for part, path in of.items()} for name, of in found.files.items()}
    return files, [folder / path for path in (*found.events, *found.others)]


def _by_stem(folder: Path, model: Predictor) -> tuple[Found, list[Path]]:
    """The same by the names of files alone, wherever they are: NAME.mp4 (or another video) and NAME_bio.csv."""
    found: Found = {}
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
    return found, others


def _not_taken(others: Sequence[Path], taken: str) -> str:
    seen = ", ".join(path.name for path in others[:3]) + (", …" if len(others) > 3 else "")
    return f"{len(others)} other files are not taken ({seen}); a recording is NAME.mp4 (or another video) or {taken}"


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
