"""UNBC-McMaster Shoulder Pain Expression Archive: 25 people with shoulder pain who move their arms; faces, no body signals.

The layout rests on Lucey et al. 2011, doi:10.1109/FG.2011.5771462, and on public code that reads it (numpy generators, warping
scripts and regressions that walk Images, Frame_Labels and Sequence_Labels). Licence: the archive's own agreement; its user asks
for it.
`Images/<subject>/<sequence>/<sequence><number>.png` (subject `042-ll042`, sequence `ll042t1aaaff`, numbers of three digits): 200
sequences of 48 to 683 frames. `Sequence_Labels/{OPR,VAS,SEN,AFF}/<subject>/<sequence>.txt`: a number each, the rating of an
observer (0 to 5) and what the person said (VAS 0 to 10, SEN and AFF 0 to 14).
`Frame_Labels/PSPI/<subject>/<sequence>/<frame>_facs.txt`: a number, the pain intensity that experts saw in the frame (0 to 16).
Some copies hold each of these folders within itself once more.

A trial is a sequence with its observer's rating, classes OPR0 to OPR5; OPR0 is told from OPR3 and above by default. Columns
that a task may learn: `opr`, `vas`, `sen`, `aff`, and the highest PSPI of a frame, `pspi_max`.
Sequences differ in length, and their rate is not in the files: all frames of a sequence are brought evenly to the 120 steps of a
trial, so a second of a trial is no second of the recording. No label of a frame decides what is used of a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dataprep import file_names
from dataprep.records import DataSet, Defect, InputError, RecordingError, Trial
from dataprep.signals.files import read_text
from dataprep.storage import Place
from dataprep.video.picture_folders import ENDINGS

LAYOUT = "Images/<subject>/<sequence>/*.png and Sequence_Labels/OPR/<subject>/<sequence>.txt"
CLASSES = {level: f"OPR{level}" for level in range(6)}
HIGHEST = {"OPR": 5, "VAS": 10, "SEN": 14, "AFF": 14}
PSPI = "_facs.txt"
HIGHEST_PSPI = 16


def recognise(path: Place) -> bool:
    """True if the folder holds Images and Sequence_Labels/OPR."""
    return _part(path, "Images") is not None and _part(path, "Sequence_Labels", "OPR") is not None


def _part(path: Place, folder: str, *inner: str) -> Place | None:
    """A folder of the archive, also where it lies in a folder of its own name."""
    found = file_names.inside(path, folder)
    if found is None:
        return None
    return file_names.inside(file_names.inside(found, folder) or found, *inner)


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The sequences by person and name. Raises InputError where there are no images or no ratings of the observer."""
    path = path.absolute()
    images = _part(path, "Images")
    if images is None or not recognise(path):
        seen = ", ".join(sorted(file_names.listed(path) or ())[:8]) or "nothing"
        raise InputError(f"{path}: found {seen}, expected {LAYOUT}")
    labels = {scale: _part(path, "Sequence_Labels", scale) for scale in HIGHEST}
    frames = _part(path, "Frame_Labels", "PSPI")
    trials: list[Trial] = []
    defects: list[Defect] = []
    for subject in sorted(file_names.listed(images) or ()):
        for sequence in sorted(file_names.listed(images / subject) or ()):
            folder = images / subject / sequence
            names = file_names.listed(folder)
            if names is None:
                continue
            trial_id = f"{subject}-{sequence}"
            if not any(name.lower().endswith(ENDINGS) for name in names):
                reason = f"{folder}: found no picture, expected the frames of the sequence"
                defects.append(Defect(trial_id=trial_id, subject=subject, part="video", file=str(folder), reason=reason))
                continue
            said: dict[str, str] = {}
            for scale, highest in HIGHEST.items():
                try:
                    said[scale.lower()] = _rating(labels[scale], subject, sequence, scale, highest)
                except RecordingError as error:
                    defects.append(
                        Defect(trial_id=trial_id, subject=subject, part="index", file=str(folder), reason=str(error))
                    )
            if "opr" not in said:
                continue
            try:
                said |= _pspi(file_names.inside(frames, subject, sequence) if frames else None, names)
            except RecordingError as error:
                defects.append(Defect(trial_id="", subject=subject, part="index", file=str(folder), reason=str(error)))
            level = int(said["opr"])
            trials.append(
                Trial(
                    trial_id=trial_id,
                    subject=subject,
                    class_id=level,
                    class_name=CLASSES[level],
                    video=str(folder),
                    columns=said,
                    frames_hz=0.0,
                )
            )
    return tuple(trials), tuple(defects)


def _rating(folder: Place | None, subject: str, sequence: str, scale: str, highest: int) -> str:
    """A sequence's rating on a scale, a whole number. Raises RecordingError where it is missing or none of the scale."""
    file = file_names.inside(folder, subject, f"{sequence}.txt") if folder else None
    if file is None:
        raise RecordingError(
            f"{subject}/{sequence}: found no rating {scale}, expected Sequence_Labels/{scale}/{subject}/{sequence}.txt"
        )
    value = _number(file)
    if not 0 <= value <= highest or value != round(value):
        raise RecordingError(f"{file}: found {value:g}, expected a whole number from 0 to {highest}")
    return str(round(value))


def _number(file: Place) -> float:
    """The only number of a file. Raises RecordingError."""
    fields = read_text(file).split()
    try:
        (value,) = map(float, fields)
    except ValueError:
        raise RecordingError(f"{file}: found {' '.join(fields)[:40]!r}, expected one number") from None
    if not math.isfinite(value):
        raise RecordingError(f"{file}: found {value}, expected a finite number")
    return value


def _pspi(folder: Place | None, pictures: frozenset[str]) -> Mapping[str, str]:
    """`pspi_max` of a sequence, nothing without labels of frames. Raises RecordingError where these are not of its pictures."""
    if folder is None:
        return {}
    of = {name[: name.rfind(".")] for name in pictures if name.lower().endswith(ENDINGS)}
    files = {name[: -len(PSPI)]: folder / name for name in file_names.listed(folder) or () if name.lower().endswith(PSPI)}
    if files.keys() != of:
        lone = sorted(files.keys() ^ of)
        seen = f"{len(files)} labels of {len(of)} pictures (the first without its other: {lone[0]})"
        raise RecordingError(f"{folder}: found {seen}, expected one of each; the sequence has no pspi_max")
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(_number, files.values()))
    if not 0 <= min(values) <= max(values) <= HIGHEST_PSPI:
        raise RecordingError(
            f"{folder}: found a PSPI of {max(values):g}, expected 0 to {HIGHEST_PSPI}; the sequence has no pspi_max"
        )
    return {"pspi_max": f"{max(values):g}"}


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """Raises RecordingError: there are no body signals."""
    raise RecordingError(f"{trial.trial_id}: the archive has no body signals; expected rows of the face alone")


SOURCE = (
    "Lucey, Cohn, Prkachin, Solomon and Matthews, “Painful data: The UNBC-McMaster shoulder pain expression archive "
    "database”, IEEE "
    "FG 2011, 57-64, doi:10.1109/FG.2011.5771462."
)

DATASET = DataSet(
    name="unbc",
    title="UNBC-McMaster Shoulder Pain Expression Archive: faces",
    source=SOURCE,
    trial="a sequence of frames with its observer's rating",
    clock_hz=25.0,
    n_steps=120,
    channels=(),
    classes=CLASSES,
    negative=0,
    positive=3,
    also_positive=(4, 5),
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    layout=LAYOUT,
)
