"""Synthetic data in BioVid's layout, as `python -m dataprep.synthetic` writes it: recordings of nobody.

The files are read as those of BioVid. What tells them apart is the file `synthetic.json` beside the index. The 87 people are made
up, and so are their sex and age, which their names tell as names of BioVid do. The lists of the subset `expressive` and of the
hold-out are its own: as many people as BioVid's lists have.
"""

from __future__ import annotations

import json
from dataclasses import replace

from dataprep import file_names
from dataprep.datasets import biovid
from dataprep.records import Defect, InputError, Trial
from dataprep.signals.files import read_text
from dataprep.storage import Place

MARKER = biovid.SYNTHETIC_MARKER
FIRST_VERSION = 2
"""Of the generator: the first that gives made-up names."""
SUBJECTS = tuple(f"synthetic{i:02d}_{'wm'[i % 2]}_{20 + 29 * i % 46:02d}" for i in range(1, len(biovid.SUBJECTS) + 1))
LOW_EXPRESSIVE = frozenset(s for s, other in zip(SUBJECTS, biovid.SUBJECTS, strict=True) if other in biovid.LOW_EXPRESSIVE)
HOLDOUT = frozenset(s for s, other in zip(SUBJECTS, biovid.SUBJECTS, strict=True) if other in biovid.HOLDOUT)


def recognise(path: Place) -> bool:
    """True if the folder has BioVid's index and the marker of made-up data."""
    return biovid.has_index(path) and biovid.is_synthetic(path)


def read_trials(path: Place) -> tuple[tuple[Trial, ...], tuple[Defect, ...]]:
    """The trials, read as BioVid's. Raises InputError for a folder without the marker, or of a version with other names."""
    marker = file_names.inside(path, MARKER)
    if marker is None:
        raise InputError(f"{path}: found no {MARKER}, expected a folder that dataprep.synthetic wrote")
    try:
        version = json.loads(read_text(marker))["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{marker}: cannot be read ({error}); expected the file that dataprep.synthetic wrote") from error
    if not isinstance(version, int) or version < FIRST_VERSION:
        raise InputError(
            f"{marker}: found version {version}, whose people bear names of real ones; expected {FIRST_VERSION} or later: "
            "write the data again with dataprep.synthetic"
        )
    return biovid.read_layout(path)


def time_order(trial: Trial) -> float:
    """The number at the end of a trial's name: the trials of a person come in the order of their numbers."""
    number = trial.trial_id.rpartition("-")[2]
    return float(number) if number.isdecimal() else 0.0


DATASET = replace(
    biovid.DATASET,
    name="synthetic",
    title="synthetic data in BioVid's layout",
    source="made by a program (python -m dataprep.synthetic).",
    trial="5.5 s of a made-up stimulus or baseline",
    synthetic=True,
    recognise=recognise,
    read_trials=read_trials,
    subsets={"all": None, "expressive": frozenset(SUBJECTS) - LOW_EXPRESSIVE},
    holdout=HOLDOUT,
    layout=f"{MARKER}, and as biovid",
    time_order=time_order,
    selected={},
)
