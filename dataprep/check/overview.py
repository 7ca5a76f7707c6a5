"""Two pictures of a data set for visual inspection: its faces and its signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dataprep.check.recordings import TrialFacts
from dataprep.records import DataSet
from dataprep.video.contact_sheet import ContactSheet


def faces_picture(measured: Sequence[TrialFacts], path: Path) -> Path:
    """A contact sheet: a row per subject, the face in the middle of up to ten of the subject's clips. PNG."""
    sheet = ContactSheet(key="A row a subject, down, then right: the face in the middle of up to ten clips")
    for subject in dict.fromkeys(m.trial.subject for m in measured):
        row = sheet.row(subject)
        thumbnails = [m.thumbnail_HWC for m in measured if m.trial.subject == subject and m.thumbnail_HWC is not None]
        if thumbnails:
            row.add(np.stack(thumbnails))
            sheet.rows.append(row)
    sheet.write(path)
    return path


def signals_picture(measured: Sequence[TrialFacts], dataset: DataSet, path: Path) -> Path:
    """Per channel: every trial as a line of an image (each scaled to its own range), and how wide that range is. PNG.

    A dead or disturbed recording is a line unlike its neighbours, or a point far from the others in the panel below.
    """
    trials = sorted(
        (m for m in measured if m.x_TC is not None), key=lambda m: m.trial.class_id
    )  # stable: subjects stay together
    x_NTC = np.stack([m.x_TC for m in trials if m.x_TC is not None])
    ends = [i for i in range(1, len(trials)) if trials[i].trial.class_id != trials[i - 1].trial.class_id]
    names_of_classes = ", ".join(dataset.classes[c] for c in dict.fromkeys(m.trial.class_id for m in trials))
    spans_NC = np.ptp(x_NTC, axis=1)
    scaled_NTC = (x_NTC - x_NTC.min(axis=1, keepdims=True)) / np.maximum(spans_NC, 1e-12)[:, None]
    names = dataset.channels
    figure = Figure(figsize=(4 * len(names), 8), layout="constrained")
    panels = figure.subplots(2, len(names), squeeze=False, height_ratios=[3, 1])
    for c, name in enumerate(names):
        top, bottom = panels[0][c], panels[1][c]
        duration_s = dataset.n_steps / dataset.clock_hz
        extent = (0.0, duration_s, float(len(trials)), 0.0)
        picture = top.imshow(scaled_NTC[:, :, c], aspect="auto", interpolation="nearest", cmap="viridis", extent=extent)
        for end in ends:
            top.axhline(end, color="white", linewidth=1)
        if c == len(names) - 1:
            scale = figure.colorbar(picture, ax=top, ticks=[0, 1], label="value in the trial")
            scale.ax.set_yticklabels(["lowest", "highest"])
        top.set(title=name, xlabel="time in s", ylabel=f"trial: {names_of_classes}, from above" if c == 0 else "")
        bottom.plot(spans_NC[:, c], ".", markersize=3)
        bottom.set(xlabel="trial", ylabel="range in the trial, native units" if c == 0 else "", yscale="log")
    if dataset.synthetic:
        figure.supxlabel(dataset.mark, x=1.0, ha="right", fontstyle="italic")
    figure.savefig(path, dpi=120)
    return path
