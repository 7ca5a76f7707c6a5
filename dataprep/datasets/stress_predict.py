"""Stress-Predict: 35 people at a desk, three stress tasks with rests between, EDA from a wrist watch. Signals only.

Source: Iqbal et al. 2022, doi:10.3390/s22218135, https://github.com/italha-d/Stress-Predict-Dataset (folder Raw_data).
Not pain, but a real data set that anyone can have. `EDA.csv`: first line the start (unix time), second the rate in Hz, then
a value a line. `tags_<subject>.csv`: unix times at which the button was pressed, a phase's end being the next one's start:
baseline | Stroop | rest | interview | rest | hyperventilation | rest. Time_logs.xlsx and the authors' own labels agree
with this order where the tags are plain: seven, ascending, inside the recording, and with durations in the order of the
protocol (hyperventilation 2 min < Stroop 5 min < interview 10 min). Other subjects are listed as defects.

A trial is a 60 s window inside one phase. Every subject gives as many windows of rest as of stress, at most
`MAX_WINDOWS` each, taken in turn from the phases of that class.
"""

from __future__ import annotations

import math
import re

import numpy as np

from dataprep import file_names
from dataprep.datasets.windows_of_people import of_people, signals_of, since_the_start
from dataprep.records import DataSet, Defect, RecordingError, Trial
from dataprep.signals.files import read_text
from dataprep.storage import Place

CLOCK_HZ = 4.0
WINDOW_S = 60.0
N_STEPS = round(WINDOW_S * CLOCK_HZ)
MAX_WINDOWS = 8  # of a class and subject
CLASSES = {0: "rest", 1: "stress"}
PHASES = (
    ("baseline", 0),
    ("stroop", 1),
    ("rest1", 0),
    ("interview", 1),
    ("rest2", 0),
    ("hyperventilation", 1),
    ("rest3", 0),
)
SUBJECT = re.compile(r"S\d{2,3}", re.IGNORECASE)


def recognise(path: Place) -> bool:
    """True if some folder S<number> holds EDA.csv and its tags."""
    return any(_file(p, f"tags_{p.name}.csv").is_file() and _file(p, "EDA.csv").is_file() for p in _folders(path))


def _file(folder: Place, name: str) -> Place:
    """The subject's file of that name, or the only one that differs in case alone."""
    return file_names.inside(folder, name) or folder / name


