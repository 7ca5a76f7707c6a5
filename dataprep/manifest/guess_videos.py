"""How long the videos are that a table names, by their headers, and whether each of them is of one trial alone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dataprep.manifest.table import Rows, seconds
from dataprep.records import InputError, RecordingError
from dataprep.video.decode import open_video

FRAMES_HZ = 25.0
LOOKED_AT = 200  # videos whose header is read


@dataclass(frozen=True)
class VideoGuess:
    """`lengths_s` of the videos that were looked at, by their names in the table; `per_trial`: each is of one trial alone.

    `pictures`: some are folders of pictures, which say no rate: that of `FRAMES_HZ` is taken.
    """

    lengths_s: dict[str, float]
    per_trial: bool = False
    pictures: bool = False


def look(folder: Path, rows: Rows, begin: str) -> VideoGuess:
    """The guess; `begin`: the column that says when trials begin. Videos that cannot be opened are left to the check."""
    named = [(r["video"], seconds(r.get(begin) or "0")) for _, r in rows.rows if r.get("video")]
    lengths_s = dict(_lengths(folder, dict.fromkeys(name for name, _ in named)))
    once = len({name for name, _ in named}) == len(named) > 1
    behind = any(name in lengths_s and start_s >= lengths_s[name] for name, start_s in named)
    pictures = any((folder / name).is_dir() for name, _ in named)
    return VideoGuess(lengths_s, per_trial=once and behind, pictures=pictures)


def _lengths(folder: Path, names: Iterable[str]) -> Iterable[tuple[str, float]]:
    every = list(names)
    for name in every[:: max(1, -(-len(every) // LOOKED_AT))]:
        with suppress(RecordingError, InputError, OSError):
            opened = open_video(folder / name, frames_hz=FRAMES_HZ)
            length_s = opened.length_s or (opened.declared / opened.rate_hz if opened.rate_hz else 0.0)
            if length_s:
                yield name, length_s
