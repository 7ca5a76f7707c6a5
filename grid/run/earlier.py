"""Results of earlier runs in the result folder: a run of a part of the grid adds to them and never replaces them.

A run that was not asked for everything that the tables hold covers the rest, too, when it writes them: the same experiment on the
same recordings has the rest in its store. Where it has not, because settings, recordings or the store are others, it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dataprep.records import InputError
from grid.experiment.cells import CELL, Cell
from grid.plan.inventory import Inventory
from grid.run.session import Session


@dataclass
class Earlier:
    """Cells in the tables of `out` beyond those selected now: status and reason, and the key of what predicted each."""

    out: Path
    states: dict[Cell, tuple[str, str]] = field(default_factory=dict)
    keys: dict[Cell, str] = field(default_factory=dict)

    @classmethod
    def beyond(cls, out: Path, selected: Iterable[Cell]) -> Earlier:
        """Read cells.json of `out`, if it is there. Raises InputError if it cannot be read."""
        file, asked, found = out / "cells.json", set(selected), cls(out)
        if not file.exists():
            return found
        try:
            for record in json.loads(file.read_text(encoding="utf-8")):
                cell = Cell(**{name: record[name] for name in CELL})
                if cell not in asked:
                    found.states[cell] = (record["status"], record["reason"])
                    found.keys[cell] = record["predict"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{file}: is no list of cells as this version writes it ({type(error).__name__}: {error}); "
                "expected another --out for this run"
            ) from None
        return found

    def _wanted(self, session: Session) -> tuple[list[str], list[str]]:
        """The rows and scenarios of both, in the experiment's order, then as they came."""
        axes, (rows, scenarios, _) = session.experiment.axes, session.wanted
        both = dict.fromkeys([*(c.modality for c in self.states), *rows])
        names = dict.fromkeys([*(c.scenario for c in self.states), *scenarios])
        return (
            [r for r in axes.modalities if r in both] + [r for r in both if r not in axes.modalities],
            [s for s in axes.scenarios if s in names] + [s for s in names if s not in axes.scenarios],
        )

    def joined(self, session: Session, survey_of: Callable[[list[str], list[str]], Inventory]) -> Session:
        """The session whose tables hold both; `session` itself where it covers everything that was there."""
        if not self.states:
            return session
        rows, scenarios = self._wanted(session)
        known = [s for s in scenarios if s in session.experiment.scenarios]
        whole = Session(session.experiment, survey_of(rows, known), self.out, rows=rows, scenarios=known)
        whole.planner.plan = whole.plan.only({*session.plan.cells, *self.states})
        whole.continues(session)
        whole.earlier = {
            cell: state for cell, state in self.states.items() if self._stored(whole, cell) or state[0] != "done"
        }
        return whole

    def check(self, whole: Session) -> None:
        """Raises InputError if tables of `whole` would lose a result that is in the folder."""
        lost = [c for c, state in self.states.items() if state[0] == "done" and not self._stored(whole, c)]
        if lost:
            some = ", ".join(f"{c.modality}/{c.scenario}/fold{c.fold}" for c in lost[:3])
            raise InputError(
                f"{self.out}: holds results of other settings, recordings or another store ({len(lost)} cells that were not "
                f"selected now: {some}{', …' if len(lost) > 3 else ''}), which would be lost from its tables; expected another "
                "--out, or a selection that computes them again (--all)"
            )

    def _stored(self, whole: Session, cell: Cell) -> bool:
        predict = whole.plan.predicts.get(cell)
        return predict is not None and predict.stage.key == self.keys[cell] and whole.store.has(predict.stage)
