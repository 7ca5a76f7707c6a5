"""Who and what there was to work on: folds.csv, the people of every fold, and trials.csv, all trials of the task's classes.

Both are of the data set as it was read, before anything was found to be unusable: what the predictions lack was left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from grid.experiment.cells import is_further
from grid.experiment.config import Experiment
from grid.experiment.partitions import splits_of
from grid.plan.inventory import Inventory
from grid.results.columns import FOLDS, TRIALS


def folds_table(experiment: Experiment, inventory: Inventory, scenarios: Iterable[str]) -> pd.DataFrame:
    """A row a person whom a fold tests, with how many of the trials it tests; sex and age where the data set tells them.

    A scenario that cannot be made of these data has no rows; one with another window has the folds of the scenario it is made of.
    """
    rows: list[tuple[object, ...]] = []
    for name in (name for name in scenarios if not is_further(name)):
        try:
            splits = splits_of(experiment, inventory.dataset, inventory.index, experiment.scenario(name))
        except ValueError:
            continue
        for split in splits:
            for subject, n in sorted(Counter(split.subject_of[t] for t in split.test).items()):
                person = inventory.dataset.person(subject)
                told = (person.sex, person.age) if person else ("", "")
                rows.append((name, split.protocol, split.repeat, split.fold, subject, *told, n))
    return pd.DataFrame(rows, columns=FOLDS)


def trials_table(inventory: Inventory) -> pd.DataFrame:
    """A row a trial. `place` is its number in the person's session and `previous` the class of the trial before it, of any class
    that the data set has; both empty where the data set does not tell the order in time. `y_true` is 0 for the first class and 1
    for all others; it and the class are empty where numbers are learnt."""
    index, learns = inventory.index, inventory.learns
    told = {label: (learns.names[int(label)], int(label > 0)) for label in set(index.labels) if learns.n_classes}
    rows = [
        (trial, subject, *told.get(label, ("", "")), *inventory.session.get(trial, ("", "")))
        for trial, subject, label in zip(index.trial_ids, index.subjects, index.labels, strict=True)
    ]
    return pd.DataFrame(rows, columns=TRIALS)
