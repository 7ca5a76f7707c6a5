"""BioVid Heat Pain Database, Part A: 87 people, heat pain in four intensities and a baseline, 20 trials each.

Source: Walter et al. 2013, https://www.nit.ovgu.de/BioVid.html; file layout as in `LAYOUT`. Videos have 25 frames/s and
137 to 138 frames, signals 2816 rows at 512 Hz: 5.5 s. `gsr` is EDA. Trials are the rows of samples.csv, joined by name,
never by directory order. Their numbers are no order in time: nobody documents them, and those of BL1 were changed between
releases. A video or signal folder that is absent as a whole is no defect; its trials just have none. If one of
nearly its name is there, that is said. Names are matched without regard to case.
The data is personal and restricted: it stays where its owner put it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

import numpy as np

from dataprep import file_names
from dataprep.records import DataSet, Defect, InputError, Person, RecordingError, Trial
from dataprep.signals.files import column_numbers, read_table, read_text
from dataprep.storage import Place, place

LAYOUT = "starting_point/samples.csv, video/<subject>/<trial>.mp4, biosignals_filtered/<subject>/<trial>_bio.csv"
INDEX = PurePath("starting_point", "samples.csv")
COLUMNS = ("subject_id", "subject_name", "class_id", "class_name", "sample_id", "sample_name")
CLASSES = {0: "BL1", 1: "PA1", 2: "PA2", 3: "PA3", 4: "PA4"}
RATE_HZ = 512.0
CHANNELS = {"eda": "gsr", "ecg": "ecg", "emg_trapezius": "emg_trapezius"}  # channel -> column of the file
PART_B = re.compile(r"part[ _-]?b", re.IGNORECASE)
SYNTHETIC_MARKER = "synthetic.json"  # of made-up data in this layout: dataprep/datasets/synthetic.py
SEX_AND_AGE = re.compile(r".+_(?P<sex>[mw])_(?P<age>\d{2})")  # in a subject's name, as 071309_w_21
SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a name becomes part of a path: no separators, no dots


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


SUBJECTS = _listed(
    """
    071309_w_21 071313_m_41 071614_m_20 071709_w_23 071814_w_23 071911_w_24 072414_m_23 072514_m_27 072609_w_23
    072714_m_23 073109_w_28 073114_m_25 080209_w_26 080309_m_29 080314_w_25 080609_w_27 080614_m_24 080709_m_24
    080714_m_23 081014_w_27 081609_w_40 081617_m_27 081714_m_36 082014_w_24 082109_m_53 082208_w_45 082315_w_60
    082414_m_64 082714_m_22 082809_m_26 082814_w_46 082909_m_47 083009_w_42 083013_w_47 083109_m_60 083114_w_55
    091809_w_43 091814_m_37 091914_m_46 092009_m_54 092014_m_56 092509_w_51 092514_m_50 092714_m_64 092808_m_51
    092813_w_24 100117_w_36 100214_m_50 100417_m_44 100509_w_43 100514_w_51 100909_w_65 100914_m_39 101015_w_43
    101114_w_37 101209_w_61 101216_m_40 101309_m_48 101514_w_36 101609_m_36 101809_m_59 101814_m_58 101908_m_61
    101916_m_40 102008_w_22 102214_w_36 102309_m_61 102316_w_50 102414_w_58 102514_w_40 110614_m_42 110810_m_62
    110909_m_29 111313_m_64 111409_w_63 111609_m_65 111914_w_63 112009_w_43 112016_m_25 112209_m_51 112310_m_20
    112610_w_60 112809_w_23 112909_w_20 112914_w_51 120514_w_56 120614_w_61
    """
)
LOW_EXPRESSIVE = frozenset(  # Werner et al. 2017: people who show hardly any facial response
    _listed(
        """
    082315_w_60 082414_m_64 082909_m_47 083009_w_42 083013_w_47 083109_m_60 083114_w_55 091914_m_46 092009_m_54
    092014_m_56 092509_w_51 092714_m_64 100514_w_51 100914_m_39 101114_w_37 101209_w_61 101809_m_59 101916_m_40
    111313_m_64 120614_w_61
    """
    )
)
HOLDOUT = frozenset(  # the validation subjects of the split proposed on the data set's site
    _listed(
        """
    100914_m_39 101114_w_37 082315_w_60 083114_w_55 083109_m_60 072514_m_27 080309_m_29 112016_m_25 112310_m_20
    092813_w_24 112809_w_23 112909_w_20 071313_m_41 101309_m_48 101609_m_36 091809_w_43 102214_w_36 102316_w_50
    112009_w_43 101814_m_58 101908_m_61 102309_m_61 112209_m_51 112610_w_60 112914_w_51 120514_w_56
    """
    )
)


def recognise(path: Place) -> bool:
    """True if the folder holds starting_point/samples.csv, is not made up and not called Part B, whose layout is the same."""
    return has_index(path) and not is_synthetic(path) and not PART_B.search(path.absolute().name)


def has_index(path: Place) -> bool:
    """True if the folder holds starting_point/samples.csv."""
    return (path / INDEX).is_file() or file_names.inside(path, *INDEX.parts) is not None


def is_synthetic(path: Place) -> bool:
    """True if the folder says that a program made its recordings."""
    return file_names.inside(path, SYNTHETIC_MARKER) is not None


def person(subject: str) -> Person | None:
    """Sex and age of a subject, as the name tells them; None for another kind of name."""
    found = SEX_AND_AGE.fullmatch(subject)
    return Person(found["sex"], int(found["age"])) if found else None


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The trials, as `read_layout` gives them. Raises InputError for synthetic data: its numbers must not look like real ones."""
    if is_synthetic(path):
        raise InputError(
            f"{path}: found {SYNTHETIC_MARKER}: the data are synthetic; expected BioVid (their reader: synthetic)"
        )
    return read_layout(path)


