"""What the store says of the fits behind the cells of a plan: verdicts (learning.csv) and costs (costs.csv)."""

from __future__ import annotations

from dataclasses import astuple

import pandas as pd

from grid.plan.specs import Plan, fits_of
from grid.results.columns import COSTS
from grid.results.learned import COLUMNS, RECORD, UNKNOWN
from grid.store.artefacts import Store
from painmodels.training.learning import verdict_of


def learning_table(plan: Plan, store: Store) -> pd.DataFrame:
    """A row per cell and stored fit behind it that is trained in epochs: the columns COLUMNS."""
    stored = [fit.stage for fit in plan.fits.values() if store.has(fit.stage)]
    facts = {stage.key: found for stage, found in zip(stored, store.facts_of(stored), strict=True) if found["curve"]}
    rows = []
    for cell, predict in plan.predicts.items():
        for fit in fits_of(predict.fit):
            if fit.stage.key in facts:
                record = {"epochs": len(facts[fit.stage.key]["curve"]), **(facts[fit.stage.key].get("learning") or {})}
                verdict = verdict_of(facts[fit.stage.key]) or UNKNOWN
                stage = fit.stage.name.removeprefix("fit-")
                place = (*astuple(cell), stage, fit.stage.key, verdict)
                rows.append((*place, *(record.get(name) for name in RECORD)))
    return pd.DataFrame(rows, columns=COLUMNS)


def costs_table(plan: Plan, store: Store) -> pd.DataFrame:
    """A row per cell whose fits are all stored. A fit that serves several cells counts in each; `seconds` are those of the device
    that made it, shared by fits that were packed. `parameters`: numbers that were learned, missing for fits of older versions."""
    stored = [fit.stage for fit in plan.fits.values() if store.has(fit.stage)]
    facts = {stage.key: found for stage, found in zip(stored, store.facts_of(stored), strict=True)}
    rows = []
    for cell, predict in plan.predicts.items():
        keys = [fit.stage.key for fit in fits_of(predict.fit)]
        if all(key in facts for key in keys):
            found = [facts[key] for key in keys]
            known = all("parameters" in fact for fact in found)
            parameters = sum(fact["parameters"] for fact in found) if known else None
            rows.append((*astuple(cell), parameters, round(sum(fact["seconds"] for fact in found), 3)))
    return pd.DataFrame(rows, columns=COSTS)
