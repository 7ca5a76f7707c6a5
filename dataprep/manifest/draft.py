"""Drafts manifest.csv and dataset.toml by looking at a folder. Nothing is asked: each guess is in the file, with a comment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dataprep.manifest.folder_guess import CALM, draft_manifest, label_order
from dataprep.manifest.formats import require_readers
from dataprep.manifest.guess_files import FileGuess, guess_file
from dataprep.manifest.guess_videos import FRAMES_HZ, VideoGuess, look
from dataprep.manifest.layout import SETTINGS, Channel, Layout, layout_of
from dataprep.manifest.table import Rows, manifest_of, read_rows, seconds
from dataprep.outputs import drafted
from dataprep.records import InputError, RecordingError

LONGEST_S = 10.0  # a window that nothing else limits
CLOCK_HZ = 25.0


def draft(folder: Path) -> list[str]:
    """Write the files that the folder lacks; gives what to say of them. Raises InputError if both are there, or nothing fits."""
    folder = folder.absolute()
    settings, table, said = folder / SETTINGS, manifest_of(folder), []
    if settings.exists() and table is not None:
        raise InputError(f"{folder}: found {SETTINGS} and {table.name}; remove the one that shall be drafted again")
    if table is None:
        table = folder / "manifest.csv"
        guesses = draft_manifest(folder, table)
        said += [f"written    {table}", *(f"  {line}" for line in guesses)]
    if settings.exists():
        return said
    rows = read_rows(folder)
    text, unsure = toml(folder, rows)
    with drafted(settings) as part:
        part.write_text(text, encoding="utf-8")
    return [*said, f"written    {settings}", *(f"  {line}" for line in unsure)]


def toml(folder: Path, rows: Rows) -> tuple[str, list[str]]:
    """The text of dataset.toml and what to look at in it."""
    guess, unsure = _look(folder, rows)
    starts = {c: [seconds(r[c]) for _, r in rows.rows if r.get(c)] for c in ("start_s", "end_s", "onset_s")}
    begin = "onset" if starts["onset_s"] and not starts["start_s"] else "start"
    if guess and guess.time_s and (given := starts[f"{begin}_s"]):
        low, high = guess.time_s
        if min(given) < low - 1 or min(given) > high:
            unsure.append(
                f"files.time is left out: {begin}_s ({min(given):g} …) is no time of the column ({low:g} to {high:g} s)"
            )
            files = guess.files.model_copy(update={"time": None, "rate_hz": round(guess.rate_hz, 6)})
            guess.files, guess.why = files, {**guess.why, "rate_hz": f"the times, which run from {low:g} to {high:g} s"}
    labels = [r["label"] for _, r in rows.rows]
    order = label_order([label for label in labels if label]) or ["no_pain", "pain"]
    clock_hz = min(CLOCK_HZ, guess.rate_hz or CLOCK_HZ) if guess and "video" not in rows.columns else CLOCK_HZ
    videos = look(folder, rows, f"{begin}_s")
    length_s, why = _length(rows, starts, begin, guess, videos)
    n = max(2, int(length_s * clock_hz + 1e-6))
    lines = [
        f"# Drafted by `python -m dataprep.manifest` from {rows.path.name} and the files that it names. Check every guess, then",
        f"#     python -m dataprep.check {folder.name}",
        f"name = {_string(_name(folder))}",
        f"clock_hz = {_number(clock_hz)}  # steps a second of what the networks see; signals of higher rates are low-passed",
        "",
        "[window]",
        f"length_s = {_number(n / clock_hz)}  # guess: {why}",
    ]
    if begin == "onset":
        lines += ['begin = "onset"  # of the column onset_s']
    if len(order) == 1 and starts["onset_s"]:
        before_s = _number(n / clock_hz)
        lines += [
            "",
            "[baseline]  # guess: there is one label alone, so the window before each onset is the other one",
            'label = "baseline"',
            f"before_s = {before_s}",
        ]
        order = ["baseline", *order]
    lines += [
        "",
        "[classes]",
        f"order = [{', '.join(map(_string, order))}]  # guess: no pain first; by their words and numbers",
    ]
    if not any(CALM.match(label) for label in order[:1]):
        unsure.append(f"classes.order: no label says that it is without pain; {order[0]!r} is taken for it")
    if not any(labels):
        unsure.append(f"label is empty in {rows.path.name}: fill it in, and the labels into classes.order")
    if videos.pictures:
        unsure.append("files.frames_hz: nothing says how many pictures a second the folders hold. FILL IT IN")
    if guess or videos.per_trial or videos.pictures:
        lines += _files(guess, videos)
    if guess:
        if not guess.files.rate_hz and guess.files.time is None and not guess.rate_hz:
            unsure.append("files.rate_hz: nothing says how many samples a second there are. FILL IT IN")
        unsure += [f"left out   {line}" for line in guess.left_out]
    text = "\n".join(lines) + "\n"
    _check(text, folder, rows)
    return text, unsure


def _look(folder: Path, rows: Rows) -> tuple[FileGuess | None, list[str]]:
    """The guess for the first signal file, held against those of other people."""
    names = {r["subject"]: r["signals"] for _, r in rows.rows if r.get("signals")}
    paths = [folder / name for name in dict.fromkeys(names.values())]
    there = [path for path in paths if path.is_file()]
    if not names:
        return None, []
    if not there:
        raise InputError(
            f"{rows.path}: column 'signals': found {paths[0].name!r} and no such file, expected paths from {folder} on"
        )
    require_readers(there)
    guesses: list[FileGuess] = []
    unsure = []
    for path in there[:3]:
        try:
            guesses.append(guess_file(path))
        except RecordingError as error:
            unsure.append(str(error))
    if not guesses:
        raise InputError(f"{unsure[0]}; no signal file could be read")
    first = guesses[0]
    for other, path in zip(guesses[1:], there[1:], strict=False):
        differ = [
            key for key, value in other.files.model_dump().items() if key != "rate_hz" and value != getattr(first.files, key)
        ]
        if differ or list(other.channels) != list(first.channels):
            what = ", ".join(differ) or f"channels {', '.join(other.channels)}"
            unsure.append(f"{path.name} looks different from {there[0].name}: {what}")
    first.length_s = min(g.length_s for g in guesses)
    return first, unsure


def _length(
    rows: Rows, starts: Mapping[str, list[float]], begin: str, guess: FileGuess | None, videos: VideoGuess
) -> tuple[float, str]:
    """How long a window may be, and why."""
    if begin == "start" and starts["start_s"] and len(starts["end_s"]) == len(starts["start_s"]):
        return min(
            e - s for s, e in zip(starts["start_s"], starts["end_s"], strict=True)
        ), "the shortest from start_s to end_s"
    if starts[f"{begin}_s"]:
        by_file: dict[str, list[float]] = {}
        for _, r in rows.rows:
            by_file.setdefault(r.get("signals") or r.get("video", ""), []).append(seconds(r[f"{begin}_s"]))
        gaps = [b - a for times in by_file.values() for a, b in zip(sorted(times), sorted(times)[1:], strict=False) if b > a]
        if guess and guess.length_s:
            origin = guess.time_s[0] if guess.time_s and guess.files.time is not None else 0.0
            gaps.append(origin + guess.length_s - max(starts[f"{begin}_s"]))
        if videos.shortest_s:
            gaps.append(videos.shortest_s - (0.0 if videos.per_trial else max(starts[f"{begin}_s"])))
        positive = [g for g in gaps if g > 0]
        if positive:
            shortest = min(positive)
            why = f"the shortest time from one {begin}_s to the next, or to the recording's end, is {shortest:g} s"
            why += f", of which {LONGEST_S:g} s are taken" if shortest > LONGEST_S else ""
            return min(shortest, LONGEST_S), why
    lengths = [x for x in (guess.length_s if guess else 0.0, videos.shortest_s) if x]
    if lengths:
        return min(lengths), "the shortest recording that was looked at"
    return 5.0, "NOTHING says how long a trial is. FILL IT IN"


def _files(guess: FileGuess | None, videos: VideoGuess) -> list[str]:
    """The lines of [files] and of the channels."""
    lines = ["", "[files]"]
    if videos.per_trial:
        lines.append("video_per_trial = true  # guess: trials begin later than the videos that they name are long")
    if videos.pictures:
        lines.append(
            f"frames_hz = {_number(FRAMES_HZ)}  # NOT FOUND: pictures a second; 0: those of a folder last as long as a trial"
        )
    if guess is None:
        return lines
    written = {**guess.files.model_dump(exclude_defaults=True)}
    if "delimiter" in guess.why:
        written = {"delimiter": guess.files.delimiter, "decimal": guess.files.decimal, **written}
    for key, value in written.items():
        comment = f"  # guess: {guess.why[key]}" if key in guess.why else ""
        lines.append(f"{key} = {_value(value)}{comment}")
    if guess.files.time is None and not guess.files.rate_hz and not guess.rate_hz:
        lines.append("# rate_hz = 100  # NOT FOUND: samples a second of these files")
    for name, channel in guess.channels.items():
        lines += ["", f"[channels.{name}]  # guess: {guess.why[name]}", *_channel(channel)]
    return [*lines, *(["", *(f"# left out: {line}" for line in guess.left_out)] if guess.left_out else [])]


def _channel(channel: Channel) -> list[str]:
    return [
        f"{key} = {_value(value)}" for key, value in channel.model_dump(exclude_defaults=True).items() if value is not None
    ]


def _check(text: str, folder: Path, rows: Rows) -> Layout:
    """The draft read back: one that cannot be read is a bug, said at once."""
    import tomllib

    return layout_of(tomllib.loads(text), f"{folder / SETTINGS} as drafted from {rows.path}")


def _name(folder: Path) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in folder.name).strip("-._")
    return plain[:64] or "data"


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))


def _string(value: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in value) + '"'


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    return _number(value) if isinstance(value, float) else str(value)