def read_layout(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The trials of samples.csv in its order, and what is wrong with some. Raises InputError if there is no usable index.

    A row that contradicts itself, repeats a trial or holds a name unfit for a path is a Defect and no trial; a trial whose
    file is missing stays, with None in its place, and a Defect.
    """
    path = path.absolute()
    index = file_names.inside(path, *INDEX.parts) or path / INDEX
    try:
        header, *lines = read_text(index, lenient=True).split("\n")
        numbers = column_numbers(header, expected=COLUMNS, path=index)
    except (RecordingError, FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError(f"{error}; without the index there is no data set") from None
    rows = [(n, line.split("\t")) for n, line in enumerate(lines, start=2) if line.strip()]
    if not rows:
        raise InputError(f"{index}: found a header and no rows, expected a row per trial")
    trials: dict[str, Trial] = {}
    defects: list[Defect] = []
    videos = _Files(path, "video", ".mp4", part="video", defects=defects)
    signals = _Files(path, "biosignals_filtered", "_bio.csv", part="signals", defects=defects)
    for n, fields in rows:
        row = {name: fields[i].strip() if i < len(fields) else "" for name, i in numbers.items()}
        trial_id, subject = row["sample_name"], row["subject_name"]
        reason = "repeats a trial that an earlier row lists" if trial_id in trials else _wrong(row)
        if reason:
            defects.append(
                Defect(
                    trial_id=trial_id, subject=subject, part="index", file=str(index), reason=f"{index}: row {n}: {reason}"
                )
            )
            continue
        video, bio = videos.find(trial_id, subject), signals.find(trial_id, subject)
        trials[trial_id] = Trial(
            trial_id=trial_id,
            subject=subject,
            class_id=int(row["class_id"]),
            class_name=row["class_name"],
            video=video,
            signals=bio,
        )
    return tuple(trials.values()), tuple(defects)


def _wrong(row: Mapping[str, str]) -> str | None:
    """Why a row of the index cannot be used, or None."""
    if any("\ufffd" in value for value in row.values()):
        return f"found bytes that are not UTF-8 in the row of {row['sample_name'][:80]!r}, expected UTF-8 text"
    for column in ("subject_name", "sample_name"):
        if not SAFE_NAME.fullmatch(row[column]):
            return f"found the {column} {row[column][:80]!r}, expected letters, digits, '_' and '-' only"
    known = {str(i): name for i, name in CLASSES.items()}
    if known.get(row["class_id"]) != row["class_name"]:
        seen = f"class_id {row['class_id'][:20]!r} with class_name {row['class_name'][:20]!r}"
        return f"found {seen}, expected a pair of {known}"
    expected = f"{row['subject_name']}-{row['class_name']}-"
    if not row["sample_name"].startswith(expected):
        return f"found the sample_name {row['sample_name']!r}, expected it to begin with {expected!r} by the other columns"
    return None


class _Files:
    """The files of one part of the tree. Each subject's folder is listed once: 8,700 look-ups are slow on a network disk."""

    def __init__(self, path: Place, folder: str, suffix: str, *, part: str, defects: list[Defect]):
        self.part, self.suffix, self.defects = part, suffix, defects
        root = file_names.inside(path, folder)
        # Some copies were unpacked twice.
        self.root = (root and file_names.inside(root, folder)) or root
        self.subjects = file_names.listed(self.root) if self.root else None
        self.listed: dict[str, frozenset[str] | None] = {}
        if self.subjects is None:
            there = file_names.listed(path) or frozenset()
            meant = file_names.near(folder, there)
            if meant:
                seen = f"looked for the folder {folder}, which is not there{file_names.hint(meant)}"
                self._defect("", "", path / folder, seen)

    def find(self, trial_id: str, subject: str) -> str | None:
        """The trial's file, or None. A missing file adds a Defect, unless the whole part is absent."""
        if self.subjects is None or self.root is None:
            return None
        folder = file_names.match(subject, self.subjects)
        if folder is None:
            meant = file_names.hint(file_names.near(subject, self.subjects))
            at = self.root / subject
            self._defect(trial_id, subject, at / f"{trial_id}{self.suffix}", f"the subject's folder {at} is missing{meant}")
            return None
        if folder not in self.listed:
            self.listed[folder] = file_names.listed(self.root / folder)
        present = self.listed[folder] or frozenset()
        wanted = f"{trial_id}{self.suffix}"
        name = file_names.match(wanted, present)
        if name is not None:
            return str(self.root / folder / name)
        missing = "the file is missing" if self.listed[folder] is not None else f"found a file {folder}, expected a folder"
        self._defect(
            trial_id, subject, self.root / folder / wanted, missing + file_names.hint(file_names.near(wanted, present))
        )
        return None

    def _defect(self, trial_id: str, subject: str, file: Place, reason: str) -> None:
        self.defects.append(
            Defect(trial_id=trial_id, subject=subject, part=self.part, file=str(file), reason=f"{file}: {reason}")
        )


def read_signals(
    trial: Trial, channels: Mapping[str, str] = MappingProxyType(CHANNELS)
) -> dict[str, tuple[np.ndarray, float]]:
    """eda, ecg, emg_trapezius: (rows,) float64 each at 512 Hz, as filtered by the data set's makers. RecordingError.

    `channels`: channel -> its column of the file. The time column (in microseconds) is checked against that rate, so a file
    with a gap or another rate is refused.
    """
    if trial.signals is None:
        raise RecordingError(f"{trial.trial_id}: found no signal file, expected {LAYOUT.split(', ')[-1]}")
    file = place(trial.signals)
    table = read_table(file, columns=("time", *channels.values()))
    with np.errstate(all="ignore"):  # a broken time column may hold anything; what is not finite fails the comparisons
        steps = np.diff(table["time"]) * (RATE_HZ / 1e6)
        off = np.flatnonzero(~(np.abs(steps - 1) <= 0.5))
        if off.size:
            seen = f"a time step of {steps[off[0]]:g} samples after row {off[0]}"
            raise RecordingError(f"{file}: found {seen}, expected 1 at {RATE_HZ:g} Hz")
        if steps.size and not abs(steps.mean() - 1) <= 0.01:
            raise RecordingError(f"{file}: found {RATE_HZ / steps.mean():g} Hz by the time column, expected {RATE_HZ:g} Hz")
    return {channel: (table[column], RATE_HZ) for channel, column in channels.items()}


SOURCE = (
    "Walter, Gruss, Ehleiter, Tan, Traue, Werner, Al-Hamadi, Crawcour, Andrade and Moreira da Silva, “The BioVid Heat Pain "
    "Database: "
    "Data for the advancement and systematic validation of an automated pain recognition system”, IEEE CYBCO 2013, 128-131, "
    "doi:10.1109/CYBConf.2013.6617456."
)

DATASET = DataSet(
    name="biovid",
    title="BioVid Heat Pain Database, Part A",
    source=SOURCE,
    trial="the 5.5 s that the data set has of a stimulus or of the baseline",
    clock_hz=25.0,
    n_steps=138,
    channels=tuple(CHANNELS),
    classes=CLASSES,
    negative=0,
    positive=4,
    recognise=recognise,
    read_trials=read_trials,
    read_signals=read_signals,
    subsets={"all": None, "expressive": frozenset(SUBJECTS) - LOW_EXPRESSIVE},
    holdout=HOLDOUT,
    rates_hz=dict.fromkeys(CHANNELS, RATE_HZ),
    layout=LAYOUT,
    units={"eda": "µS"},
    population="biovid",  # of the 90 people recorded, most are in both parts
    person=person,
    selected={"expressive": "the facial response in these very trials (Werner et al. 2017)"},
)
