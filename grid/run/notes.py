"""Warnings about the results of a run, stored in run.json."""

from __future__ import annotations

from grid.experiment.config import Experiment
from grid.experiment.scenarios import scenario_index
from grid.plan.inventory import Inventory
from grid.plan.specs import Plan


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
    if options.trials and options.scope == "scenario":
        for name in dict.fromkeys(c.scenario for c in plan.predicts):
            index = scenario_index(inventory.dataset, inventory.index, experiment.scenario(name))
            seen = sorted(set(index.subjects))
            found.append(
                f"Optimistic: the hyperparameters of {name} were searched on all of its {len(seen)} subjects, those of every "
                f"test fold among them. Seen by the search: {', '.join(seen)}."
            )
    return found
