"""`signals_native`: each channel at its own rate, (samples,) float32 in the data set's units, from the trial's start on.

The samples up to the last step of the clock, as `to_clock` uses them; a recording that ends a step early holds its last value.
"""

from __future__ import annotations

import numpy as np

from dataprep.recordings.kind import SIGNALS, Facts, Recording, Samples
from dataprep.signals.resampling import n_samples


def shape(facts: Facts) -> tuple[int]:
    return (n_samples(rate_hz=facts.rate_hz, clock_hz=facts.clock_hz, n_steps=facts.n_steps) if facts.rate_hz else 0,)


def own(samples: Samples) -> np.ndarray:
    n = n_samples(rate_hz=samples.rate_hz, clock_hz=samples.clock_hz, n_steps=samples.n_steps)
    x = samples.values[:n]
    return np.pad(x, (0, n - len(x)), mode="edge")


RECORDING = Recording(name="signals_native", of=SIGNALS, along="samples", shape=shape, of_channel=own)
