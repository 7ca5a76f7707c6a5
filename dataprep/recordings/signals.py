"""`signals`: the channels on the clock of the frames, float32 (T, C) for a trial. dataprep.signals.files makes them.

They are made wherever anything of the signals is: what is unusable is decided once, for all that is made of a channel.
"""

from __future__ import annotations

from dataprep.recordings.kind import SIGNALS, Recording

RECORDING = Recording(name="signals", of=SIGNALS, shape=lambda facts: (facts.n_steps,))
