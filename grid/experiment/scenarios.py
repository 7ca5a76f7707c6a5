"""What a scenario is on a data set: its trials, and the steps of a trial that it uses."""

from __future__ import annotations

from dataprep.records import DataSet, InputError, SampleIndex
from grid.experiment.cells import ONSET, Scenario
from grid.experiment.config import Experiment
from grid.experiment.config_tables import ScenarioTable

OF_BIOVID = ("all87", "expressive67")
"""Scenario names that count BioVid's people."""


def named_for(experiment: Experiment, dataset: DataSet) -> Experiment:
    """The experiment with scenarios that speak of the data: those that count BioVid's people are of BioVid's layout alone.

    Elsewhere they get the name of their subset, `all`, and are left out where the data set has no such subset. Each further
    subset of the data set is a scenario by its name, unless the experiment names scenarios of its own.
    """
    if dataset.name in ("biovid", "synthetic"):
        return experiment
    old = experiment.scenarios
    name_of = {name: table.subset if name in OF_BIOVID else name for name, table in old.items()}
    kept = {name_of[n]: t for n, t in old.items() if n not in OF_BIOVID or t.subset in dataset.subsets}
    if set(experiment.axes.scenarios) <= set(OF_BIOVID):
        kept |= {subset: ScenarioTable(subset=subset) for subset in dataset.subsets if subset not in kept}
        asked = tuple(kept)
    else:
        asked = tuple(name_of[name] for name in experiment.axes.scenarios if name_of[name] in kept)
    axes = experiment.axes.model_copy(update={"scenarios": asked})
    return experiment.model_copy(update={"scenarios": kept, "axes": axes})


def with_onsets(experiment: Experiment) -> Experiment:
    """The experiment with each of its scenarios once more for every one of [sensitivity] onsets_s that is not its own."""
    own, axes = experiment.scenarios, experiment.axes
    more = {
        f"{name}{ONSET}{onset:g}s": own[name].model_copy(update={"skip_s": onset})
        for name in axes.scenarios
        for onset in sorted(set(experiment.sensitivity.onsets_s))
        if onset != own[name].skip_s
    }
    asked = axes.model_copy(update={"scenarios": (*axes.scenarios, *more)})
    return experiment.model_copy(update={"scenarios": {**own, **more}, "axes": asked})


def scenario_index(dataset: DataSet, index: SampleIndex, scenario: Scenario) -> SampleIndex:
    """The trials of a scenario's subjects. Raises ValueError if the data set has no such subset, or nobody in it is here."""
    if scenario.subset not in dataset.subsets:
        raise InputError(
            f"the data set {dataset.name} names no subset {scenario.subset!r}; it has: {', '.join(dataset.subsets)}"
        )
    members = dataset.subsets[scenario.subset]
    chosen = index if members is None else index.of_subjects(members)
    if not len(chosen):
        raise InputError(f"no subject of the subset {scenario.subset!r} is in the data")
    return chosen


def window(dataset: DataSet, scenario: Scenario) -> tuple[int, int]:
    """First and one-past-last step of a trial that the scenario uses."""
    lasts_s = dataset.n_steps / dataset.clock_hz
    start = round(scenario.skip_s * dataset.clock_hz)
    end = dataset.n_steps if scenario.end_s is None else round(scenario.end_s * dataset.clock_hz)
    if start >= dataset.n_steps:
        raise InputError(f"scenario {scenario.name} drops {scenario.skip_s} s of trials that last {lasts_s} s")
    if not start < end <= dataset.n_steps:
        raise InputError(
            f"scenario {scenario.name}: found end_s {scenario.end_s} s, expected above skip_s {scenario.skip_s} s and at most "
            f"{lasts_s} s, which a trial lasts"
        )
    return start, end
