"""WESAD: 15 people at rest, under stress, amused and meditating; a recorder at the chest and a watch. Arousal without pain.

The layout rests on the data set's own description (Schmidt et al. 2018, doi:10.1145/3242969.3242985, wesad_readme.pdf) and public
code that reads it. Licence: free for science and other non-commercial use; its user fetches it.
`S<n>/S<n>_quest.csv`: lines `# ORDER`, `# START`, `# END` with `;` between fields: the phases Base, TSST, Medi 1, Fun, Medi 2,
sRead and fRead, and minutes.seconds since the chest recorder began (a spreadsheet took the last zero away: 50.3 is 50 min 30 s).
`S<n>/S<n>_respiban.txt`: lines that begin with `#` (JSON with date, time, sensors), then TAB-separated rows at 700 Hz: a number,
an unused column, and raw 16-bit values of the sensors in the order of the header.
`S<n>/S<n>_E4_Data/EDA.csv, BVP.csv, TEMP.csv`: the start as unix time, the rate in Hz, then a value a line. The watch's clock is
UTC, the recorder's is that of Germany; windows lie `MARGIN_S` inside their phase, since the two clocks may differ by seconds.
The files S<n>.pkl are never opened: a pickle can run any program.

A trial is a window of 10 s, `PER_PHASE` of each phase, evenly spread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import numpy as np

from dataprep import file_names
from dataprep.datasets.long_files import cut, head, read_columns
from dataprep.datasets.windows_of_people import Found, of_people, signals_of, since_the_start
from dataprep.manifest.layout import Files
from dataprep.records import DataSet, Defect, RecordingError, Trial
from dataprep.signals.files import read_text
from dataprep.storage import Place

LAYOUT = "S<number>/S<number>_quest.csv, S<number>_respiban.txt and S<number>_E4_Data/EDA.csv"
SUBJECT = re.compile(r"S\d{1,2}", re.IGNORECASE)
CLASSES = {0: "baseline", 1: "stress", 2: "amusement", 3: "meditation"}
PHASES = {"base": 0, "tsst": 1, "fun": 2, "medi 1": 3, "medi 2": 3}
IGNORED = ("sread", "fread", "bread")
WINDOW_S = 10.0
MARGIN_S = 30.0
PER_PHASE = 16
CHEST_HZ = 700.0
CHEST = {"ecg": "ECG", "eda": "EDA", "emg_trapezius": "EMG", "temp": "TEMP", "resp": "RESPIRATION"}
SENSORS = ("ECG", "EDA", "EMG", "TEMP", "XYZ", "XYZ", "XYZ", "RESPIRATION")
WRIST = {"eda_wrist": ("EDA.csv", 4.0), "bvp": ("BVP.csv", 64.0), "temp_wrist": ("TEMP.csv", 4.0)}
ZONE = ZoneInfo("Europe/Berlin")
SPAN = 2.0**16  # raw values are 16 bits
VOLTS = 3.0


def recognise(path: Place) -> bool:
    """True if some folder S<number> holds its questionnaire and its chest recording."""
    return any(
        file_names.inside(folder, f"{folder.name}_quest.csv") is not None
        and file_names.inside(folder, f"{folder.name}_respiban.txt") is not None
        for folder in _folders(path)
    )


def _folders(path: Place) -> list[Place]:
    names = sorted(name for name in file_names.listed(path) or () if SUBJECT.fullmatch(name))
    return [path / name for name in sorted(names, key=lambda name: int(name[1:]))]


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all people, by person and time. Raises InputError without a folder of a person."""
    return of_people(path, LAYOUT, [(folder.name, folder) for folder in _folders(path.absolute())], _of_person)


