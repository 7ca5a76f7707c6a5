"""Over what the signals of the fits were scaled, and which rows saw more of the test side than one trial at a time.

Taken from the fits and not from the experiment, since a search may choose another scaling in every fold.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from grid.plan.specs import Fit, Plan, fits_of
from painmodels.training.normalise import OVER_OTHER_TRIALS


def sees_test_side(fit: Fit) -> bool:
    """True if a held-out trial is scaled by other held-out trials, by this fit or by one that feeds it."""
    return any(f.normalise in OVER_OTHER_TRIALS for f in fits_of(fit))


def scaling_facts(plan: Plan) -> dict[str, Any]:
    """For run.json: `fits`, how many are scaled how, and `sees_test_side`, the rows of which some cell is, as 'eda (all87)'."""
    every = {f.stage.key: f.normalise for p in plan.predicts.values() for f in fits_of(p.fit)}
    rows = [f"{c.modality} ({c.scenario})" for c, p in plan.predicts.items() if sees_test_side(p.fit)]
    return {
        "fits": dict(sorted(Counter(how for how in every.values() if how).items())),
        "sees_test_side": list(dict.fromkeys(rows)),
    }
