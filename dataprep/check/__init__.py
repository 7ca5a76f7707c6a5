"""What a data set holds and what is wrong with it, before any training. `python -m dataprep.check`."""
