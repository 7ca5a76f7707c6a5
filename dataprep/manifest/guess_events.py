"""Whether a file beside recordings is rather a table of events (of a stimulator, a marker channel, a protocol)."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from dataprep.manifest import guess_channels
from dataprep.manifest.text import number

BY_NAME = re.compile(
    r"^(events?|markers?|triggers?|tags|onsets?|annotations?|stimuli|timings?|eventlog|logs?|ratings?|covas)$", re.I
)
FIRST = re.compile(r"^(events|markers|triggers|tags|onsets|annotations|stimuli)$", re.I)
TIMES = re.compile(
    r"^\W*(onset|start|begin|stop|end|offset|duration|latency|time|timestamp|zeit|beginn|t)s?([\W_].*)?$", re.I
)
PLAIN_TIMES = re.compile(r"^\W*(onset|duration|latency|begin)s?([\W_].*)?$", re.I)
KINDS = re.compile(
    r"^\W*(events?|labels?|markers?|triggers?|conditions?|stimulus|stim\w*|trial_?types?|types?|codes?|description|annotations?|"
    r"intensity|level|ereignis|bedingung)([\W_].*)?$",
    re.I,
)
DATE = re.compile(r"^\d|^(mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.I)
LOOKED_AT = 64_000  # bytes of a file


def is_events(path: Path) -> bool:
    """Whether a text file is a table of events, by its name or by what its first rows hold; a file with a body signal is none."""
    rows = _rows(path)
    head = rows[0] if rows else []
    if any(guess_channels.by_name(name)[0] not in ("", "temp") for name in head):  # a temperature may be the stimulus's
        return False
    words = [word for word in re.split(r"[_\-. ]+", path.stem) if word]
    if words and (BY_NAME.match(words[-1]) or FIRST.match(words[0])):
        return True
    if any(map(TIMES.match, head)) and any(map(KINDS.match, head)):
        return any(map(PLAIN_TIMES.match, head)) or _in_words(rows[1:])
    return len(head) in (2, 3, 4) and path.stat().st_size <= LOOKED_AT and _in_words(rows)


def _in_words(rows: list[list[str]]) -> bool:
    """Whether most rows hold a number and a word, which no recording does."""
    mixed = [
        any(v == v for v in map(number, row)) and any(f and number(f) != number(f) and not DATE.match(f) for f in row)
        for row in rows
    ]
    return bool(mixed) and sum(mixed) > 0.5 * len(mixed)


def _rows(path: Path) -> list[list[str]]:
    """The fields of the first rows; comments at the beginning are left out."""
    with open(path, "rb") as file:
        content = file.read(LOOKED_AT)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    lines = [line for line in content.decode(encoding, errors="replace").splitlines() if line.strip()]
    while lines and lines[0].lstrip().startswith("#"):
        del lines[0]
    if not lines:
        return []
    sign = max((",", ";", "\t"), key=lines[0].count)
    return [[field.strip() for field in row] for row in csv.reader(lines, delimiter=sign)]
