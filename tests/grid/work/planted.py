"""Damage to a data set in BioVid's layout, one kind at a time: what tests of robustness plant.

A kind is a function of one recording's file (or of the index), and what it has to lead to: the kind of finding, words of
the reason, whether the grid leaves the recording out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np


@dataclass(frozen=True)
class Defect:
    """`damage(file)` spoils a sound recording. `kind` '' and no words: it is legal and must change nothing."""

    name: str
    damage: Callable[[Path], object]
    kind: str = ""
    words: str = ""
    unusable: bool = True


def recode(
    file: Path, *, rate: int = 25, n: int = 138, change: Callable[[int, np.ndarray], np.ndarray] | None = None
) -> None:
    """Write the video anew: `n` frames, `rate` frames/s, each passed through `change(t, rgb)`."""
    with av.open(str(file)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for t in range(n):
            picture = frames[t % len(frames)]
            picture = picture if change is None else change(t, picture)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())


def faceless(gone: range) -> Callable[[Path], None]:
    return lambda file: recode(file, change=lambda t, rgb: np.full_like(rgb, 90) if t in gone else rgb)


def two_faces(t: int, rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    half = cv2.resize(rgb[:, width // 6 : -width // 6], (width // 2, height * 3 // 4), interpolation=cv2.INTER_AREA)
    both = np.full_like(rgb, 90)
    both[height // 8 : height // 8 + half.shape[0]] = np.concatenate([half, half], axis=1)
    return both


def table(change: Callable[[list[list[str]]], None]) -> Callable[[Path], None]:
    """Damage to the cells of a signal file; row 0 is the header: time gsr ecg emg_trapezius …"""

    def damage(file: Path) -> None:
        rows = [line.split("\t") for line in file.read_text().splitlines()]
        change(rows)
        file.write_text("\n".join("\t".join(row) for row in rows) + "\n")

    return damage


def column(number: int, value: Callable[[int, str], str], rows: slice = slice(1, None)) -> Callable[[Path], None]:
    def change(cells: list[list[str]]) -> None:
        for i, row in enumerate(cells[rows]):
            row[number] = value(i, row[number])

    return table(change)


def clip(cells: list[list[str]]) -> None:
    values = np.array([float(row[1]) for row in cells[1:]])
    for row, value in zip(cells[1:], np.minimum(values, np.quantile(values, 0.7)), strict=True):
        row[1] = f"{value:.6f}"


def widen(cells: list[list[str]]) -> None:
    for i, row in enumerate(cells):
        row.insert(1, "note" if i == 0 else "0")


def pipe_in_its_place(file: Path) -> None:
    """Reading a pipe that nobody writes to never ends."""
    file.unlink()
    os.mkfifo(file)


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


VIDEO = (
    Defect("truncated", lambda f: f.write_bytes(f.read_bytes()[: f.stat().st_size // 2]), "unreadable", "cannot be opened"),
    Defect("zero bytes", lambda f: f.write_bytes(b""), "unreadable", "empty (0 bytes)"),
    Defect("not a video", lambda f: f.write_text("see the other folder\n" * 50), "unreadable", "expected a video"),
    Defect("wrong rate", lambda f: recode(f, rate=30), "unreadable", "30.00 frames/s, which last 4.60 s, expected 5.52 s"),
    Defect("100 frames", lambda f: recode(f, n=100), "unreadable", "found 100 frames, expected 138"),
    Defect("200 frames", lambda f: recode(f, n=200), "length", "found 200 frames, expected 138", unusable=False),
    Defect("no face", faceless(range(200)), "no-face", "frames from frame 0 on"),
    Defect("face away for 2 s", faceless(range(40, 90)), "no-face", "frames from frame 40 on (1.60 s)"),
    Defect("face away for 0.2 s", faceless(range(40, 45)), "gap", "no face in 5 of 138 frames", unusable=False),
    Defect("two faces", lambda f: recode(f, change=two_faces), "faces", "found 2 faces", unusable=False),
    Defect("missing", lambda f: f.unlink(), "missing", "the file is missing"),
    Defect("a folder", folder_in_its_place, "unreadable", "found a folder without pictures"),
    Defect("damaged inside", lambda f: f.write_bytes(holes(f.read_bytes())), "unreadable", "expected an intact stream"),
)
SIGNALS = (
    Defect("empty", lambda f: f.write_bytes(b""), "unreadable", "found the columns ''"),
    Defect("header alone", table(lambda c: c.__delitem__(slice(1, None))), "unreadable", "a header and no rows"),
    Defect("short", table(lambda c: c.__delitem__(slice(2000, None))), "unreadable", "found 1999 rows, expected at least"),
    Defect("NaN block", column(1, lambda i, v: "NaN", slice(500, 600)), "not-finite", "100 values that are not finite"),
    Defect("Inf", column(2, lambda i, v: "inf", slice(70, 71)), "not-finite", "'ecg': found 1 values that are not finite"),
    Defect("flat", column(2, lambda i, v: "0.125"), "flat", "'ecg': found 0.125 in all 2816 rows: it is flat"),
    Defect("clipped", table(clip), "clipped", "of the samples stuck", unusable=False),
    Defect("commas", lambda f: f.write_text(f.read_text().replace("\t", ",")), "unreadable", "TAB-separated"),
    Defect("blanks in the header", table(lambda c: c.__setitem__(0, [f"  {n} " for n in c[0]]))),
    Defect("another column", table(widen)),
    Defect("missing column", table(lambda c: c[0].__setitem__(1, "gsx")), "unreadable", "expected one each of time, gsr"),
    Defect("no value", column(3, lambda i, v: "n/a", slice(9, 10)), "no-value", "expected"),
    Defect("letters", column(3, lambda i, v: "o.5", slice(9, 10)), "unreadable", "expected rows of numbers"),
    Defect("not UTF-8", lambda f: f.write_bytes(f.read_bytes().replace(b"\n", b"\xff\n", 9)), "unreadable", "0xff"),
    Defect("wrong rate", column(0, lambda i, v: str(i * 1000)), "unreadable", "expected 512 Hz"),
    Defect("missing", lambda f: f.unlink(), "missing", "the file is missing"),
    Defect("a pipe", pipe_in_its_place, "unreadable", "a folder or a device"),
)
ROWS = (  # a line of samples.csv to add (after a good one of it), and words of its reason
    ("repeated", "{good}", "repeats a trial"),
    ("mismatch of id and name", "1\t071309_w_21\t4\tBL1\t9\t071309_w_21-BL1-099", "class_id '4' with class_name 'BL1'"),
    ("mismatch of class and trial", "1\t071309_w_21\t4\tPA4\t9\t071309_w_21-BL1-099", "begin with '071309_w_21-PA4-'"),
    ("path traversal", "1\t../../etc\t0\tBL1\t9\t../../etc-BL1-001", "subject_name '../../etc'"),
    ("absolute path", "1\t/etc\t0\tBL1\t9\t/etc-BL1-001", "subject_name '/etc'"),
    ("cut off", "1\t071309_w_21\t0", "sample_name ''"),
    ("not UTF-8", "1\t071309_w_21\t0\tBL1\t9\t071309_w_21-BL1-\udcff", "not UTF-8"),
)
NOWHERE = "87\t120614_w_61\t4\tPA4\t9\t120614_w_61-PA4-001"  # a good row of a subject without a folder


def holes(content: bytes) -> bytes:
    """The middle of the file overwritten; header and index stay."""
    third = len(content) // 3
    return content[:third] + bytes(third) + content[2 * third :]