def _folders(path: Place) -> list[Place]:
    return sorted(p for p in path.glob("[Ss]*") if SUBJECT.fullmatch(p.name) and p.is_dir())


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all subjects with plain tags, by subject and time; the other subjects as defects.

    Raises RecordingError if there is no subject's folder.
    """
    found = [(folder.name, folder) for folder in _folders(path.absolute())]
    return of_people(path, DATASET.layout, found, lambda _, folder: (_subject_trials(folder), []))


def _subject_trials(folder: Place) -> list[Trial]:
    """The balanced windows of one subject in the order of time. Raises RecordingError if tags or signal are not plain."""
    eda = _file(folder, "EDA.csv")
    values, start_s, rate_hz = _read_eda(eda)
    bounds_s = _phase_bounds(_file(folder, f"tags_{folder.name}.csv"), start_s=start_s, length_s=len(values) / rate_hz)
    windows: dict[int, list[list[tuple[float, str]]]] = {class_id: [] for class_id in CLASSES}
    for (phase, class_id), begin_s, end_s in zip(PHASES, bounds_s[:-1], bounds_s[1:], strict=True):
        begin_s = math.ceil(begin_s * rate_hz) / rate_hz  # the first sample inside the phase
        n = int((end_s - begin_s) // WINDOW_S)
        windows[class_id].append([(begin_s + i * WINDOW_S, f"{phase}-{i:02d}") for i in range(n)])
    n_each = min(MAX_WINDOWS, *(sum(map(len, phases)) for phases in windows.values()))
    return [
        Trial(
            trial_id=f"{folder.name}-{name}",
            subject=folder.name,
            class_id=class_id,
            class_name=CLASSES[class_id],
            video=None,
            signals=str(eda),
            start_s=at_s,
        )
        for at_s, name, class_id in sorted((*w, c) for c, phases in windows.items() for w in _in_turn(phases)[:n_each])
    ]


def _in_turn(phases: list[list[tuple[float, str]]]) -> list[tuple[float, str]]:
    """First every phase's first window, then every phase's second, …"""
    longest = max(map(len, phases))
    return [phase[i] for i in range(longest) for phase in phases if i < len(phase)]


def _phase_bounds(path: Place, *, start_s: float, length_s: float) -> list[float]:
    """The 8 bounds of the 7 phases in seconds since the start of the recording. Raises RecordingError if they are not plain."""
    tags_s = [t - start_s for t in _numbers(path)]
    bounds_s = [0.0, *tags_s]
    seen = f"{path}: found tags at {', '.join(f'{t:.0f}' for t in tags_s[:12])} s"
    if len(tags_s) != len(PHASES):
        raise RecordingError(f"{seen}, expected {len(PHASES)} of them")
    if bounds_s != sorted(bounds_s) or bounds_s[-1] > length_s:
        raise RecordingError(f"{seen}, expected them to ascend from 0 to {length_s:.0f} s, the length of the recording")
    lasts_s = {phase: end - begin for (phase, _), begin, end in zip(PHASES, bounds_s[:-1], bounds_s[1:], strict=True)}
    if not lasts_s["hyperventilation"] < lasts_s["stroop"] < lasts_s["interview"]:
        order = ", ".join(f"{phase} {s:.0f} s" for phase, s in lasts_s.items())
        raise RecordingError(f"{seen}, that is {order}; expected hyperventilation < stroop < interview by the protocol")
    return bounds_s


def _read_eda(path: Place) -> tuple[np.ndarray, float, float]:
    """(values, start as unix time, rate in Hz). Raises RecordingError."""
    numbers = _numbers(path)
    if len(numbers) < 3 or numbers[1] != CLOCK_HZ:
        raise RecordingError(f"{path}: found {numbers[:3]}, expected a start time, the rate {CLOCK_HZ:g} and then values")
    return np.array(numbers[2:]), numbers[0], numbers[1]


def _numbers(path: Place) -> list[float]:
    """The finite numbers of a file with one a line; blank lines are ignored. Raises RecordingError."""
    numbers = []
    for n, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                numbers.append(float(line))
            except ValueError:
                numbers.append(math.nan)
            if not math.isfinite(numbers[-1]):
                raise RecordingError(f"{path}: line {n}: found {line[:40]!r}, expected a finite number")
    return numbers


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """eda: (240,) float64 in µS at 4 Hz, the window of the trial and nothing of its neighbours. Raises RecordingError."""
    values, _, rate_hz = _read_eda(signals_of(trial, DATASET.layout))
    first = round(trial.start_s * rate_hz)
    return {"eda": (values[first : first + round(WINDOW_S * rate_hz)], rate_hz)}


SOURCE = (
    "Iqbal, Simpkin, Roshan, Glynn, Killilea, Walsh, Molloy, Ganly, Ryman, Coen, Elahi, Wijns and Shahzad, “Stress "
    "Monitoring Using "
    "Wearable Sensors: A Pilot Study and Stress-Predict Dataset”, Sensors 22(21), 8135 (2022), doi:10.3390/s22218135; files: "
    "https://github.com/italha-d/Stress-Predict-Dataset, MIT licence."
)

DATASET = DataSet(
    name="stress-predict",
    title="Stress-Predict: wrist EDA during stress tasks and rest",
    source=SOURCE,
    trial="a window of 60 s inside one phase of the session",
    clock_hz=CLOCK_HZ,
    n_steps=N_STEPS,
    channels=("eda",),
    classes=CLASSES,
    negative=0,
    positive=1,
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    rates_hz={"eda": CLOCK_HZ},
    units={"eda": "µS"},
    pain=False,
    time_order=since_the_start,
    layout="S<number>/EDA.csv and S<number>/tags_S<number>.csv",
)
