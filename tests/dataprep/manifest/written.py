"""Small data sets by a table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

PLAIN = """
name = "lab"
clock_hz = 10
[window]
length_s = 2.0
[classes]
order = ["none", "pain"]
[files]
rate_hz = 20
[channels.eda]
column = "eda"
"""
T_S = np.arange(60) / 20  # 3 s at 20 Hz


def folder(root: Path, settings: str = PLAIN, rows: str | None = None) -> Path:
    """A data set of two people, a recording each; `rows` of the manifest under its header."""
    root.mkdir(exist_ok=True)
    (root / "dataset.toml").write_text(settings)
    (root / "manifest.csv").write_text(rows or "trial,subject,label,signals\na,p1,none,a.csv\nb,p2,pain,b.csv\n")
    for name, slope in (("a", 1.0), ("b", -2.0)):
        (root / f"{name}.csv").write_text("eda\n" + "".join(f"{slope * t}\n" for t in T_S))
    return root


LONG = """
name = "long"
clock_hz = 10
[window]
length_s = 4.0
begin = "onset"
offset_s = 0.5
[baseline]
label = "none"
before_s = 5.0
[classes]
order = ["none", "mild", "severe"]
[files]
delimiter = ";"
decimal = ","
header = false
skip_rows = 1
time = 1
time_unit = "ms"
[channels.eda]
column = 2
unit = "uS"
scale = 2.0
[channels.grip]
column = 3
shift = -1.0
[subsets]
women = { sex = "F" }
two = ["p1", "p2"]
"""


def long_recordings(root: Path) -> Path:
    """Three people, 60 s at 50 Hz each, times from 100 s on in ms, decimal commas, no header; EDA is the time, grip a sine."""
    root.mkdir()
    (root / "dataset.toml").write_text(LONG)
    rows = ["trial;subject;label;signals;onset_s;end_s;sex;temperature"]
    for n, sex in enumerate("FMF", start=1):
        time_s = 100 + np.arange(3000) / 50
        lines = [f"{1000 * t:.1f};{t:.4f};{math.sin(t):.6f}".replace(".", ",") for t in time_s]
        (root / f"p{n}.txt").write_text("\n".join(["Recorder 7", *lines]))
        rows += [
            f"p{n}-{k};p{n};{label};p{n}.txt;{110 + 12 * k},5;160;{sex};4{k}" for k, label in enumerate(("mild", "severe"))
        ]
    (root / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
    return root
