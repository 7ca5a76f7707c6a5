"""Ranks of values. scipy.stats has them, and takes a second to load that every worker would wait for."""

from __future__ import annotations

import numpy as np


def ranks(x_N: np.ndarray) -> np.ndarray:
    """The rank of each value, from 1 on; equal values have the mean of their ranks."""
    _, at_N, count_K = np.unique(x_N, return_inverse=True, return_counts=True)
    return (np.cumsum(count_K) - (count_K - 1) / 2)[at_N]
