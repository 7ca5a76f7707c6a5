"""The one fit of a baseline's row: a stage like any other, from the recordings straight to a probability of pain."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dataprep.records import DataSet
from grid.experiment.cells import SIGNALS, Cell, Row
from grid.experiment.config import Experiment
from grid.plan.specs import FIT_VERSION, Fit, TrainSet
from grid.store.identity import Stage
from painmodels.baselines import ROLE


def baseline_fit(
    experiment: Experiment, dataset: DataSet, cell: Cell, row: Row, *, train: TrainSet, steps: tuple[int, int]
) -> Fit:
    """The fit of `row` on the training trials of `cell`, on the steps of a trial that its scenario uses."""
    entry, settings = experiment.baseline(row.baseline)
    sees = (*row.signals, *(["video"] if row.clip else []))
    params: dict[str, Any] = {
        "baseline": entry.name,
        "baseline_version": entry.version,
        "settings": asdict(settings),
        "sees": list(sees),
        "steps": list(steps) if sees else [],
        "clock_hz": dataset.clock_hz,
        "seed": cell.seed,
    }
    name = f"fit-{entry.name}" + (f"-{'+'.join(sees)}" if sees else "")
    return Fit(
        stage=Stage(name, FIT_VERSION, params, (train.key,)),
        role=ROLE,
        network=entry.name,
        settings=settings,
        upstream=(),
        channels=tuple(dataset.channels.index(SIGNALS[s]) for s in row.signals),
        steps=steps,
        normalise="",
        train=train,
        scenario=cell.scenario,
        fold=cell.fold,
        sees=sees,
        clock_hz=dataset.clock_hz,
        repeat=cell.repeat,
        seed=cell.seed,
    )
