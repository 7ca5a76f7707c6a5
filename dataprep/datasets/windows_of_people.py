"""What readers of long recordings have in common: people one after another, and trials that are windows of their recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dataprep.records import DataSet, Defect, InputError, RecordingError, Trial
from dataprep.storage import Place, place

CLOCK_HZ = 25.0
Found = tuple[list[Trial], list[str]]
"""The windows of a recording, and why others of it were left out."""


def of_people(
    path: Place, layout: str, found: Iterable[tuple[str, Place]], read: Callable[[str, Place], Found]
) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The trials of all people, `found` as (subject, recording); `read` gives those of one.

    A RecordingError or FileNotFoundError of `read` is a defect of that recording alone. Raises InputError where nobody is.
    """
    trials: list[Trial] = []
    defects: list[Defect] = []
    people = list(found)
    for subject, file in people:
        try:
            own, broken = read(subject, file)
        except FileNotFoundError:
            defects.append(
                Defect(trial_id="", subject=subject, part="signals", file=str(file), reason=f"{file}: the file is missing")
            )
            continue
        except RecordingError as error:
            defects.append(Defect(trial_id="", subject=subject, part="index", file=str(file), reason=str(error)))
            continue
        trials += own
        defects += [
            Defect(trial_id="", subject=subject, part="index", file=str(file), reason=f"{file}: {reason}")
            for reason in broken
        ]
    if not people:
        raise InputError(f"{path}: found nobody's recordings, expected {layout}")
    return tuple(trials), tuple(defects)


def signals_of(trial: Trial, layout: str) -> Place:
    """The file of a trial's signals. Raises RecordingError where it has none."""
    if trial.signals is None:
        raise RecordingError(f"{trial.trial_id}: found no signal file, expected {layout}")
    return place(trial.signals)


def since_the_start(trial: Trial) -> float:
    """The time order of trials that are windows of one recording of a person."""
    return trial.start_s


def data_set(
    *, channels: Iterable[str], rate_hz: float, window_s: float, classes: Mapping[int, str], **facts: Any
) -> DataSet:
    """A data set of windows of one length on a clock of 25 Hz, all of its channels recorded at one rate."""
    names = tuple(channels)
    return DataSet(
        clock_hz=CLOCK_HZ,
        n_steps=round(window_s * CLOCK_HZ),
        channels=names,
        rates_hz=dict.fromkeys(names, rate_hz),
        classes=classes,
        negative=0,
        **facts,
    )
