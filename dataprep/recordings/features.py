"""`features`: the frozen CNN's activations of each frame's face, float16 (T, F)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dataprep.faces import Steps
from dataprep.recordings.kind import VIDEO, Recording, Trunk


def begin(trunk: Trunk | None) -> Callable[[Steps], np.ndarray]:
    assert trunk is not None
    return lambda steps: trunk(steps.crops_BYXC)


RECORDING = Recording(
    name="features",
    of=VIDEO,
    shape=lambda facts: (facts.n_steps, facts.trunk_width),
    dtype="float16",
    of_video=begin,
    trunk=True,
    version=2,
)
