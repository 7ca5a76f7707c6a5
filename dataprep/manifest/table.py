"""`manifest.csv` or `manifest.parquet`, a row per trial, as trials; what is wrong is told by file, row and column.

Columns: trial, subject, label; video and signals (paths from the folder of the manifest), start_s, end_s, onset_s (seconds of the
recording), video_at_s (the time of the video's first frame on that clock; 0 where it is not told); all others are kept with the
trial as they are written (site, session, temperature …). `sex` (m, w), `age` and `order` (a number that grows with time within a
person) are used where they are there: see people.py.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dataprep import file_names
from dataprep.manifest.formats import require_readers
from dataprep.manifest.layout import SETTINGS, Layout
from dataprep.manifest.text import number
from dataprep.records import Defect, InputError, RecordingError, Trial
from dataprep.signals.files import read_text
from dataprep.storage import Place, Remote, place

NAMES = ("manifest.csv", "manifest.parquet")
NEEDED = ("trial", "subject", "label")
TIMES = ("start_s", "end_s", "onset_s", "video_at_s")
KNOWN = (*NEEDED, "video", "signals", *TIMES)
PLAIN = re.compile(r"[^\x00-\x1f\x7f\ufffd]{1,120}")
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Rows:
    """The table: `rows` are (number in the file, column -> text)."""

    path: Place
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]


def manifest_of(folder: Place) -> Place | None:
    """The manifest of a folder, None if there is none."""
    return next((path for name in NAMES if (path := file_names.inside(folder, name) or folder / name).is_file()), None)


def read_rows(folder: Place) -> Rows:
    """The table as it is written. Raises InputError if there is none, or it lacks a column that every manifest has."""
    path = manifest_of(folder)
    if path is None:
        seen = ", ".join(sorted(file_names.listed(folder) or ())[:8])
        raise InputError(f"{folder}: found {seen or 'nothing'}, expected {' or '.join(NAMES)}")
    lines = _parquet_lines(path) if path.name.lower().endswith(".parquet") else _text_lines(path)
    header = [name.strip() for _, fields in lines[:1] for name in fields]
    lowered = tuple(name.lower() if name.lower() in KNOWN else name for name in header)
    missing = [name for name in NEEDED if name not in lowered]
    if missing:
        hint = "".join(file_names.hint(file_names.near(name, header)) for name in missing)
        raise InputError(
            f"{path}: found the columns {', '.join(header) or '(none)'}, expected {', '.join(missing)} among them{hint}"
        )
    twice = [name for name in lowered if lowered.count(name) > 1]
    if twice:
        raise InputError(f"{path}: found the column {twice[0]!r} twice, expected it once")
    rows = tuple((n, dict(zip(lowered, [*fields, *[""] * len(lowered)], strict=False))) for n, fields in lines[1:])
    if not rows:
        raise InputError(f"{path}: found a header and no rows, expected a row per trial")
    return Rows(path, lowered, rows)


def _text_lines(path: Place) -> list[tuple[int, list[str]]]:
    """(number of the line, fields) of every line that is not empty."""
    try:
        content = read_text(path, lenient=True)
    except RecordingError as error:
        raise InputError(str(error)) from None
    header = content.partition("\n")[0]
    reader = csv.reader(io.StringIO(content), delimiter=max(DELIMITERS, key=header.count))
    try:
        return [(reader.line_num, [f.strip() for f in fields]) for fields in reader if any(f.strip() for f in fields)]
    except csv.Error as error:
        raise InputError(f"{path}: row {reader.line_num}: {error}, expected a table of text") from None


def _parquet_lines(path: Place) -> list[tuple[int, list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(path.read_bytes()))
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error})") from None
    columns = [
        ["" if v is None or v != v else str(v) for v in table.column(name).to_pylist()] for name in table.column_names
    ]
    return [(0, list(table.column_names)), *((n, list(f)) for n, f in enumerate(zip(*columns, strict=True), start=1))]


def subset_members(rows: Rows, layout: Layout) -> dict[str, frozenset[str] | None]:
    """Subset -> its subjects, everybody first. Raises InputError for a subject or column that is not in the table."""
    people = {row["subject"] for _, row in rows.rows}
    found: dict[str, frozenset[str] | None] = {"all": None}
    for name, wanted in layout.subsets.items():
        if isinstance(wanted, dict):
            for column in wanted:
                if column not in rows.columns:
                    raise InputError(
                        f"{SETTINGS}: subsets.{name}: found the column {column!r}, expected one of {rows.path.name}"
                    )
            found[name] = frozenset(r["subject"] for _, r in rows.rows if all(r[c] == v for c, v in wanted.items()))
        else:
            found[name] = frozenset(wanted)
            _require_people(found[name] or (), people, f"subsets.{name}", rows)
        if not found[name]:
            raise InputError(f"{SETTINGS}: subsets.{name}: found nobody of {rows.path.name}, expected at least one subject")
    _require_people(layout.holdout, people, "holdout", rows)
    return found


def _require_people(named: Sequence[str] | frozenset[str], people: set[str], key: str, rows: Rows) -> None:
    unknown = sorted(set(named) - people)
    if unknown:
        hint = file_names.hint(file_names.near(unknown[0], people))
        raise InputError(f"{SETTINGS}: {key}: found {unknown[0]!r}, expected subjects of {rows.path.name}{hint}")


def read_trials(folder: Place, rows: Rows, layout: Layout) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The trials in the order of the table, and what is wrong with some."""
    trials: dict[str, Trial] = {}
    defects: list[Defect] = []
    files = _Files(folder, layout)
    for n, row in rows.rows:
        made, wrong = _trials_of(row, layout, rows.columns)
        wrong = wrong or [("trial", f"{t.trial_id!r}, which an earlier row names") for t in made if t.trial_id in trials][:1]
        if wrong:
            reason = f"{rows.path}: row {n}, column {wrong[0][0]!r}: found {wrong[0][1]}"
            defects.append(
                Defect(
                    trial_id=row["trial"][:120],
                    subject=row["subject"][:120],
                    part="index",
                    file=str(rows.path),
                    reason=reason,
                )
            )
            continue
        at: dict[str, str | None] = {"video": None, "signals": None}
        for part in at:
            if row.get(part):
                at[part], problem = files.find(row[part])
                if problem:
                    reason = f"{rows.path}: row {n}, column {part!r}: {problem}"
                    file = str(folder / row[part].replace("\0", ""))
                    defects.append(
                        Defect(trial_id=made[0].trial_id, subject=made[0].subject, part=part, file=file, reason=reason)
                    )
        told = f"{rows.path}: row {n}, column '{layout.window.begin}_s'"
        for k, trial in enumerate(made):  # a baseline window lies in a long recording, not in a video of the trial alone
            video = None if k and trial.video_start_s is None else at["video"]
            trials[trial.trial_id] = replace(trial, signals=at["signals"], video=video, told=told)
    require_readers(place(t.signals) for t in trials.values() if t.signals)
    return tuple(trials.values()), tuple(defects)


