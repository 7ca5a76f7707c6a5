"""The recalibration of a row in a fold: a fit on what inner folds of the training side say of people they did not train on."""

from __future__ import annotations

from grid.plan.nodes import Node
from grid.plan.specs import Fit, PartSpec, Plan, Refit, all_fits_of
from grid.store.identity import Params, Stage
from painmodels.methods.calibrate import CALIBRATORS, ROLE, Settings
from painmodels.methods.graph import Input

VERSION = 1


def calibration(fit: Fit, node: Node, refits: tuple[Refit, ...], *, how: str, folds: int) -> Fit:
    """The calibration of what `fit`, the last one of a row, predicts. `refits`: its part, fitted in each inner fold."""
    calibrator = CALIBRATORS[how]
    params = Params({"calibrate": how, "calibrate_version": calibrator.version, "inner_folds": folds})
    held_out = [key for refit in refits for key in (refit.held_out.key, *(f.stage.key for f in refit.upstream))]
    return Fit(
        stage=Stage(f"fit-{ROLE}-{node.label}", VERSION, params, (fit.stage.key, *held_out)),
        part=PartSpec(
            method=fit.part.method,
            role=ROLE,
            network=how,
            own=calibrator,
            inputs=(Input(part=fit.role, output="prediction"),),
            words=fit.part.words,
            channels=(),
            steps=fit.steps,
            clock_hz=fit.part.clock_hz,
            keeps=fit.part.keeps,
        ),
        settings=Settings(),
        upstream=(fit,),
        normalise="",
        train=fit.train,
        scenario=fit.scenario,
        fold=fit.fold,
        refits=refits,
        repeat=fit.repeat,
        seed=fit.seed,
    )


def told(plan: Plan) -> str:
    """How many calibrations a plan has and what they cost beside the fits of the rows themselves; empty without any."""
    made = [fit for fit in plan.fits.values() if fit.role == ROLE]
    if not made:
        return ""
    of_rows = {f.stage.key for p in plan.predicts.values() for f in all_fits_of(p.fit.upstream[0] if _has(p.fit) else p.fit)}
    more = len(plan.fits.keys() - of_rows) - len(made)
    how = ", ".join(dict.fromkeys(fit.part.network for fit in made))
    return f"{how}: {len(made)} calibrations, on predictions of {more} further fits in inner folds"


def _has(fit: Fit) -> bool:
    return fit.role == ROLE
