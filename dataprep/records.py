"""The nouns of a data set: what a reader yields and what everything above it may rely on.

A reader (one file in `dataprep/datasets/`) turns a folder into `Trial`s; nothing else in the project knows any
file layout. `SampleIndex` is the table of trials that protocols, metrics and statistics see: no path, no array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dataprep.storage import Place


MARK = ":"
"""Between the name of a data set and that of a person or trial, where several data sets are read as one."""
SYNTHETIC = "synthetic data"
"""The mark on everything that was computed from recordings that a program made."""


class InputError(ValueError):
    """Bad input that is no recording: a data set that cannot be read, absent weights, a wrong setting (exit code 2).

    The message names the file or key, what was found and what was expected.
    """


class RecordingError(ValueError):
    """The fault of one recording, raised by readers and decoders alone: the recording is quarantined, the rest goes on.

    The message names the file, what was found and what was expected. A failure of the machine, of the configuration or of
    this code is never a RecordingError.
    """


@dataclass(frozen=True)
class VideoPart:
    """A part of a long video, from `start_s` seconds after its first frame on.

    `where`: of the table that says so, to end a sentence with.
    """

    start_s: float
    where: str = ""


@dataclass(frozen=True)
class Trial:
    """One stimulus of one subject. Facts and file names, no arrays.

    `video` and `signals` are absolute paths or URIs (dataprep/storage.py), or None where
     the data set holds no such recording for the trial. `more_signals`: further files that its signals are read from.
    `start_s` is where the trial begins in the signal file (0 where a file holds just one trial); `video_start_s` where it begins
    in the video, in seconds after the first frame, None where the video is of this trial alone. `frames_hz`: where the video is
    a folder of pictures, how many there are a second; 0: those of the trial last as long as it, however many there are. `told`:
    where the data set's table says so, for messages. `columns`: what else the data set's table says of it, as it is written there
    (sex, age, session, order, temperature …).
    """

    trial_id: str
    subject: str
    class_id: int
    class_name: str
    video: str | None = None
    signals: str | None = None
    start_s: float = 0.0
    more_signals: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    video_start_s: float | None = None
    frames_hz: float | None = None
    told: str = field(default="", compare=False)

    @property
    def where(self) -> str:
        """Where the data set's table says when the trial begins, to end a sentence with."""
        return f" ({self.told})" if self.told else ""

    @property
    def video_part(self) -> VideoPart | None:
        """The part of the video that the trial is; None where the video is of this trial alone."""
        return None if self.video_start_s is None else VideoPart(self.video_start_s, self.where)


@dataclass(frozen=True)
class Defect:
    """A recording that cannot be used and why. `part` is 'index', 'video' or 'signals'; `file` is the offending file.

    `channels` are those at fault where others of the file can be used; empty: the whole recording is at fault.
    """

    trial_id: str
    subject: str
    part: str
    file: str
    reason: str
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Person:
    """What is known of a subject beside the recordings: sex ('m' or 'w') and age in years."""

    sex: str
    age: int


def _unknown(subject: str) -> Person | None:
    return None