def _trials_of(row: Mapping[str, str], layout: Layout, columns: Sequence[str]) -> tuple[list[Trial], list[tuple[str, str]]]:
    """The trial of a row, and that before it if there are baselines; or what is wrong with the row: column, what was found."""
    for column in NEEDED:
        if not PLAIN.fullmatch(row[column]):
            return [], [(column, f"{row[column][:60]!r}, expected 1 to 120 printable characters")]
    order = layout.classes.order
    if row["label"] not in order:
        return [], [("label", f"{row['label'][:60]!r}, expected one of {', '.join(order)} (classes.order in {SETTINGS})")]
    times_s: dict[str, float] = {}
    for column in TIMES:
        if row.get(column):
            times_s[column] = seconds(row[column])
            if not math.isfinite(times_s[column]):
                return [], [(column, f"{row[column][:60]!r}, expected a number of seconds")]
    begin = f"{layout.window.begin}_s"
    for column in {begin, *(["onset_s"] if layout.baseline else [])}:
        if column not in times_s and (column in columns or column == "onset_s"):
            return [], [(column, "nothing, expected a number of seconds")]
    start_s = times_s.get(begin, 0.0) + layout.window.offset_s
    length_s = layout.n_steps / layout.clock_hz
    if "end_s" in times_s and start_s + length_s > times_s["end_s"] + 1 / layout.clock_hz:
        seen = f"{times_s['end_s']:g}, expected at least {start_s + length_s:g}: {length_s:g} s from {start_s:g} s on"
        return [], [("end_s", seen)]
    starts = [(row["trial"], row["label"], start_s)]
    if layout.baseline:
        starts.append((f"{row['trial']}-baseline", layout.baseline.label, times_s["onset_s"] - layout.baseline.before_s))
    if layout.files.time is None and min(at_s for *_, at_s in starts) < 0:
        return [], [(begin, f"a window that begins at {min(at_s for *_, at_s in starts):g} s, before the recording does")]
    free = {k: v for k, v in row.items() if k not in KNOWN and v}
    cut = not layout.files.video_per_trial and is_counted(layout, columns)
    trials = []
    for name, label, at_s in starts:
        in_video_s = at_s - times_s.get("video_at_s", 0.0) if cut else None
        if row.get("video") and in_video_s is not None and in_video_s < -1 / layout.clock_hz:
            return [], [(begin, f"{at_s:g} s, which is {-in_video_s:g} s before the video begins")]
        trials.append(
            Trial(
                name,
                row["subject"],
                order.index(label),
                label,
                start_s=at_s,
                columns=free,
                video_start_s=in_video_s,
                frames_hz=layout.files.frames_hz,
            )
        )
    return trials, []


