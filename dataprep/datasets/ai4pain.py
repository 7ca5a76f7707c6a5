"""AI4Pain 2025: 65 people, electrical pain on the arm or hand in two strengths; EDA, pulse, breathing and oxygen saturation.

The layout rests on public code of participants of the AI4Pain challenge 2025. Licence: the challenge's own terms; its user
fetches it.
`<side>/<Signal>/<subject>.csv`: the sides are train, validation and test (41, 12 and 12 people), the signals Bvp, Eda, Resp and
SpO2. A column is a segment of the session, 100 rows a second; its name ends in Baseline, REST_<n>, LOW_<n> or HIGH_<n>. Segments
differ in length: a column that is shorter than the longest ends in empty fields. Columns of other names have no label and are
left out. Nobody says whether columns stand in the order of time, so no order of a person's trials is told, nor are sex and age.

A trial is a window of 10 s: the first of each LOW and HIGH segment (`low`, `high`), all of Baseline (`no pain`), and the last of
each REST segment (`rest`, which follows pain and is in no default task).
A subject's name begins with its side, so that the published split can be told from it.
"""

from __future__ import annotations

import re

import numpy as np

from dataprep import file_names
from dataprep.datasets.long_files import cut, head, read_columns
from dataprep.datasets.windows_of_people import data_set, signals_of
from dataprep.manifest.layout import Files
from dataprep.records import Defect, InputError, RecordingError, Trial
from dataprep.storage import Place

LAYOUT = "train/Eda/<subject>.csv, and likewise validation and test, Bvp, Resp and SpO2"
SIDES = ("train", "validation", "test")
CHANNELS = {"eda": "Eda", "bvp": "Bvp", "resp": "Resp", "spo2": "SpO2"}
RATE_HZ = 100.0
WINDOW_S = 10.0
CLASSES = {0: "no pain", 1: "low", 2: "high", 3: "rest"}
KINDS = {"baseline": 0, "low": 1, "high": 2, "rest": 3}
SEGMENT = re.compile(r"(?:.*[_ ])?(baseline|low|high|rest)(?:_(\d+))?", re.IGNORECASE)
FORM = Files(delimiter=",")


def recognise(path: Place) -> bool:
    """True if train holds a folder Eda and one of the others."""
    return all(file_names.inside(path, "train", name) is not None for name in ("Eda", "Bvp"))


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all people, by side and name. Raises InputError where there is no side."""
    path = path.absolute()
    if not recognise(path):
        raise InputError(f"{path}: found no train/Eda and train/Bvp, expected {LAYOUT}")
    trials: list[Trial] = []
    defects: list[Defect] = []
    for side in SIDES:
        folder = file_names.inside(path, side, "Eda")
        for name in sorted(file_names.listed(folder) or ()) if folder else ():
            if not name.lower().endswith(".csv"):
                continue
            file, subject = folder / name, f"{side}-{name[:-4]}"  # type: ignore[operator]
            try:
                found, unknown = _windows(file)
            except RecordingError as error:
                defects.append(Defect(trial_id="", subject=subject, part="index", file=str(file), reason=str(error)))
                continue
            if unknown:
                seen = f"{len(unknown)} columns without a label, such as {unknown[0][:40]!r}"
                defects.append(
                    Defect(
                        trial_id="",
                        subject=subject,
                        part="index",
                        file=str(file),
                        reason=f"{file}: found {seen}; expected {', '.join(KINDS)}",
                    )
                )
            others = [file_names.inside(path, side, other, name) for other in CHANNELS.values() if other != "Eda"]
            more = tuple(str(other) for other in others if other is not None)
            trials += [
                Trial(
                    trial_id=f"{subject}-{segment}-{i}",
                    subject=subject,
                    class_id=label,
                    class_name=CLASSES[label],
                    video=None,
                    signals=str(file),
                    start_s=at_s,
                    more_signals=more,
                )
                for segment, label, i, at_s in found
            ]
    return tuple(trials), tuple(defects)


def _names(file: Place) -> list[str]:
    return [name.strip() for name in head(file).split("\n")[0].split(FORM.delimiter)]


def _windows(file: Place) -> tuple[list[tuple[str, int, int, float]], list[str]]:
    """(segment, class, number in the segment, start in s) of each window, and the columns without a label."""
    names = _names(file)
    known = {name: match for name in names if (match := SEGMENT.fullmatch(name))}
    found: list[tuple[str, int, int, float]] = []
    if known:
        columns = read_columns(file, list(known), FORM)
        for name, match in known.items():
            label = KINDS[match[1].lower()]
            segment = match[1].lower() + (f"_{match[2]}" if match[2] else "")
            length_s = _length(columns[name]) / RATE_HZ
            n = int(length_s // WINDOW_S)
            if label == 0:
                found += [(segment, label, i, i * WINDOW_S) for i in range(n)]
            elif n:
                found.append((segment, label, 0, length_s - WINDOW_S if label == KINDS["rest"] else 0.0))
    return found, [name for name in names if name and name not in known]


def _length(x_T: np.ndarray) -> int:
    """The rows up to the last that holds a value."""
    there = np.flatnonzero(~np.isnan(x_T))
    return int(there[-1]) + 1 if there.size else 0


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """eda, bvp, resp, spo2: (1000,) float64 at 100 Hz, those that the person has. Raises RecordingError."""
    eda = signals_of(trial, LAYOUT)
    segment = trial.trial_id.removeprefix(f"{trial.subject}-").rpartition("-")[0]
    out = {}
    for channel, folder in CHANNELS.items():
        file = file_names.inside(eda.parent.parent, folder, eda.name)
        if file is None:
            continue
        matches = ((name, SEGMENT.fullmatch(name)) for name in _names(file))
        column = [n for n, m in matches if m and m[1].lower() + (f"_{m[2]}" if m[2] else "") == segment]
        if len(column) != 1:
            raise RecordingError(f"{file}: found {len(column)} columns of the segment {segment}, expected one")
        values = read_columns(file, column, FORM)[column[0]]
        out[channel] = (cut(values, rate_hz=RATE_HZ, start_s=trial.start_s, length_s=WINDOW_S), RATE_HZ)
    return out


SOURCE = "the AI4Pain challenge of 2025, under its own terms."

DATASET = data_set(
    name="ai4pain",
    title="AI4Pain 2025: electrical pain, EDA, pulse, breathing, oxygen saturation",
    source=SOURCE,
    trial="a window of 10 s of a segment of the session",
    channels=CHANNELS,
    rate_hz=RATE_HZ,
    window_s=WINDOW_S,
    classes=CLASSES,
    positive=2,
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    layout=LAYOUT,
)