@dataclass(frozen=True)
class DataSet:
    """How to read one data set: the whole contract of a file in `dataprep/datasets/`, which exports it as `DATASET`.

    A trial lasts `n_steps / clock_hz` seconds; step k is the moment k / clock_hz after its start, for video frames
    and for signals alike. Raise `version` when `read_signals` starts to give other values: what was made of the old ones is then
    made again. `subsets` names groups of subjects (None = everybody); `holdout` lists the validation
    subjects of a fixed split, where one has been published for the data set; `rates_hz` the rate of each channel's samples, where
    it is the same in all files; `units` the unit of channels, where it is known. `pain`: False for a data set whose positive
    class is no pain, such as stress. `population`: data sets that say the same word have people in common, under the same names.

    `source`: who made the data, as a publication of results must cite it; `trial`: what one trial is, to follow "a trial is".

    `synthetic`: a program made the recordings, so that results say nothing about people; every table and figure then says so.

    `lacking`: channel that one might expect -> why it is not there, to end a sentence with.

    `also_positive`: classes that count as the positive one by default, beside `positive`.

    `derived`: channel -> the recorded one that it is made of (dataprep.signals.derived.with_channels), never set by a reader.

    `selected`: subset -> by what its people were chosen, where that was seen in the very trials that are told apart.

    `time_order(trial)`    what grows with time in a person's session; None (no function) where the data set does not tell it
    `person(subject)`      sex and age of a subject, None where the data set does not tell
    `recognise(path)`      True if the folder looks like this data set (cheap: looks at a few names only)
    `read_trials(path)`    every trial of every class, in the order of the index, and the defects met;
                           raises InputError if the folder as a whole cannot be read
    `read_signals(trial)`  channel -> (values at the native rate from the trial's start on, rate in Hz); raises
                           RecordingError for what is wrong with the file, OSError where it cannot be reached
    `explain(trial, channel)`  where in the file a value stands that is no number; empty where that is not known
    `description`          of a data set that a table describes: what `read_signals` depends on, as JSON types. With the name,
                           `dataprep.datasets.dataset` makes the reader of it again, in another process or of a stored model
    """

    name: str
    title: str
    clock_hz: float
    n_steps: int
    channels: tuple[str, ...]
    classes: Mapping[int, str]
    negative: int
    positive: int
    recognise: Callable[[Place], bool]
    read_trials: Callable[[Place], tuple[tuple[Trial, ...], tuple[Defect, ...]]]
    read_signals: Callable[[Trial], Mapping[str, tuple[np.ndarray, float]]]
    subsets: Mapping[str, frozenset[str] | None] = field(default_factory=lambda: {"all": None})
    holdout: frozenset[str] | None = None
    rates_hz: Mapping[str, float] = field(default_factory=dict)
    layout: str = ""
    version: int = 1
    units: Mapping[str, str] = field(default_factory=dict)
    pain: bool = True
    population: str = ""
    source: str = ""
    trial: str = ""
    explain: Callable[[Trial, str], str] = lambda trial, channel: ""
    description: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False
    person: Callable[[str], Person | None] = _unknown
    time_order: Callable[[Trial], float] | None = None
    selected: Mapping[str, str] = field(default_factory=dict)
    also_positive: tuple[int, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The classes of no pain and those of pain that are told apart by default."""
        return (self.negative,), (self.positive, *self.also_positive)

    @property
    def two(self) -> tuple[str, ...]:
        """The same as a task names them: several that count as one are joined by +."""
        return tuple("+".join(self.classes[i] for i in side) for side in self.sides)

    @property
    def mark(self) -> str:
        """What tables say of the origin of their numbers."""
        return SYNTHETIC if self.synthetic else self.name


@dataclass(frozen=True)
class SampleIndex:
    """A table with a row per trial: trial id, subject, label. Rows keep the order of the data set.

    A label is what is learnt of the trial: the place of its class (0 = no pain), or a number (painmodels/tasks).
    """

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[Any, ...]

    @classmethod
    def of(cls, trials: Iterable[Trial], *, classes: Sequence[int]) -> SampleIndex:
        """The trials of these classes, labelled by the place of their class: 0, 1 …; other classes are left out."""
        rows = [(t.trial_id, t.subject, classes.index(t.class_id)) for t in trials if t.class_id in classes]
        ids, subjects, labels = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(ids, subjects, labels)

    def __len__(self) -> int:
        return len(self.trial_ids)

    def where(self, keep: Iterable[bool]) -> SampleIndex:
        """The rows whose flag is true, order kept."""
        rows = [i for i, k in enumerate(keep) if k]
        return SampleIndex(
            tuple(self.trial_ids[i] for i in rows),
            tuple(self.subjects[i] for i in rows),
            tuple(self.labels[i] for i in rows),
        )

    def of_subjects(self, subjects: Iterable[str]) -> SampleIndex:
        """The rows of these subjects, order kept."""
        wanted = set(subjects)
        return self.where(s in wanted for s in self.subjects)

    def only(self, trial_ids: Iterable[str]) -> SampleIndex:
        """The rows of these trials, order kept."""
        wanted = set(trial_ids)
        return self.where(t in wanted for t in self.trial_ids)
