"""Warnings about the results of a run, stored in run.json."""

from __future__ import annotations

from grid.experiment.config import Experiment
from grid.experiment.scenarios import scenario_index
from grid.experiment.weight_files import weight_files
from grid.plan.inventory import Inventory
from grid.plan.specs import Plan, fits_of
from painmodels.registry import Pretrained
from painmodels.trunks.weight_cache import provenance


def notes(experiment: Experiment, inventory: Inventory, plan: Plan) -> list[str]:
    """The limitations of this plan's results."""
    found: list[str] = []
    options, seeds = experiment.search, experiment.fit.seeds
    if options.trials and len(seeds) > 1:
        found.append(
            f"Hyperparameters were searched with fit seed {seeds[0]} alone, and what was chosen was trained from all "
            f"{len(seeds)} seeds: the spread over seeds is that of training, not of the search."
        )
    if inventory.dataset.name in experiment.claims.chosen_on:
        found.append(
            f"Optimistic: settings of this experiment were chosen by what they gave on people of {inventory.dataset.name} "
            "([claims] chosen_on), so its rows may be too good on these people."
        )
    found += on_first_weights(experiment, plan)
    if options.trials and options.scope == "scenario":
        for name in dict.fromkeys(c.scenario for c in plan.predicts):
            index = scenario_index(inventory.dataset, inventory.index, experiment.scenario(name))
            seen = sorted(set(index.subjects))
            found.append(
                f"Optimistic: the hyperparameters of {name} were searched on all of its {len(seen)} subjects, those of every "
                f"test fold among them. Seen by the search: {', '.join(seen)}."
            )
    return found


def on_first_weights(experiment: Experiment, plan: Plan) -> list[str]:
    """What the networks start from that can start from published weights, a sentence each."""
    files = weight_files(experiment)
    rows: dict[tuple[str, str, str], None] = {}
    for cell, predict in plan.predicts.items():
        for fit in fits_of(predict.fit):
            if isinstance(fit.settings, Pretrained):
                rows.setdefault((cell.modality, fit.settings.backbone, fit.settings.weights), None)
    found = []
    for row, backbone, mark in rows:
        told = (
            provenance(*files[mark]).rstrip(".")
            if mark in files
            else f"random weights, not the published ones of {backbone}"
        )
        found.append(f"The row {row} starts from {told}.")
    return found
