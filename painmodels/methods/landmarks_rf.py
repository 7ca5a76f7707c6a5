"""A forest on facial distances and head pose over time: Werner et al. 2014, ICPR, https://doi.org/10.1109/ICPR.2014.784.

Published on BioVid A, no pain against the highest level, 87 people, ten folds: video 76.6 %, with EDA, ECG and EMG 80.6 %,
as Farmani et al. quote them in their Table 3 ("facial landmarks and 3D distances, random forest"). The abstract names facial
expression, head movement, EDA, ECG and EMG; the full text could not be read here. Guessed: which distances (17, in the space
of the mesh) and which of the head (three angles, place, size), a Butterworth low-pass of first order at 1 Hz, the seven
descriptors (mean, median, range, SD, median absolute deviation, ranges between quartiles and deciles) of course, velocity and
acceleration, the number of trees and the least leaf.

With signals the row is `eda+ecg+emg+video:rf`: one forest on their features and these (`tables.py`).
"""

from __future__ import annotations

from painmodels.methods.forest import Settings, fit, of_features, predict
from painmodels.methods.graph import Choice, Estimator, Input, Method, Part
from painmodels.methods.tables import feature_table

VERSION = 1  # raise when the same points may give other features

ESTIMATOR = Estimator(Settings, fit, predict, version=VERSION, features=feature_table, of_features=of_features)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    return (Part("estimator", (Input("mesh"),), trained=ESTIMATOR),)


METHOD = Method("landmarks-rf", on=("video",), parts=parts, compared=("video:landmarks-rf",))
