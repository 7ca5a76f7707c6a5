"""BioVid Heat Pain Database, Part B: 86 people, the protocol of Part A with electrodes on the face.

The layout rests on the description of the data set (https://www.nit.ovgu.de/BioVid.html) and on public code that reads it: that
of Part A (biovid.py), with facial EMG (corrugator, zygomaticus) as usable channels; electrodes cover parts of the face. Licence:
the data set's own terms; it is personal and restricted. Since both parts look alike, a folder is taken for Part B where its name
says so (`PartB`), or with `--dataset biovid-b`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataprep.datasets import biovid
from dataprep.records import Trial
from dataprep.storage import Place

CHANNELS = {**biovid.CHANNELS, "emg_corrugator": "emg_corrugator", "emg_zygomaticus": "emg_zygomaticus"}


def recognise(path: Place) -> bool:
    """True if the folder is called Part B, holds starting_point/samples.csv and is not made up."""
    return bool(biovid.PART_B.search(path.absolute().name)) and biovid.has_index(path) and not biovid.is_synthetic(path)


def read_signals(trial: Trial) -> dict[str, tuple[np.ndarray, float]]:
    """eda, ecg, EMG of the trapezius, corrugator and zygomaticus: (rows,) float64 each at 512 Hz. Raises RecordingError."""
    return biovid.read_signals(trial, CHANNELS)


DATASET = replace(
    biovid.DATASET,
    name="biovid-b",
    title="BioVid Heat Pain Database, Part B",
    channels=tuple(CHANNELS),
    recognise=recognise,
    read_signals=read_signals,
    subsets={"all": None},
    selected={},
    holdout=None,
    rates_hz=dict.fromkeys(CHANNELS, biovid.RATE_HZ),
)
