"""PainMonit Clinical Dataset (PMCD): 49 people in physiotherapy, EDA twice, EMG, pulse, breathing, skin temperature.

The layout rests on Gouverneur et al. 2024, doi:10.1038/s41597-024-03878-w, and on the public code of its authors (PMD, folder
PMCD). Licence: the data set's own terms; its user fetches it.
`raw-data/P<number>_<session>/P<number>_<session>.csv` and `..._runUp.csv` (rest before the session): `;` between fields, decimal
comma, 250 rows a second; columns Seconds, Bvp, Eda_E4, Tmp, Resp, Eda_RB, Bvp_RB, Emg, and in the former Pain labels: 0 no pain,
1 pain, 2 severe pain, nothing where the person gave no rating.

A trial is a window of 4 s. Of a session those with a rating above 0 are used, with the highest rating in them; of the rest
before it all, as `no pain`. The authors' windows overlap by half; these do not: overlapping windows are no trials of their own.
Nobody says whether sessions are numbered by time, so no order of a person's trials is told.
"""

from __future__ import annotations

import re

import numpy as np

from dataprep import file_names
from dataprep.datasets import painmonit
from dataprep.datasets.long_files import cut, read_columns
from dataprep.datasets.windows_of_people import Found, data_set, of_people, signals_of
from dataprep.manifest.layout import Files
from dataprep.records import Defect, RecordingError, Trial
from dataprep.storage import Place

LAYOUT = "raw-data/P<number>_<session>/P<number>_<session>.csv and P<number>_<session>_runUp.csv"
NAME = re.compile(r"(P\d{1,3})_\d", re.IGNORECASE)
FORM = Files(delimiter=";", decimal=",")
RATE_HZ = 250.0
WINDOW_S = 4.0
CLASSES = {0: "no pain", 1: "pain", 2: "severe pain"}
CHANNELS = {"eda": "Eda_RB", "eda_wrist": "Eda_E4", "emg_trapezius": "Emg", "bvp": "Bvp_RB", "resp": "Resp", "temp": "Tmp"}
LABELS = "Pain labels"
RUN_UP = "_runUp"


def recognise(path: Place) -> bool:
    """True if raw-data holds a folder P<number>_<session> with its file."""
    return any(file_names.inside(folder, f"{folder.name}.csv") is not None for folder in _sessions(path))


def _sessions(path: Place) -> list[Place]:
    folder = file_names.inside(path, "raw-data") or path
    return sorted((folder / name for name in file_names.listed(folder) or () if NAME.fullmatch(name)), key=str)


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all sessions in the order of time. Raises InputError without a session."""
    found = []
    for session in _sessions(path.absolute()):
        subject = NAME.fullmatch(session.name)[1].upper()  # type: ignore[index]
        names = (f"{session.name}{RUN_UP}.csv", f"{session.name}.csv")
        found += [(subject, file_names.inside(session, name) or session / name) for name in names]
    return of_people(path, LAYOUT, found, _windows)


def _windows(subject: str, file: Place) -> Found:
    n, rest = round(WINDOW_S * RATE_HZ), file.name.lower().endswith(f"{RUN_UP}.csv".lower())
    wanted = ("Seconds", *CHANNELS.values(), *(() if rest else (LABELS,)))
    columns = read_columns(file, wanted, FORM)
    found = []
    for first in range(0, len(columns["Seconds"]) - n + 1, n):
        rated = np.zeros(1) if rest else columns[LABELS][first : first + n]
        rated = rated[~np.isnan(rated)]
        if not rated.size or (not rest and rated.max() == 0):
            continue
        if rated.max() not in CLASSES:
            raise RecordingError(
                f"{file}: found the rating {rated.max():g} in {LABELS!r}, expected one of {sorted(CLASSES)}"
            )
        found.append((first, int(rated.max())))
    stem = file.name.rpartition(".")[0]
    trials = [
        Trial(
            trial_id=f"{stem}-{i:03d}",
            subject=subject,
            class_id=label,
            class_name=CLASSES[label],
            video=None,
            signals=str(file),
            start_s=first / RATE_HZ,
        )
        for i, (first, label) in enumerate(found)
    ]
    return trials, []


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """eda (chest recorder), eda_wrist, emg_trapezius, bvp, resp, temp: (1000,) float64 at 250 Hz. Raises RecordingError."""
    columns = read_columns(signals_of(trial, LAYOUT), ("Seconds", *CHANNELS.values()), FORM)
    window = {"rate_hz": RATE_HZ, "start_s": trial.start_s, "length_s": WINDOW_S}
    return {channel: (cut(columns[column], **window), RATE_HZ) for channel, column in CHANNELS.items()}


DATASET = data_set(
    name="painmonit-clinical",
    title="PainMonit Clinical Dataset (PMCD): pain in physiotherapy, EDA, EMG, pulse, breathing",
    source=painmonit.SOURCE,
    trial="a window of 4 s of a session, or of the rest before it",
    channels=CHANNELS,
    rate_hz=RATE_HZ,
    window_s=WINDOW_S,
    classes=CLASSES,
    positive=2,
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    layout=LAYOUT,
    units={"eda": "µS", "eda_wrist": "µS", "temp": "°C"},
)
