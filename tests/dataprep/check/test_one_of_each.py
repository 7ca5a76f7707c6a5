"""One data set with one recording of each kind that cameras, tools and people make: the check says of each what is true of it."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dataprep.check import command as check
from dataprep.synthetic.dataset import write_synthetic
from tests.dataprep.check.test_oddities import turned
from tests.dataprep.video.makers import Kind, two_parts, with_clap, with_streams, write

Pictures = list[np.ndarray]
FAST = {"preset": "ultrafast"}


def slanted(path: Path, pictures: Pictures) -> None:
    content = bytearray(write(path, Kind(orientation="mirrored"), pictures[:5]).read_bytes())
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def renamed(path: Path, ending: str) -> None:
    path.rename(path.with_suffix(ending))


def as_avi(path: Path, pictures: Pictures) -> None:
    kind = Kind(container="avi", options={**FAST, "bf": "3", "b-adapt": "0"})
    write(path, kind, pictures)


def one_in(path: Path, pictures: Pictures, codec: str, container: str) -> None:
    write(path, Kind(codec=codec, pixels="yuvj420p", container=container), pictures[:5])


def cropped(path: Path, pictures: Pictures) -> None:
    framed = [np.pad(p, ((8, 24), (16, 32), (0, 0)), mode="edge") for p in pictures]
    with_clap(write(path, Kind(options=FAST), framed), (320, 240), (-16, -16))


COVER = [np.full((64, 64, 3), (200, 120, 40), np.uint8)]
# number of the kind: (name, what makes it, the finding, words of its reason); no finding: the recording is used as it is
VIDEOS: list[tuple[str, Callable[[Path, Pictures], object], str, str]] = [
    ("mirrored", lambda f, p: write(f, Kind(orientation="mirrored", options=FAST), p), "", ""),
    ("slanted", slanted, "unreadable", "display matrix that turns the picture by 45°"),
    ("squeezed", lambda f, p: write(f, Kind(sar=Fraction(64, 45), options=FAST), p), "", ""),
    ("thin pixels", lambda f, p: write(f, Kind(sar=Fraction(20)), p[:5]), "unreadable", "pixels of the shape 20:1"),
    ("cropped", cropped, "", ""),
    (
        "two shapes",
        lambda f, p: two_parts(f, [(p[:4], Fraction(1)), ([q[:180] for q in p[4:8]], Fraction(1))]),
        "unreadable",
        "frame 4 is shown 320x180, the first 320x240",
    ),
    ("cover first", lambda f, p: with_streams(f, [("mjpeg", COVER, 1024), ("libx264", p, 1)]), "", ""),
    (
        "two videos",
        lambda f, p: with_streams(f, [("libx264", p[:9], 1), ("libx264", p[:9], 0)]),
        "unreadable",
        "found 2 videos, streams 0 (h264, 320x240, 9 pictures) and 1",
    ),
    ("cover alone", lambda f, p: with_streams(f, [("mjpeg", COVER, 1024)]), "unreadable", "a cover or thumbnails"),
    ("avi", as_avi, "", ""),
    ("bare", lambda f, p: one_in(f, p, "mjpeg", "mjpeg"), "unreadable", "declares no frame rate"),
    ("BT.2020", lambda f, p: write(f, Kind(matrix=9, options=FAST), p), "", ""),
    ("YCgCo", lambda f, p: write(f, Kind(options={"colorspace": "ycgco"}), p[:5]), "unreadable", "YCgCo"),
    ("capitals", lambda f, p: renamed(f, ".MP4"), "", ""),
    ("near miss", lambda f, p: renamed(f, ".avi"), "missing", "the file is missing; there is"),
    (
        "tilted",
        lambda f, p: write(f, Kind(), [turned(-50)(q) for q in p]),
        "tilted",
        "is tilted by more than 30°",
    ),
    (
        "interlaced",
        lambda f, p: write(f, Kind(options={**FAST, "flags": "+ildct+ilme"}), p),
        "interlaced",
        "stored interlaced",
    ),
]


def table(path: Path, change: Callable[[np.ndarray], object]) -> None:
    header, *rows = path.read_text().rstrip("\n").split("\n")
    values = np.array([[float(v) for v in row.split("\t")] for row in rows])
    change(values)
    np.savetxt(path, values, delimiter="\t", header=header, comments="", fmt="%.6f")


def still(values: np.ndarray) -> None:
    values[800:1568, 1] = values[800, 1]


def spiked(values: np.ndarray) -> None:
    values[2000, 2] += 9 * np.ptp(values[:, 2])


def text(path: Path, change: Callable[[str], str]) -> None:
    path.write_bytes(change(path.read_text()).encode())


def emptied(content: str) -> str:
    lines = content.split("\n")
    fields = lines[700].split("\t")
    lines[700] = "\t".join([fields[0], "NA", *fields[2:]])
    return "\n".join(lines)


SIGNALS: list[tuple[str, Callable[[Path], object], str, str]] = [
    ("CR alone", lambda f: text(f, lambda content: content.replace("\n", "\r")), "", ""),
    ("NA", lambda f: text(f, emptied), "no-value", "NA"),
    ("frozen", lambda f: table(f, still), "frozen", "channel 'eda': stays at"),
    ("spikes", lambda f: table(f, spiked), "spikes", "channel 'ecg': has 1 spike"),
    ("_BIO.CSV", lambda f: f.rename(f.with_name(f.name.upper())), "", ""),
]


@pytest.mark.slow
def test_each_recording_has_its_finding_and_the_others_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "PartA"
    write_synthetic(root, subjects=2, trials=5, videos=False)
    write_synthetic(tmp_path / "face", subjects=1, trials=1, size=(320, 240))
    face = max((tmp_path / "face").rglob("*.mp4"))
    with av.open(str(face)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    signals = sorted((root / "biosignals_filtered").rglob("*.csv"))
    videos = [root / "video" / f.parent.name / f"{f.stem.removesuffix('_bio')}.mp4" for f in signals]
    assert len(VIDEOS) < len(videos)
    for n, path in enumerate(videos):  # all of them differ by a box that nobody reads: copies would be a finding
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(face.read_bytes() + struct.pack(">I4sI", 12, b"free", n))
    expected: dict[tuple[str, str], tuple[str, str, str]] = {}
    for path, (name, make, kind, words) in zip(videos, VIDEOS, strict=False):
        expected[path.stem, "video"] = (name, kind, words)
        make(path, pictures)
    for path, (name, damage, kind, words) in zip(signals, SIGNALS, strict=False):
        expected[path.stem.removesuffix("_bio"), "signals"] = (name, kind, words)
        damage(path)
    for file in [p for p in root.rglob("*") if p.is_file()]:  # as macOS packs it
        shadow = root / "__MACOSX" / file.relative_to(root)
        shadow.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, shadow)
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
    assert check.main([str(root), "--json", "--jobs", "2"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    for (trial, part), (name, kind, words) in expected.items():
        mine = [f for f in found if (f["trial_id"], f["part"]) == (trial, part)]
        assert [f["kind"] for f in mine] == ([kind] if kind else []), (name, mine)
        assert all(words in f["reason"] for f in mine), (name, mine)
        assert all(f["unusable"] == (kind in ("unreadable", "missing", "no-value")) for f in mine), (name, mine)
    assert [f for f in found if (f["trial_id"], f["part"]) not in expected and f["part"] != "index"] == []
