"""What a cell costs: the parameters of the fits behind it, and the seconds that they took (costs.csv)."""

from __future__ import annotations

from dataclasses import astuple

import pandas as pd

from grid.experiment.cells import CELL
from grid.plan.specs import Plan, fits_of
from grid.store.artefacts import Store

COLUMNS = [*CELL, "parameters", "seconds"]


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
    return pd.DataFrame(rows, columns=COLUMNS)
