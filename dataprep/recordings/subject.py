"""`subject`: whose trial it is, for an estimator: what it learns of persons, it learns of those of the training side."""

from __future__ import annotations

from dataprep.recordings.kind import Recording

RECORDING = Recording(name="subject", of="", shape=lambda facts: (), along="")
