"""PainMonit Experimental Dataset (PMED): 55 people, heat pain on the forearm, EDA twice, ECG, EMG, pulse and breathing.

The layout rests on Gouverneur et al. 2024, doi:10.1038/s41597-024-03878-w, and on the public code of its authors (PMD, folder
PMED). Licence: the data set's own terms; its user fetches it.
`raw-data/S_<number>-synchronised-data.csv`: `;` between fields, decimal comma, 250 rows a second, columns Seconds, Heater_cleaned
(°C), COVAS (a slider, 0 to 100), Bvp, Eda_E4, Resp, Eda_RB, Ecg, Emg. Between stimuli the thermode has 32 °C; eight stimuli of
10 s at each of five temperatures, which differ between people. The lowest is warm and not painful.

A trial is a window of 10 s: from a stimulus's onset on (classes `warm`, `P1` to `P4`, by the person's own temperatures in
order), or of 32 °C that ends 5 s before an onset (class `baseline`, at most eight a person), as the authors cut them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataprep import file_names
from dataprep.datasets.long_files import complete, cut, read_columns
from dataprep.datasets.windows_of_people import Found, data_set, of_people, signals_of, since_the_start
from dataprep.manifest.layout import Files
from dataprep.records import Defect, RecordingError, Trial
from dataprep.storage import Place

LAYOUT = "raw-data/S_<number>-synchronised-data.csv"
NAME = re.compile(r"(S_\d{1,3})-synchronised-data\.csv", re.IGNORECASE)
FORM = Files(delimiter=";", decimal=",")
RATE_HZ = 250.0
REST_C = 32.0
WINDOW_S = 10.0
GAP_S = 5.0  # between the end of a baseline window and the onset after it
MAX_BASELINE = 8
CLASSES = {0: "baseline", 1: "warm", 2: "P1", 3: "P2", 4: "P3", 5: "P4"}
CHANNELS = {"eda": "Eda_RB", "eda_wrist": "Eda_E4", "ecg": "Ecg", "emg_trapezius": "Emg", "bvp": "Bvp", "resp": "Resp"}
COLUMNS = ("Seconds", "Heater_cleaned", "COVAS", *CHANNELS.values())


def recognise(path: Place) -> bool:
    """True if raw-data holds a file S_<number>-synchronised-data.csv."""
    return bool(_files(path))


def _files(path: Place) -> list[tuple[str, Place]]:
    folder = file_names.inside(path, "raw-data") or path
    found = {name: match[1].upper() for name in file_names.listed(folder) or () if (match := NAME.fullmatch(name))}
    return [(subject, folder / name) for name, subject in sorted(found.items())]


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all people in the order of time. Raises InputError without a file of a person."""
    return read_people(path, heater_labels, CLASSES)


def read_people(
    path: Place, label: Callable[[Mapping[str, np.ndarray], Sequence[Window]], list[int]], classes: Mapping[int, str]
) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all people; `label` gives the class of each of a person's windows."""

    def of_person(subject: str, file: Place) -> Found:
        columns = _read(file)
        found, broken = windows(file, columns["Heater_cleaned"])
        trials = []
        for i, (window, class_id) in enumerate(zip(found, label(columns, found), strict=True)):
            name, at_s = classes[class_id], window.first / RATE_HZ
            trials.append(
                Trial(
                    trial_id=f"{subject}-{i:02d}-{name}",
                    subject=subject,
                    class_id=class_id,
                    class_name=name,
                    video=None,
                    signals=str(file),
                    start_s=at_s,
                )
            )
        return trials, broken

    return of_people(path, LAYOUT, _files(path.absolute()), of_person)


@dataclass(frozen=True)
class Window:
    """10 s of a recording, from row `first` on. `level`: 0 for the temperature of rest, 1 to 5 for the person's temperatures."""

    first: int
    level: int


def windows(file: Place, heater_T: np.ndarray) -> tuple[list[Window], list[str]]:
    """The windows of one person in the order of time, and why stimuli were left out.

    Raises RecordingError where the heater's course is not that of the protocol.
    """
    warm_T = complete(file, "Heater_cleaned", heater_T, FORM) != REST_C
    onsets = [int(at) for at in np.flatnonzero(warm_T[1:] & ~warm_T[:-1]) + 1]
    n, gap = round(WINDOW_S * RATE_HZ), round(GAP_S * RATE_HZ)
    steady = [at for at in onsets if len(heater_T) >= at + n and (heater_T[at : at + n] == heater_T[at]).all()]
    broken = [
        f"the stimulus at {at / RATE_HZ:.1f} s is shorter than {WINDOW_S:g} s or changes its temperature: left out"
        for at in onsets
        if at not in steady
    ]
    temperatures = sorted({float(heater_T[at]) for at in steady})
    if len(temperatures) != len(CLASSES) - 1:
        seen = ", ".join(f"{t:g}" for t in temperatures[:9]) or "no temperature"
        raise RecordingError(f"{file}: found stimuli of {seen} (°C), expected five temperatures beside {REST_C:g}")
    rest = [at - gap - n for at in onsets if at - gap - n >= 0 and not warm_T[at - gap - n : at - gap].any()]
    found = [Window(at, 0) for at in rest[:MAX_BASELINE]]
    found += [Window(at, 1 + temperatures.index(float(heater_T[at]))) for at in steady]
    return sorted(found, key=lambda window: window.first), broken


def heater_labels(columns: Mapping[str, np.ndarray], found: Sequence[Window]) -> list[int]:
    """The class of each window by the heater's temperature."""
    return [window.level for window in found]


def _read(file: Place) -> dict[str, np.ndarray]:
    columns = {str(name): values for name, values in read_columns(file, COLUMNS, FORM).items()}
    seconds = columns["Seconds"]
    steps = np.diff(seconds) * RATE_HZ
    with np.errstate(invalid="ignore"):
        off = np.flatnonzero(~(np.abs(steps - 1) <= 0.5))
    if off.size:
        seen = f"a time step of {steps[off[0]]:g} samples after row {off[0] + 1}"
        raise RecordingError(f"{file}: found {seen}, expected 1 at {RATE_HZ:g} Hz")
    return columns


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """eda (chest recorder), eda_wrist, ecg, emg_trapezius, bvp, resp: (2500,) float64 at 250 Hz. Raises RecordingError."""
    columns = _read(signals_of(trial, LAYOUT))
    window = {"rate_hz": RATE_HZ, "start_s": trial.start_s, "length_s": WINDOW_S}
    return {channel: (cut(columns[column], **window), RATE_HZ) for channel, column in CHANNELS.items()}


SOURCE = (
    "Gouverneur, Badura, Li, Bieńkowska, Luebke, Adamczyk, Szikszay, Myśliwiec, Luedtke, Grzegorzek and Piętka, “An "
    "Experimental and "
    "Clinical Physiological Signal Dataset for Automated Pain Recognition”, Scientific Data 11, 1051 (2024), "
    "doi:10.1038/s41597-024-03878-w."
)

DATASET = data_set(
    name="painmonit",
    title="PainMonit Experimental Dataset (PMED): heat pain, EDA, ECG, EMG, pulse, breathing",
    source=SOURCE,
    trial="a window of 10 s in a stimulus, or before one",
    channels=CHANNELS,
    rate_hz=RATE_HZ,
    window_s=WINDOW_S,
    classes=CLASSES,
    positive=5,
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    layout=LAYOUT,
    units={"eda": "µS", "eda_wrist": "µS"},
    population="painmonit",
    time_order=since_the_start,
)
