"""What run.json says of each scenario, and whether it is the paper's: the same data, people, classes and window.

`not_the_papers` says why it is not, and is empty where it is; a row of the scenario is set beside the paper's once all its folds
have scores and everybody was tested (`grid/results/tables.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dataprep.datasets.biovid import LOW_EXPRESSIVE, SUBJECTS
from dataprep.records import SampleIndex
from grid.experiment.cells import Scenario
from grid.experiment.config import Experiment
from grid.experiment.partitions import splits_of
from grid.experiment.scenarios import scenario_index, window
from grid.plan.inventory import Inventory
from grid.protocols import FoldSplit

PAPER_SCENARIOS = {"all87": (0.0, frozenset(SUBJECTS)), "expressive67": (2.0, frozenset(SUBJECTS) - LOW_EXPRESSIVE)}
"""Seconds dropped at the start of a trial, and the people, of the paper's two scenarios."""


def scenario_facts(experiment: Experiment, inventory: Inventory, name: str) -> dict[str, Any]:
    """What run.json says of a scenario: its subset and window, and how much of it these data hold.

    `folds`: of one partition, in all; `training_people`: of the protocol `personal`, whose folds test one person each, how many
    people train in a fold; `subset_size`: how many people the data set's makers list, None where everybody is meant.
    """
    scenario = experiment.scenario(name)
    facts: dict[str, Any] = {"subset": scenario.subset, "skip_s": scenario.skip_s, "subjects": 0, "trials": 0, "frames": 0}
    facts |= {"folds": 0, "subset_size": None, "not_the_papers": "it cannot be made of these data"}
    facts |= {"adapt": scenario.adapt} if scenario.adapt else {}
    facts |= {} if scenario.end_s is None else {"end_s": scenario.end_s}
    facts["selected"] = inventory.dataset.selected.get(scenario.subset, "")
    try:
        index = scenario_index(inventory.dataset, inventory.index, scenario)
        first, last = window(inventory.dataset, scenario)
        splits = splits_of(experiment, inventory.dataset, inventory.index, scenario)
        folds = len({split.fold for split in splits})
    except ValueError:
        return facts
    people = set(index.subjects)
    facts |= {"subjects": len(people), "trials": len(index), "folds": folds}
    facts["frames"] = (last - first) * trials_with_video(inventory, index)
    if name in PAPER_SCENARIOS and inventory.dataset.name in ("biovid", "synthetic"):
        facts["subset_size"] = len(PAPER_SCENARIOS[name][1])
    if experiment.protocol.name == "personal":
        facts["training_people"] = training_people_of(splits)
        return facts | {"not_the_papers": "trials of the tested people train, the paper's do not"}
    return facts | {"not_the_papers": _differs(inventory, scenario, people)}


def trials_with_video(inventory: Inventory, index: SampleIndex) -> int:
    """How many of these trials have a video that the wanted rows take."""
    return len({v.trial.trial_id for v in inventory.videos}.intersection(index.trial_ids))


def training_people_of(splits: Iterable[FoldSplit]) -> dict[str, float]:
    """Protocol -> how many people train in a fold, on average: those outside the group of a tested person, and that person where
    trials of hers calibrate."""
    found: dict[str, list[int]] = {}
    for split in splits:
        found.setdefault(split.protocol, []).append(len({split.subject_of[t] for t in split.train}))
    return {protocol: sum(many) / len(many) for protocol, many in found.items()}


def _differs(inventory: Inventory, scenario: Scenario, people: set[str]) -> str:
    """Why the numbers of a scenario cannot be set beside the paper's; empty if they can."""
    if inventory.dataset.name != "biovid":
        return "the data are not BioVid Part A"
    learns = inventory.learns
    if "paper" not in learns.sections:
        return f"the paper tells BL1 from PA4, this run does the task {learns.kind}"
    if learns.names != ("BL1", "PA4"):
        return f"the paper tells BL1 from PA4, this run {learns.names[0]} from {'+'.join(learns.names[1:])}"
    if scenario.name not in PAPER_SCENARIOS:
        return f"the paper has no scenario {scenario.name}"
    papers_skip_s, papers_people = PAPER_SCENARIOS[scenario.name]
    if scenario.skip_s != papers_skip_s:
        return f"the paper drops {papers_skip_s:g} s of each trial, this run {scenario.skip_s:g} s"
    if window(inventory.dataset, scenario)[1] != inventory.dataset.n_steps:
        return f"the paper uses each trial to its end, this run to {scenario.end_s:g} s"
    if people != papers_people:
        return f"the paper has {len(papers_people)} people, these data {len(people & papers_people)} of them"
    return ""