def _of_person(subject: str, folder: Place) -> Found:
    chest = file_names.inside(folder, f"{subject}_respiban.txt")
    quest = file_names.inside(folder, f"{subject}_quest.csv")
    missing = [f"{subject}_{name}" for name, file in (("quest.csv", quest), ("respiban.txt", chest)) if file is None]
    if quest is None or chest is None:
        raise RecordingError(f"{folder}: found no {' and no '.join(missing)}")
    wrist = [file_names.inside(folder, f"{subject}_E4_Data", name) for name, _ in WRIST.values()]
    more = tuple(str(file) for file in wrist if file is not None)
    return [replace(trial, more_signals=more) for trial in _windows(subject, phases(quest), str(chest))], []


def phases(quest: Place) -> list[tuple[str, float, float]]:
    """(name, start, end) of each phase in seconds since the chest recorder began. Raises RecordingError."""
    rows = {}
    for line in read_text(quest).split("\n"):
        head, *fields = [field.strip() for field in line.split(";")]
        if head in ("# ORDER", "# START", "# END") and head not in rows:
            rows[head] = [field for field in fields if field]
    if len(rows) != 3 or len({len(fields) for fields in rows.values()}) != 1:
        seen = ", ".join(f"{head} with {len(fields)}" for head, fields in rows.items()) or "none of them"
        raise RecordingError(
            f"{quest}: found {seen}, expected the lines # ORDER, # START and # END with equally many fields"
        )
    found = []
    for name, start, end in zip(*(rows[head] for head in ("# ORDER", "# START", "# END")), strict=True):
        if name.casefold() not in PHASES and name.casefold() not in IGNORED:
            raise RecordingError(f"{quest}: found the phase {name!r}, expected one of {', '.join([*PHASES, *IGNORED])}")
        start_s, end_s = _seconds(start, quest), _seconds(end, quest)
        if end_s <= start_s:
            raise RecordingError(f"{quest}: found {name} from {start} to {end}, expected an end after the start")
        found.append((name, start_s, end_s))
    return found


def _seconds(text: str, quest: Place) -> float:
    match = re.fullmatch(r"(\d{1,3})(?:[.,](\d{1,2}))?", text)
    if not match or int((match[2] or "0").ljust(2, "0")) >= 60:
        raise RecordingError(f"{quest}: found the time {text[:20]!r}, expected minutes.seconds")
    return 60.0 * int(match[1]) + int((match[2] or "0").ljust(2, "0"))


