"""`domain`: domain features of each channel at its own rate (dataprep/signals/native_features.py), (T, WIDTH) float32.

Row t holds the features of the window from step t to the end of the trial, so that a scenario that drops seconds at the start
has its own. Windows begin at whole seconds and last at least `LEAST_S`; other rows, and places beyond a signal's features, are
NaN.
"""

from __future__ import annotations

import numpy as np

from dataprep.recordings.kind import SIGNALS, Recording, Samples
from dataprep.recordings.signals_native import own
from dataprep.signals.native_features import VERSION, WIDTHS, features

WIDTH = max(WIDTHS.values())
LEAST_S = 2.0


def of_channel(samples: Samples) -> np.ndarray:
    x = own(samples)
    out_TF = np.full((samples.n_steps, WIDTH), np.nan)
    second = 0
    while (step := round(second * samples.clock_hz)) <= samples.n_steps - LEAST_S * samples.clock_hz:
        first = round(step / samples.clock_hz * samples.rate_hz)
        found = list(features(x[first:], samples.rate_hz, channel=samples.channel).values())
        out_TF[step, : len(found)] = found
        second += 1
    return out_TF


RECORDING = Recording(
    name="domain",
    of=SIGNALS,
    shape=lambda facts: (facts.n_steps, WIDTH),
    of_channel=of_channel,
    to_the_end=True,
    version=VERSION,
)
