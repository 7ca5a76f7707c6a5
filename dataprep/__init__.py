"""Recordings and their preparation: data sets, videos, signals, synthetic data and the data check. Imports no torch."""
