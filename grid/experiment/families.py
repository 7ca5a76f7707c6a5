"""Which rows are tested against what: fixed by their names, before there are results (grid/results/stats.py makes the tests)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from grid.experiment.cells import PAPER_ROWS, recorded

FRAME_MEAN = "frame:mean"
"""The mean probability that `frame` gives the frames of a trial: a reading of its predictions, which no fit makes."""


ROW_ORDER = ("frame", FRAME_MEAN, *(row for row in PAPER_ROWS if row != "frame"))
"""The paper's rows in its order, the reading of `frame` beside it."""


CONTROLS = ("control-temperature", "control-order", "control-previous")
"""Rows that see the design of the experiment and no recording."""
RULES = ("majority", "argmax")
"""Methods that learn at most a share: rules fixed in advance, whose probabilities are not recalibrated."""
BASELINE_METHODS = (*RULES, "rf", "logistic", "cnn-lstm", *CONTROLS)
"""Methods that are there to be beaten; a row of any other method is one that learns."""


def is_baseline(row: str) -> bool:
    """True for a row of a baseline: `majority`, `eda:argmax`, `eda+ecg:rf`."""
    return (row.partition(":")[2] or row) in BASELINE_METHODS


def group(row: str) -> str:
    """In which group a row is counted: `cells`, `baselines`, or `derived`: it sees signals that are made of recorded ones."""
    if is_baseline(row):
        return "baselines"
    return "derived" if is_derived(row.partition(":")[0].split("+")) else "cells"


def place_of_group(row: str) -> int:
    """Where tables and figures have the group of a row: those of recorded signals first, then of derived ones, then baselines."""
    return ("cells", "derived", "baselines").index(group(row))


def is_derived(words: Iterable[str]) -> bool:
    """Whether a signal among these words is made of a recorded one (dataprep.signals.derived)."""
    return any(recorded(word) != word for word in words)


def learned_rows(rows: Iterable[str]) -> list[str]:
    """The rows that learn: all but baselines."""
    return [row for row in rows if not is_baseline(row)]


def trivial_rule(row: str) -> str:
    """The rule without any training that a row has to beat: `eda:argmax` where it sees the EDA, else the majority."""
    return "eda:argmax" if "eda" in row.partition(":")[0].split("+") else "majority"


def added_pairs(rows: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs of these rows of which the second sees one recording more, and (frame:mean, video): what did it add?"""
    rows = list(rows)
    words = {row: frozenset(row.split("+")) for row in rows if ":" not in row and row not in ("majority", "frame")}
    found = [(a, b) for a, b in product(words, words) if words[a] < words[b] and len(words[b]) == len(words[a]) + 1]
    return found + ([(FRAME_MEAN, "video")] if {"frame", "video"} <= {*rows} else [])
