"""Columns of result files that are read where no plan, and so no network, is loaded."""

from __future__ import annotations

from grid.experiment.cells import CELL

FOLDS = ["scenario", "protocol", "repeat", "fold", "subject", "sex", "age", "trials"]
"""folds.csv: the people of every fold."""
TRIALS = ["trial_id", "subject", "class_name", "y_true", "place", "previous"]
"""trials.csv: all trials of the task's classes."""
COSTS = [*CELL, "parameters", "seconds"]
"""costs.csv: a row per cell whose fits are all stored."""
