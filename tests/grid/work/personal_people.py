"""People whose skin conductance answers to pain, all alike or with a sign of their own, as a data set by a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SETTINGS = """
name = "people"
clock_hz = 4
[window]
length_s = 5.0
[classes]
order = ["rest", "pain"]
[files]
rate_hz = 4
[channels.eda]
column = "eda"
"""
PER_CLASS = 12


def write(folder: Path, *, people: int = 8, alike: bool, changed: frozenset[str] = frozenset()) -> Path:
    """A file a trial of 5 s. Trials of `changed` have other values and the other label."""
    folder.mkdir(parents=True)
    (folder / "dataset.toml").write_text(SETTINGS)
    rows = ["trial,subject,label,signals"]
    for p in range(people):
        rng = np.random.default_rng(p)
        sign = 1 if alike or p % 2 else -1
        for n in range(2 * PER_CLASS):
            name, pain = f"p{p}-{n:02d}", n % 2 == 1
            noise = rng.normal(size=20) * 0.05
            rise = np.linspace(0, 1, 20) * sign * (1 if pain else -1)
            if name in changed:
                pain, noise, rise = not pain, noise[::-1] * 7, -rise
            rows.append(f"{name},p{p},{'pain' if pain else 'rest'},{name}.csv")
            (folder / f"{name}.csv").write_text("eda\n" + "".join(f"{v:.5f}\n" for v in 5 + rise + noise))
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder
