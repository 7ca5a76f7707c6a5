"""The model card of a registered model: data, folds, metrics with intervals, calibration, what it learned, its limits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grid.experiment.cells import place
from grid.results.axes import AXES
from grid.results.learned import Mark
from grid.results.stats import over_people

if TYPE_CHECKING:
    from grid.tracking.mirror import Mirror

N_BINS = 5
NEVER = (
    "Research software, not a medical device: no diagnosis, no triage, no dose of an analgesic, no monitoring of a patient.",
    "Not for people, stimuli, cameras or electrodes unlike those of the data: nothing was measured there.",
    "Not to deny that somebody is in pain: a low value does not show that there is none.",
    "Not without the consent of the person who is recorded, and not to watch people at work or in custody.",
)


def card(mirror: Mirror, cell: dict[str, Any], about: dict[str, Any]) -> str:
    """The card of the model of a cell, Markdown. `about` is its model.json."""
    mine = [c for c in mirror.cells if (c["modality"], c["scenario"]) == (cell["modality"], cell["scenario"])]
    scores = _of(mirror.scores, cell)
    data, experiment = mirror.run["data"], mirror.run["experiment"]
    where = f"{cell['modality']}/{cell['scenario']}/{place(*(cell[a] for a in AXES))}"
    lines = [f"# {where}", ""]
    if about["synthetic"]:
        lines += ["**Trained on synthetic data: it tests the software and says nothing about pain.**", ""]
    lines += [
        f"Takes {', '.join([*about['channels'], *(['the face'] if about['video'] else [])])}, "
        f"{about['n_steps'] / about['clock_hz']:g} s; gives {mirror.task.gives}, or the reason why there is none.",
        "",
        "## Data",
        "",
        f"- {data['name']}, scenario {cell['scenario']}; protocol {cell['protocol']}, experiment {experiment['name']}.",
        f"- People: {_people(mirror, cell)}",
        f"- This model: trained on {_many(cell, 'n_train')} trials, {_many(cell, 'n_test')} were held out; one of {len(mine)} "
        f"fits of its row ({len({c['fold'] for c in mine})} folds, {len({c['repeat'] for c in mine})} partitions, "
        f"{len({c['seed'] for c in mine})} initialisations).",
    ]
    if about["trunk"]:
        lines.append(f"- Trunk: {about['trunk']['provenance']}")
    mark = mirror.mark(mine)
    lines += ["", "## Did it learn", "", f"- {_said(mark)}", ""]
    lines += [
        "## Held-out metrics",
        "",
        "Mean and standard deviation over the row's fits.",
        "",
        "| metric | mean | SD | this model |",
    ]
    lines.append("|---|---|---|---|")
    own = scores[(scores[list(AXES)] == [cell[a] for a in AXES]).all(axis=1)]
    for metric in mirror.task.metrics:
        key, name = metric.name, metric.title[:1].upper() + metric.title[1:]
        if key in scores:
            one = f"{own[key].iloc[0]:.3f}" if len(own) else "not measured"
            lines.append(f"| {name} | {scores[key].mean():.3f} | {scores[key].std():.3f} | {one} |")
    lines += ["", *_interval(mirror, cell), ""]
    lines += ["The row was chosen among others by these numbers, so they are optimistic.", "", "## Calibration", ""]
    lines += _calibration(mirror, cell)
    lines += ["", "## What it must not be used for", "", *(f"- {sentence}" for sentence in NEVER), ""]
    return "\n".join(lines)


def _said(mark: Mark) -> str:
    said = {"true": f"Yes, all {mark.fits} fits behind the row.", "false": f"Not all: {mark.text}."}
    return said.get(mark.learned, "It is not known.")


def _of(table: pd.DataFrame, cell: dict[str, Any]) -> pd.DataFrame:
    return table[(table["modality"] == cell["modality"]) & (table["scenario"] == cell["scenario"])]


def _many(cell: dict[str, Any], key: str) -> str:
    return str(cell.get(key, "an unknown number of"))


def _interval(mirror: Mirror, cell: dict[str, Any]) -> list[str]:
    """95 % over subjects, of the main metric (accuracy)."""
    if mirror.predictions is None:
        return ["Interval over subjects: not measured (no predictions are stored)."]
    people = mirror.run.get("scenarios", {}).get(cell["scenario"], {}).get("subjects")
    title = mirror.task.main.title[:1].upper() + mirror.task.main.title[1:]
    found = over_people(_of(mirror.predictions, cell), people=people, task=mirror.task)
    if not found.se > 0:
        return [f"{title}, 95 % interval over {found.n} subjects: cannot be told, since their values do not differ."]
    return [f"{title}, 95 % interval over {found.n} subjects (corrected t): {found.low:.3f} to {found.high:.3f}."]


def _people(mirror: Mirror, cell: dict[str, Any]) -> str:
    """How many, and how many of them this model was not trained on."""
    if mirror.predictions is None:
        return "not known (no predictions are stored)."
    p = _of(mirror.predictions, cell)
    held = p[(p[list(AXES)] == [cell[a] for a in AXES]).all(axis=1)]
    of_this = held["subject_name"].nunique()
    return f"{p['subject_name'].nunique()} with held-out predictions of the row, {of_this} of them by this model."


def _calibration(mirror: Mirror, cell: dict[str, Any]) -> list[str]:
    """Calibration: what was true on average, by what was expected; of pain or no pain the share of pain."""
    task = mirror.task
    if "calibration" not in task.sections:
        return [f"Not measured for the task {task.kind}."]
    if mirror.predictions is None:
        return ["Not measured: no predictions are stored."]
    y_N, p_NC = task.of(_of(mirror.predictions, cell))
    said_N, edges = task.expected(p_NC), np.linspace(*task.expects.span, N_BINS + 1)
    lines = [
        f"| {task.expects.predicted} | held-out predictions | mean said | {task.expects.observed} |",
        "|---|---|---|---|",
    ]
    for low, high in pairwise(edges):
        inside = (said_N >= low) & ((said_N < high) | (high == edges[-1]))
        if inside.any():
            lines.append(
                f"| {low:.1f} to {high:.1f} | {inside.sum()} | {said_N[inside].mean():.3f} | {y_N[inside].mean():.3f} |"
            )
        else:
            lines.append(f"| {low:.1f} to {high:.1f} | 0 | | |")
    return lines
