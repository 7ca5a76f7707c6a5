"""A synthetic data set with real files: faces as H.264, signals as text. `python -m dataprep.synthetic`."""
