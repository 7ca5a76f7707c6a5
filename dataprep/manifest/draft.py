"""Drafts manifest.csv and dataset.toml by looking at a folder. Nothing is asked: each guess is in the file, with a comment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dataprep.manifest.folder_guess import CALM, draft_manifest, label_order, order_is_told
from dataprep.manifest.formats import require_readers
from dataprep.manifest.guess_files import FileGuess, guess_file
from dataprep.manifest.guess_videos import FRAMES_HZ, VideoGuess, look
from dataprep.manifest.guess_window import signal_lengths, window
from dataprep.manifest.layout import SETTINGS, Channel, Layout, layout_of
from dataprep.manifest.other_signals import Look, paired
from dataprep.manifest.other_signals import said as said_of
from dataprep.manifest.table import Rows, manifest_of, read_rows, seconds
from dataprep.outputs import drafted
from dataprep.records import InputError, RecordingError

CLOCK_HZ = 25.0
OF_ONE, OF_OTHERS = 6, 2  # files that are held against the first one: of its person, and of others
SAME_RATE = 0.01
NO_ORDER = "# "
LOOKED_AT = 60  # files whose values are held against each other


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
    if not any(r["label"] for _, r in rows.rows):
        return [*said, f"not written {settings}: label is empty in {table.name}. FILL IT IN, then run this once more"]
    with drafted(settings) as part:
        part.write_text(text, encoding="utf-8")
    return [*said, f"written    {settings}", *(f"  {line}" for line in unsure)]


def toml(folder: Path, rows: Rows) -> tuple[str, list[str]]:
    """The text of dataset.toml and what to look at in it."""
    refuse_other_signals(folder, rows)
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
    clock_hz = min(CLOCK_HZ, guess.fastest_hz or CLOCK_HZ) if guess and "video" not in rows.columns else CLOCK_HZ
    videos = look(folder, rows, f"{begin}_s")
    origin_s = guess.time_s[0] if guess and guess.time_s and guess.files.time is not None else 0.0
    proposed = window(rows, f"{begin}_s", signal_lengths(folder, rows, guess, clock_hz), videos, origin_s)
    unsure += proposed.said
    n = max(2, int(proposed.length_s * clock_hz + 1e-6))
    lines = [
        f"# Drafted by `python -m dataprep.manifest` from {rows.path.name} and the files that it names. Check every guess, then",
        f"#     python -m dataprep.check {folder.name}",
        f"name = {_string(_name(folder))}",
        f"clock_hz = {_number(clock_hz)}  # steps a second of what the networks see; signals of higher rates are low-passed",
        "",
        "[window]",
        f"length_s = {_number(n / clock_hz)}  # guess: {proposed.why}",
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
    ]
    listed = f"order = [{', '.join(map(_string, order))}]"
    if order_is_told(order):
        lines.append(f"{listed}  # guess: no pain first; by their words and numbers")
        if not any(CALM.match(label) for label in order[:1]):
            unsure.append(f"classes.order: no label says that it is without pain; {order[0]!r} is taken for it")
    else:
        lines.append(f"{NO_ORDER}{listed}  # NOT FOUND: which label is without pain? Put it first, and the strongest last")
        unsure.append(f"classes.order: nothing says which of {', '.join(order)} is without pain. FILL IT IN, that one first")
    for column in ("start_s", "end_s"):
        if column in rows.columns and not starts[column]:
            unsure.append(f"{column} is empty in {rows.path.name}: fill it in, or take the column out")
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


def refuse_other_signals(folder: Path, rows: Rows) -> None:
    """Raises InputError if files of one person hold other signals by a part of their names that says nothing of it."""
    named = {r["signals"]: r for _, r in rows.rows if r.get("signals")}
    looks: dict[str, Look] = {}
    for name in sorted(named)[:LOOKED_AT]:
        with suppress(RecordingError, OSError):  # what is wrong with a file is told where it is read
            looks[name] = guess_file(folder / name).look or Look("", 0.0)
    of = {key: {name: named[name].get(key, "") for name in looks} for key in ("subject", "label")}
    if pair := paired(looks, subjects=of["subject"], labels=of["label"]):
        same = of["label"][pair.first] == of["label"][pair.second]
        raise InputError(f"{rows.path}: column 'signals': {said_of(pair, one_label=same)}")


def _look(folder: Path, rows: Rows) -> tuple[FileGuess | None, list[str]]:
    """The guess for the first signal file, held against others of the same person and of other people."""
    named = list(dict.fromkeys((r["subject"], r["signals"]) for _, r in rows.rows if r.get("signals")))
    if not named:
        return None, []
    there = [(subject, path) for subject, name in named if (path := folder / name).is_file()]
    if not there:
        raise InputError(
            f"{rows.path}: column 'signals': found {named[0][1]!r} and no such file, expected paths from {folder} on"
        )
    require_readers(path for _, path in there)
    guesses: list[tuple[Path, FileGuess]] = []
    unsure = []
    own = [path for subject, path in there if subject == there[0][0]][:OF_ONE]
    others = list({subject: path for subject, path in reversed(there) if subject != there[0][0]}.values())[::-1][:OF_OTHERS]
    for path in (*own, *others):
        try:
            guesses.append((path, guess_file(path)))
        except RecordingError as error:
            unsure.append(str(error))
    if not guesses:
        raise InputError(f"{unsure[0]}; no signal file could be read")
    (first_path, first), *rest = guesses
    for path, other in rest:
        if what := _differs(other, first):
            unsure.append(f"{path.relative_to(folder)} looks different from {first_path.relative_to(folder)}: {what}")
    return first, unsure


def _differs(other: FileGuess, first: FileGuess) -> str:
    """In what a file is unlike the first one, as far as dataset.toml describes all files at once."""
    keys = [
        key for key, value in other.files.model_dump().items() if key != "rate_hz" and value != getattr(first.files, key)
    ]
    if keys:
        return ", ".join(keys)
    if list(other.channels) != list(first.channels):
        return f"it seems to hold {', '.join(other.channels)} and not {', '.join(first.channels)}"
    if first.files.time is None and first.rate_hz and other.rate_hz and abs(other.rate_hz / first.rate_hz - 1) > SAME_RATE:
        return f"{other.rate_hz:g} samples a second and not {first.rate_hz:g}"
    return ""


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

    ordered = text.replace(f"{NO_ORDER}order = ", "order = ")
    return layout_of(tomllib.loads(ordered), f"{folder / SETTINGS} as drafted from {rows.path}")


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
