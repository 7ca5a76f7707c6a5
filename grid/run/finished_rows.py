"""Rows that are finished while the grid still works: a line each, with the mean of the main metric over their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dataprep.rounding import rounded
from grid.experiment.cells import Cell
from grid.monitor.progress import Display
from grid.plan.planner import Planner
from grid.plan.specs import Fit
from grid.store.artefacts import Store
from painmodels.tasks import Task

RowName = tuple[str, str]


class FinishedRows:
    """Follows the fits that are made. A row is told once, when no cell of it is open; rows that were stored before are not."""

    def __init__(self, planner: Planner, store: Store, targets: Mapping[str, float], task: Task) -> None:
        self.planner, self.store, self.targets, self.task = planner, store, targets, task
        stored, plan = store.keys("predict"), planner.plan
        done = {cell for cell, predict in plan.predicts.items() if predict.stage.key in stored}
        self.open: dict[RowName, set[Cell]] = {}
        for cell in plan.cells:
            if cell not in done and cell not in plan.impossible:
                self.open.setdefault((cell.modality, cell.scenario), set()).add(cell)
        self.cells_of: dict[str, list[Cell]] = {}  # fit -> cells
        self.seen = self.known = 0

    def tell(self, display: Display, made: Sequence[Fit], state: Mapping[str, Any]) -> None:
        """Advance a display to `state`, and let it say what is finished."""
        display.advance(**state)
        for line in self.look(made):
            display.say(line)

    def look(self, made: Sequence[Fit]) -> list[str]:
        """Lines on the rows that the fits made since the last look have finished."""
        plan = self.planner.plan
        if self.known != len(plan.predicts):  # a search has ended
            self.cells_of = {}
            for cell, predict in plan.predicts.items():
                self.cells_of.setdefault(predict.fit.stage.key, []).append(cell)
            self.known = len(plan.predicts)
        told = []
        new, self.seen = made[self.seen :], len(made)
        for cell in (cell for fit in new for cell in self.cells_of.get(fit.stage.key, ())):
            row = cell.modality, cell.scenario
            waiting = self.open.get(row, set())
            if cell in waiting:
                waiting.discard(cell)
                if not waiting:
                    told.append(self._line(row))
        return told

    def _line(self, row: RowName) -> str:
        """Such as 'eda · all87: accuracy 83.2 % (mean of 10 cells)'."""
        main, scores = self.task.main, []
        for cell, predict in self.planner.plan.predicts.items():
            if (cell.modality, cell.scenario) == row and self.store.has(predict.stage):
                stored = self.store.arrays(predict.stage)[self.task.stored]
                p_NC = self.task.read(stored)
                truth_N = np.array([self.task.truth(self.targets[t]) for t in predict.test.trial_ids])
                y_N = np.repeat(truth_N, len(p_NC) // max(1, len(truth_N)))
                scores.append(self.task.score(y_N, p_NC)[main.name])
        mean = f"{rounded(main.scale * np.nanmean(scores), main.digits)} {main.unit}".strip() if scores else "no cell"
        return f"{row[0]} · {row[1]}: {main.title} {mean} (mean of {len(scores)} {'cell' if len(scores) == 1 else 'cells'})"
