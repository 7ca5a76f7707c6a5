"""Checks the recordings of a data set before training. `python -m dataprep.check`."""
