"""How long a window may be: what each trial has room for, and a length that one short recording among many does not decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from dataprep.manifest.formats import kind_of
from dataprep.manifest.guess_files import FileGuess, guess_file
from dataprep.manifest.guess_text import n_lines
from dataprep.manifest.guess_videos import VideoGuess
from dataprep.manifest.table import Rows, seconds
from dataprep.records import RecordingError

LONGEST_S = 10.0  # a window that nothing else limits
LOOKED_AT = 500  # signal files whose length is read
FEW = 20  # one trial in so many, and one of fewer, may be shorter than the window that is proposed
FEWEST = 8  # of fewer trials none may
MUCH = 0.9  # of the others' length: what is below it is much shorter


@dataclass(frozen=True)
class Window:
    """The proposed length, why, and what to say of it."""

    length_s: float
    why: str
    said: tuple[str, ...] = ()


def signal_lengths(folder: Path, rows: Rows, guess: FileGuess | None, clock_hz: float) -> dict[str, float]:
    """Signal file, as the table names it -> its seconds, as far as they are known; of many files some are looked at."""
    names = list(dict.fromkeys(r["signals"] for _, r in rows.rows if r.get("signals")))
    step = max(1, -(-len(names) // LOOKED_AT))
    found = {}
    for name in names[::step] if guess else []:
        path = folder / name
        try:
            length_s = _length_s(path, guess, clock_hz) if guess and path.is_file() else 0.0
        except (RecordingError, OSError):  # the check tells what is wrong with it
            continue
        if length_s > 0:
            found[name] = length_s
    return found


def _length_s(path: Path, guess: FileGuess, clock_hz: float) -> float:
    if kind_of(path):
        return guess_file(path).length_s(clock_hz)
    n = n_lines(path.read_bytes()) - guess.files.skip_rows - guess.files.header
    return FileGuess(guess.files, samples={name: (n, hz) for name, (_, hz) in guess.samples.items()}).length_s(clock_hz)


def window(rows: Rows, begin: str, signals_s: Mapping[str, float], videos: VideoGuess, origin_s: float) -> Window:
    """The window that is proposed. `begin`: the column of when trials begin; `origin_s`: the time of a file's first sample."""
    starts = any(r.get(begin) for _, r in rows.rows)
    ends = any(r.get("end_s") for _, r in rows.rows)
    room_s: dict[str, float] = {}
    for _, r in rows.rows:
        at_s = seconds(r[begin]) if r.get(begin) else 0.0
        rooms = (
            [seconds(r["end_s"]) - at_s]
            if r.get("end_s")
            else _rooms(r, at_s, signals_s, videos, origin_s if starts else 0.0)
        )
        if rooms and min(rooms) > 0:
            room_s[r["trial"]] = min(rooms)
    gaps_s = {} if ends else _gaps(rows, begin)
    if not room_s and not gaps_s:
        return Window(5.0, "NOTHING says how long a trial is. FILL IT IN")
    most_s = LONGEST_S if starts and not ends else float("inf")
    of = (
        f"the shortest from {begin} to " + ("end_s" if ends else "the recording's end")
        if starts
        else "the shortest recording"
    )
    found = _proposed(room_s, most_s, of, len(rows.rows)) if room_s else Window(LONGEST_S, f"{LONGEST_S:g} s at most")
    return _apart(gaps_s, begin, found)


def _rooms(
    r: Mapping[str, str], at_s: float, signals_s: Mapping[str, float], videos: VideoGuess, origin_s: float
) -> list[float]:
    """How much of its recordings a trial that begins at a time has, in s, of those whose length is known."""
    rooms = []
    if r.get("signals") in signals_s:
        rooms.append(signals_s[r["signals"]] + origin_s - at_s)
    if r.get("video") in videos.lengths_s:
        begun_s = seconds(r.get("video_at_s") or "0")
        rooms.append(videos.lengths_s[r["video"]] - (0.0 if videos.per_trial else at_s - begun_s))
    return rooms


def _gaps(rows: Rows, begin: str) -> dict[str, float]:
    """Trial -> seconds until the next one of its recording begins."""
    by_file: dict[str, list[tuple[float, str]]] = {}
    for _, r in rows.rows:
        if r.get(begin):
            by_file.setdefault(r.get("signals") or r.get("video", ""), []).append((seconds(r[begin]), r["trial"]))
    return {
        trial: later_s - at_s
        for times in by_file.values()
        for (at_s, trial), (later_s, _) in pairwise(sorted(times))
        if later_s > at_s
    }


def _proposed(room_s: Mapping[str, float], most_s: float, of: str, n_rows: int) -> Window:
    """The shortest of these, unless few trials are much shorter than all others: those are named, and would be left out."""
    names = sorted(room_s, key=lambda trial: room_s[trial])
    lengths = [min(room_s[trial], most_s) for trial in names]
    spare = max(1, len(names) // FEW) if len(names) >= FEWEST else 0
    lost = max((k for k in range(1, spare + 1) if lengths[k - 1] < MUCH * lengths[k]), default=0)
    seen = f"{len(names)} trials" + (" that were looked at" if len(names) < n_rows else "")
    why = f"{of}, of {seen}" + (f", {most_s:g} s at most" if lengths[-1] == most_s else "")
    if lost:
        said = (
            f"{lengths[lost]:.4g} s keeps {len(names) - lost} of {seen} and loses {_some(names[:lost], room_s)}; "
            f"{lengths[0]:.4g} s would keep all"
        )
        return Window(lengths[lost], f"{why}, but for the {lost} shortest", (f"window.length_s: {said}",))
    if lengths[0] < MUCH * (middle_s := median(lengths)):
        n = sum(s < middle_s for s in lengths)
        said = f"{lengths[0]:.4g} s keeps all of {seen}; {middle_s:.4g} s would lose {n}: {_some(names[:n], room_s)}"
        return Window(lengths[0], why, (f"window.length_s: {said}",))
    return Window(lengths[0], why)


def _apart(gaps_s: Mapping[str, float], begin: str, found: Window) -> Window:
    """The same, not longer than from one trial to the next: windows that overlap would show a trial in another one."""
    first = min(gaps_s, key=lambda trial: gaps_s[trial], default="")
    if not first or gaps_s[first] >= found.length_s:
        return found
    gap_s, middle_s = gaps_s[first], median(gaps_s.values())
    said = f"window.length_s: {gap_s:.4g} s, after which the trial behind {first} begins; most have {middle_s:.4g} s"
    return Window(gap_s, f"the shortest time from one {begin} to the next", (said,) if gap_s < MUCH * middle_s else ())


def _some(names: Sequence[str], room_s: Mapping[str, float]) -> str:
    """Names with their seconds, the first three of them."""
    told = ", ".join(f"{trial} ({room_s[trial]:.4g} s)" for trial in names[:3])
    return told + (f" and {len(names) - 3} more" if len(names) > 3 else "")
