"""X-ITE Pain Database: 134 people, heat and electric pain, short and long, in three intensities each; EDA, ECG, EMG.

The layout rests on Gruss et al. 2019, doi:10.3791/59057, and on public code of two groups that reads it (that of Ricken et al.
2020, doi:10.1007/978-3-030-58309-5_11, and a graph network on the same data). Licence: the data set's own terms; its user asks
for it.
`S<number>.mat`, one a person: `data` (samples x 5 at 1000 Hz: EMG of corrugator, zygomaticus and trapezius, skin conductance,
ECG) and `stimuli`, a label for each sample: 0 nothing, 1 to 3 short heat, 4 to 6 long heat, negative numbers the same of electric
pain, -10 and -11 not valid. Videos, audio and thermal pictures are not read: no public code shows how they lie.

A trial is a window of 7 s: of a short stimulus (3.9 s or longer) from its onset on; of a long one (a minute) from its 30th second
on; of nothing, as class B, the 7 s before an onset, of the longest pauses of the person (10 s or longer), as many as the most
frequent stimulus has. Windows overlap neither another stimulus nor each other.
Werner et al. 2019 leave out S001, S014, S023, S024, S025, S030, S059 and S121 (here: --exclude).
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from dataprep import file_names
from dataprep.datasets.long_files import cut
from dataprep.datasets.windows_of_people import Found, data_set, of_people, signals_of, since_the_start
from dataprep.manifest.formats import read_file
from dataprep.manifest.layout import Layout, layout_of
from dataprep.records import Defect, RecordingError, Trial
from dataprep.storage import Place

LAYOUT = "S<number>.mat with the variables data and stimuli, also in a folder Bio"
NAME = re.compile(r"(S\d{1,3})\.mat", re.IGNORECASE)
RATE_HZ = 1000.0
WINDOW_S = 7.0
INTO_LONG_S = 30.0
PAUSE_S = 10.0  # the shortest of which a window is taken: it then begins 3 s or more after the stimulus before it
SHORTEST_S = {"short": 3.9, "long": INTO_LONG_S + WINDOW_S}
CHANNELS = {"emg_corrugator": 1, "emg_zygomaticus": 2, "emg_trapezius": 3, "eda": 4, "ecg": 5}
STIMULI = {
    **{level: f"pH{level}" for level in (1, 2, 3)},
    **{level + 3: f"tH{level}" for level in (1, 2, 3)},
    **{-level: f"pE{level}" for level in (1, 2, 3)},
    **{-level - 3: f"tE{level}" for level in (1, 2, 3)},
}
"""Label -> class, named as in the literature: p for short (phasic), t for long (tonic), H for heat, E for electric."""
NOT_VALID = (-10, -11)
CLASSES = dict(enumerate(["B", *STIMULI.values()]))
IDS = {name: class_id for class_id, name in CLASSES.items()}


def _layout() -> Layout:
    channels = {name: {"key": "data", "column": n} for name, n in CHANNELS.items()}
    return layout_of(
        {
            "name": "x-ite",
            "window": {"length_s": WINDOW_S},
            "classes": {"order": ["0", "1"]},
            "files": {"rate_hz": RATE_HZ},
            "channels": {**channels, "stimuli": {"key": "stimuli"}},
        },
        "x-ite",
    )


FILE = _layout()


def recognise(path: Place) -> bool:
    """True if the folder, or a folder Bio in it, holds a file S<number>.mat."""
    return bool(_files(path))


def _files(path: Place) -> list[tuple[str, Place]]:
    folder = file_names.inside(path, "Bio") or path
    names = [name for name in file_names.listed(folder) or () if NAME.fullmatch(name)]
    return [(name[:-4].upper(), folder / name) for name in sorted(names, key=lambda name: int(name[1:-4]))]


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The windows of all people in the order of time. Raises InputError without a file of a person."""
    return of_people(path, LAYOUT, _files(path.absolute()), _of_person)


