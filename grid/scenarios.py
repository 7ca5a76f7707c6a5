"""What a scenario is on a data set: its trials, the steps of a trial that it uses, and its folds."""

from __future__ import annotations

from dataprep.records import DataSet, SampleIndex
from grid.cells import Scenario
from grid.config import Experiment
from grid.protocols import FoldSplit, protocols


def scenario_index(dataset: DataSet, index: SampleIndex, scenario: Scenario) -> SampleIndex:
    """The trials of a scenario's subjects. Raises ValueError if the data set has no such subset, or nobody in it is here."""
    if scenario.subset not in dataset.subsets:
        raise ValueError(
            f"the data set {dataset.name} names no subset {scenario.subset!r}; it has: {', '.join(dataset.subsets)}"
        )
    members = dataset.subsets[scenario.subset]
    chosen = index if members is None else index.of_subjects(members)
    if not len(chosen):
        raise ValueError(f"no subject of the subset {scenario.subset!r} is in the data")
    return chosen


def window(dataset: DataSet, scenario: Scenario) -> tuple[int, int]:
    """First and one-past-last step of a trial that the scenario uses."""
    start = round(scenario.skip_s * dataset.clock_hz)
    if start >= dataset.n_steps:
        raise ValueError(
            f"scenario {scenario.name} drops {scenario.skip_s} s of trials that last {dataset.n_steps / dataset.clock_hz} s"
        )
    return start, dataset.n_steps


def splits_of(experiment: Experiment, dataset: DataSet, index: SampleIndex) -> tuple[FoldSplit, ...]:
    """The folds of a scenario's trials. Raises ValueError if they cannot be made."""
    return protocols()[experiment.protocol.name](
        index, folds=experiment.protocol.folds, seed=experiment.seed, holdout=dataset.holdout
    )