def _windows(subject: str, found: Iterable[tuple[str, float, float]], chest: str) -> list[Trial]:
    trials = []
    for name, start_s, end_s in found:
        label = PHASES.get(name.casefold())
        first_s, last_s = start_s + MARGIN_S, end_s - MARGIN_S - WINDOW_S
        if label is None or last_s < first_s:
            continue
        n = int(min(PER_PHASE, (last_s - first_s) // WINDOW_S + 1))
        for i, at_s in enumerate(np.linspace(first_s, last_s, n)):
            trial_id = f"{subject}-{name.casefold().replace(' ', '')}-{i:02d}"
            trials.append(
                Trial(
                    trial_id=trial_id,
                    subject=subject,
                    class_id=label,
                    class_name=CLASSES[label],
                    video=None,
                    signals=chest,
                    start_s=float(np.floor(at_s)),
                )
            )
    return sorted(trials, key=lambda trial: trial.start_s)


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """ecg (mV), eda (µS), emg_trapezius (mV), temp (°C), resp (%) of the chest at 700 Hz; eda_wrist (µS), bvp, temp_wrist (°C)
    at the watch's rates, those that are there. Raises RecordingError."""
    chest = signals_of(trial, LAYOUT)
    began_s, skipped = _header(chest)
    files = Files(delimiter="\t", header=False, skip_rows=skipped)
    raw = read_columns(chest, [3 + SENSORS.index(sensor) for sensor in CHEST.values()], files)
    length_s = {"start_s": trial.start_s, "length_s": WINDOW_S}
    out = {}
    for channel, sensor in CHEST.items():
        out[channel] = (in_units(sensor, cut(raw[3 + SENSORS.index(sensor)], rate_hz=CHEST_HZ, **length_s)), CHEST_HZ)
    folder = file_names.inside(chest.parent, f"{chest.parent.name}_E4_Data")
    for channel, (name, rate_hz) in WRIST.items():
        file = file_names.inside(folder, name) if folder else None
        if file is not None:
            out[channel] = (_of_watch(file, began_s + trial.start_s, rate_hz), rate_hz)
    return out


def in_units(sensor: str, raw_T: np.ndarray) -> np.ndarray:
    """Raw 16-bit values of a chest sensor in its unit, by the formulas of the data set's description."""
    if sensor == "EDA":
        return raw_T / SPAN * VOLTS / 0.12
    if sensor == "RESPIRATION":
        return (raw_T / SPAN - 0.5) * 100
    if sensor == "TEMP":
        volts_T = raw_T * VOLTS / (SPAN - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_T = np.log(1e4 * volts_T / (VOLTS - volts_T))  # the resistance of the thermistor, ohm
            return 1 / (1.12764514e-3 + 2.34282709e-4 * log_T + 8.77303013e-8 * log_T**3) - 273.15
    return (raw_T / SPAN - 0.5) * VOLTS


@lru_cache(maxsize=4)
def _header(chest: Place) -> tuple[float, int]:
    """When the recorder began, as unix time, and the number of lines of the header. Raises RecordingError."""
    lines = [line.lstrip("# ").strip() for line in takewhile(lambda line: line.startswith("#"), head(chest).split("\n"))]
    text = next((line for line in lines if line.startswith("{")), "")
    try:
        device = next(iter(json.loads(text).values()))
        sensors, rate_hz = tuple(device["sensor"]), float(device["sampling rate"])
        clock = device["time"].split(".")[0]
        began = datetime.strptime(f"{device['date']} {clock}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError) as error:
        raise RecordingError(f"{chest}: found a header without date, time, sensors and rate ({error!r})"[:300]) from error
    if sensors != SENSORS or rate_hz != CHEST_HZ:
        seen = f"{', '.join(sensors)} at {rate_hz:g} Hz"
        raise RecordingError(f"{chest}: found the sensors {seen}, expected {', '.join(SENSORS)} at {CHEST_HZ:g} Hz")
    return began.timestamp(), len(lines)


def _of_watch(file: Place, at_s: float, rate_hz: float) -> np.ndarray:
    """The window that begins at the unix time `at_s`: what the watch recorded of it, nothing if it did not run then."""
    values = read_columns(file, (1,), Files(delimiter="", header=False))[1]
    if len(values) < 3 or values[1] != rate_hz:
        raise RecordingError(
            f"{file}: found {values[:3].tolist()}, expected a start time, the rate {rate_hz:g} and then values"
        )
    start_s = at_s - values[0]
    return cut(values[2:], rate_hz=rate_hz, start_s=start_s, length_s=WINDOW_S) if start_s >= 0 else values[:0]


SOURCE = (
    "Schmidt, Reiss, Duerichen, Marberger and Van Laerhoven, “Introducing WESAD, a Multimodal Dataset for Wearable Stress "
    "and Affect "
    "Detection”, ICMI 2018, 400-408, doi:10.1145/3242969.3242985."
)

DATASET = DataSet(
    name="wesad",
    title="WESAD: stress, amusement and rest, chest recorder and watch (no pain)",
    source=SOURCE,
    trial="a window of 10 s inside one phase of the session",
    clock_hz=25.0,
    n_steps=250,
    channels=(*CHEST, *WRIST),
    classes=CLASSES,
    negative=0,
    positive=1,
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    rates_hz={**dict.fromkeys(CHEST, CHEST_HZ), **{channel: rate for channel, (_, rate) in WRIST.items()}},
    layout=LAYOUT,
    units={
        "ecg": "mV",
        "eda": "µS",
        "emg_trapezius": "mV",
        "temp": "°C",
        "resp": "%",
        "eda_wrist": "µS",
        "temp_wrist": "°C",
    },
    pain=False,
    time_order=since_the_start,
)
