"""Recordings that the user excludes: trial ids or file names in a text file, or the path of one recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataprep.records import Defect, InputError, Trial


@dataclass(frozen=True)
class Exclusion:
    """One entry: a trial id, a file name or a path, and where it was read."""

    name: str
    source: str


def read_exclusions(files: Iterable[Path]) -> tuple[Exclusion, ...]:
    """The entries of lists with one a line (empty lines and what follows `#` do not count).

    A file that is no text is meant as a recording itself. Raises InputError for a file that cannot be read or is empty.
    """
    found: list[Exclusion] = []
    for file in files:
        if file.suffix.lower() in (".txt", ".lst", ".list", ""):
            found += _listed(file)
        else:
            found.append(Exclusion(str(file), "--exclude"))
    return tuple(found)


def _listed(file: Path) -> list[Exclusion]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--exclude {file}: cannot be read ({error}); expected a text file with a trial or file a line"
        ) from None
    entries = [(n, line.split("#")[0].strip()) for n, line in enumerate(lines, 1)]
    found = [Exclusion(name, f"{file}, line {n}") for n, name in entries if name]
    if not found:
        raise InputError(f"--exclude {file}: found no entry, expected a trial id or a file name a line")
    return found


def excluded(entries: Sequence[Exclusion], trials: Iterable[Trial], parts: Iterable[str]) -> list[Defect]:
    """The recordings that the entries name, of these parts. Raises InputError for an entry that names none of `trials`."""
    wanted = set(parts)
    by_trial: dict[str, Trial] = {}
    by_file: dict[str, list[tuple[Trial, str, str]]] = {}
    for trial in trials:
        by_trial[trial.trial_id] = trial
        for part, file in (("video", trial.video), ("signals", trial.signals)):
            if file:
                for name in {file, Path(file).name, str(Path(file).resolve()) if "://" not in file else file}:
                    by_file.setdefault(name, []).append((trial, part, file))
    out = []
    for entry in entries:
        if entry.name in by_trial:
            trial = by_trial[entry.name]
            named = [(trial, p, f or "") for p, f in (("video", trial.video), ("signals", trial.signals))]
        else:
            absolute = str(Path(entry.name).resolve()) if "://" not in entry.name else entry.name
            named = by_file.get(entry.name) or by_file.get(absolute) or []
        if not named:
            raise InputError(
                f"{entry.source}: found {entry.name!r}, expected a trial id or a recording of this data set, such as "
                f"{next(iter(by_trial), 'none')}"
            )
        out += [
            Defect(trial_id=t.trial_id, subject=t.subject, part=p, file=f, reason=f"left out by hand ({entry.source})")
            for t, p, f in named
            if p in wanted
        ]
    return list(dict.fromkeys(out))