def _of_person(subject: str, file: Place) -> Found:
    found, broken = windows(file, _stimuli(file))
    named = [(f"{subject}-{i:03d}-{name}", name, at_s) for i, (at_s, name) in enumerate(found)]
    return [
        Trial(
            trial_id=trial_id,
            subject=subject,
            class_id=IDS[name],
            class_name=name,
            video=None,
            signals=str(file),
            start_s=at_s,
        )
        for trial_id, name, at_s in named
    ], broken


def _stimuli(file: Place) -> np.ndarray:
    values = read_file(file, FILE).values
    if len(values["stimuli"]) != len(values["eda"]):
        seen = f"{len(values['stimuli'])} labels of {len(values['eda'])} samples"
        raise RecordingError(f"{file}: found {seen}, expected a label in stimuli for each sample of data")
    return values["stimuli"]


def windows(file: Place, stimuli_T: np.ndarray) -> tuple[list[tuple[float, str]], list[str]]:
    """(start in s, class) of each window of a person, by time, and why stimuli were left out. Raises RecordingError."""
    unknown = sorted(set(np.unique(stimuli_T).tolist()) - {0, *STIMULI, *NOT_VALID})
    if unknown:
        raise RecordingError(f"{file}: found the stimulus {unknown[0]:g}, expected 0, 1 to 6, -1 to -6, -10 and -11")
    edges = np.flatnonzero(np.diff(stimuli_T)) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(stimuli_T)]])
    found: list[tuple[float, str]] = []
    pauses: list[tuple[float, float]] = []  # length and end in s
    broken = []
    for n, (first, last) in enumerate(zip(starts, ends, strict=True)):
        label, length_s, at_s = int(stimuli_T[first]), (last - first) / RATE_HZ, first / RATE_HZ
        if label in STIMULI:
            kind = "short" if abs(label) <= 3 else "long"
            next_s = ends[n + 1] / RATE_HZ if n + 1 < len(ends) and stimuli_T[last] == 0 else last / RATE_HZ
            begin_s = at_s if kind == "short" else at_s + INTO_LONG_S
            if length_s < SHORTEST_S[kind] or begin_s + WINDOW_S > next_s:
                broken.append(
                    f"the stimulus {STIMULI[label]} at {at_s:.1f} s lasts {length_s:.1f} s, or another follows: left out"
                )
                continue
            found.append((begin_s, STIMULI[label]))
        elif label == 0 and length_s >= PAUSE_S and last < len(stimuli_T) and int(stimuli_T[last]) in STIMULI:
            pauses.append((length_s, last / RATE_HZ))
    if not found:
        raise RecordingError(f"{file}: found no stimulus of a known length, expected labels in the variable stimuli")
    most = max(Counter(name for _, name in found).values())
    chosen = sorted(pauses, key=lambda pause: (-pause[0], pause[1]))[:most]
    return sorted([*found, *((end_s - WINDOW_S, CLASSES[0]) for _, end_s in chosen)]), broken


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """EMG of corrugator, zygomaticus and trapezius, eda, ecg: (7000,) float64 at 1000 Hz. Raises RecordingError."""
    values = read_file(signals_of(trial, LAYOUT), FILE).values
    window = {"rate_hz": RATE_HZ, "start_s": trial.start_s, "length_s": WINDOW_S}
    return {channel: (cut(values[channel], **window), RATE_HZ) for channel in CHANNELS}


SOURCE = (
    "Gruss, Geiger, Werner, Wilhelm, Traue, Al-Hamadi and Walter, “Multi-Modal Signals for Analyzing Pain Responses to "
    "Thermal and "
    "Electrical Stimuli”, Journal of Visualized Experiments 146 (2019), e59057, doi:10.3791/59057."
)

DATASET = data_set(
    name="x-ite",
    title="X-ITE Pain Database: heat and electric pain, EDA, ECG, EMG",
    source=SOURCE,
    trial="a window of 7 s in a stimulus, or before one",
    channels=CHANNELS,
    rate_hz=RATE_HZ,
    window_s=WINDOW_S,
    classes=CLASSES,
    positive=IDS["pH3"],
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    layout=LAYOUT,
    time_order=since_the_start,
)