def is_counted(layout: Layout, columns: Sequence[str]) -> bool:
    """Whether trials are cut out of longer recordings; else each file is one trial, from its beginning on."""
    return layout.window.begin == "onset" or "start_s" in columns or layout.baseline is not None


def seconds(text: str) -> float:
    """The number that a field holds, with a decimal point or comma; NaN if it holds none."""
    value = number(text)
    return number(text, ",") if math.isnan(value) else value


class _Files:
    """Looks up the files that a table names: in the data set's folder, or where that is allowed. A folder is listed once."""

    def __init__(self, folder: Place, layout: Layout) -> None:
        self.folder, self.listed = folder, dict[str, frozenset[str]]()
        self.allowed = (
            [folder.resolve()]
            if isinstance(folder, Remote)
            else [(folder / name).resolve() for name in ("", *layout.files.outside)]
        )

    def find(self, name: str) -> tuple[str | None, str]:
        """The file's path or URI, or None and what is wrong."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if "\0" in name or not parts:
            return None, f"found {name[:60]!r}, expected the path of a file"
        if isinstance(self.folder, Remote) and (".." in parts or parts[0] == "/" or ":" in parts[0]):
            return None, f"found {name!r}, expected a path inside {self.folder}"
        at: Place = self.folder / PurePosixPath(*parts)
        if isinstance(at, Path):
            at = Path(at.parent.resolve() / at.name)
            real = at.resolve()
            if not any(isinstance(root, Path) and real.is_relative_to(root) for root in self.allowed):
                return None, (
                    f"found {name!r}, which lies outside of {self.folder}; expected a path inside it, or its folder in "
                    f"files.outside of {SETTINGS}"
                )
        parent = str(at.parent)
        if parent not in self.listed:
            self.listed[parent] = file_names.listed(at.parent) or frozenset()
        match = file_names.match(at.name, self.listed[parent])
        if match is None:
            return (
                None,
                f"found {name!r}, which is not there{file_names.hint(file_names.near(at.name, self.listed[parent]))}",
            )
        return str(at.parent / match), ""
