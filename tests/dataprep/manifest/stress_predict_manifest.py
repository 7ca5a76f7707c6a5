"""Writes manifest.csv and dataset.toml beside a Stress-Predict folder's recordings: the windows of its reader as a table."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from dataprep.datasets.stress_predict import CLOCK_HZ, DATASET, WINDOW_S

SETTINGS = f"""
name = "stress-predict-table"
title = "Stress-Predict through a manifest"
clock_hz = {CLOCK_HZ}
[window]
length_s = {WINDOW_S}
[classes]
order = ["rest", "stress"]
[files]
delimiter = ""
header = false
skip_rows = 2          # the start as unix time, and the rate
rate_hz = 4.0
outside = ["recordings"]
[channels.eda]
column = 1
unit = "uS"
"""


def write(recordings: Path, folder: Path) -> None:
    """The two files in `folder`, for the recordings that lie elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recordings").symlink_to(recordings, target_is_directory=True)
    (folder / "dataset.toml").write_text(SETTINGS)
    trials, _ = DATASET.read_trials(recordings)
    with open(folder / "manifest.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["trial", "subject", "label", "signals", "start_s"])
        for t in trials:
            file = os.path.join("recordings", os.path.relpath(t.signals or "", recordings.absolute()))
            table.writerow([t.trial_id, t.subject, t.class_name, file, repr(t.start_s)])
