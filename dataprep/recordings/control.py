"""`control`: what the data set's table says of the trial, the method's `control`, as it is written there; for an estimator."""

from __future__ import annotations

from dataprep.recordings.kind import Recording

RECORDING = Recording(name="control", of="", shape=lambda facts: (), along="")
