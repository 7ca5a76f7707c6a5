"""From cells to stages: what has to be fitted and predicted, each once.

A row's method is a graph of parts (painmodels/methods/graph.py); the fits of a row's parts come from `grid.plan.fits`.
Training stages are built from the training side of a fold alone. Test trials enter in `Predict`, without labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from dataprep.recordings import in_words
from dataprep.records import DataSet
from grid.experiment.cells import Cell, Row, row
from grid.experiment.config import Experiment
from grid.experiment.partitions import splits_of
from grid.experiment.scenarios import scenario_index, window
from grid.plan.calibration import calibration
from grid.plan.contexts import Context
from grid.plan.fits import Fits
from grid.plan.nodes import Node, graph
from grid.plan.refusals import refusal
from grid.plan.specs import (
    Inputs,
    Plan,
    Predict,
    Unresolved,
)
from grid.store.identity import Params, Stage
from painmodels.methods.adaptation import VERSION as ADAPT_VERSION

PREDICT_VERSION = 1


class Planner:
    """Builds the plan of one experiment on one prepared data set.

    `winner(search stage)` gives the parameters that a finished search chose, None while it has not ended.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: DataSet,
        inputs: Inputs,
        winner: Callable[[Stage], dict[str, Any] | None] = lambda stage: None,
    ) -> None:
        self.experiment, self.dataset, self.inputs = experiment, dataset, inputs
        self.plan, self.learns = Plan(), experiment.learns
        self.fits = Fits(experiment, dataset, inputs, winner, self.plan)
        self._graphs: dict[str, tuple[Node, ...]] = {}
        self._contexts: dict[Cell, Context] = {}
        self._predict_params: dict[tuple[str, str], Params] = {}

    def build(self, rows: Iterable[str], scenarios: Iterable[str], folds: Iterable[int] | None = None) -> Plan:
        """The plan of rows x scenarios x folds (None: every fold of the protocol), each on every partition, from every seed."""
        wanted = None if folds is None else set(folds)
        asked = [row(name) for name in rows]
        for name in scenarios:
            scenario = self.experiment.scenario(name)
            try:
                index = scenario_index(self.dataset, self.inputs.index, scenario)
                steps = window(self.dataset, scenario)
                splits = splits_of(self.experiment, self.dataset, self.inputs.index, scenario)
            except ValueError as error:
                protocol = self.experiment.protocol
                numbers = sorted(wanted) if wanted is not None else range(protocol.folds)
                for repeat, fold, seed in product(range(protocol.repeats), numbers, self.experiment.fit.seeds):
                    at: dict[str, Any] = {"protocol": protocol.name, "fold": fold, "repeat": repeat, "seed": seed}
                    for r in asked:
                        self._refuse(Cell(modality=r.name, scenario=name, **at), str(error))
                continue
            for split in splits:
                if wanted is None or split.fold in wanted:
                    tag = f"{name}/{split.protocol}/{split.repeat}/{split.fold}"
                    for seed in self.experiment.fit.seeds:
                        context = Context(tag=tag, scenario=name, index=index, split=split, steps=steps, seed=seed)
                        at = {"protocol": split.protocol, "fold": split.fold, "repeat": split.repeat, "seed": seed}
                        for r in asked:
                            self._cell(Cell(modality=r.name, scenario=name, **at), r, context)
        return self.plan

    def resume(self, search_key: str) -> None:
        """Complete the cells that waited for a search which has ended; some may then wait for the next."""
        for cell in [c for c, key in self.plan.waiting.items() if key == search_key]:
            del self.plan.waiting[cell]
            self._resolve(cell, row(cell.modality), self._contexts[cell])

    def _refuse(self, cell: Cell, reason: str) -> None:
        self.plan.cells.append(cell)
        self.plan.impossible[cell] = reason

    def _cell(self, cell: Cell, row: Row, context: Context) -> None:
        known, nodes = self.inputs.keys, self._nodes(row)
        steps, adapt = context.steps, self.experiment.scenario(context.scenario).adapt
        reason = refusal(row, nodes, dataset=self.dataset, known=known, learns=self.learns, steps=steps, adapt=adapt)
        if reason:
            return self._refuse(cell, reason)
        needs = nodes[-1].needs
        try:
            self.fits.sets.train(context, needs)
        except ValueError as error:
            return self._refuse(cell, str(error))
        if not self.fits.sets.test(context, needs).trial_ids:
            return self._refuse(cell, f"no held-out trial has usable {' and '.join(in_words(needs))}")
        self.plan.cells.append(cell)
        self._contexts[cell] = context
        return self._resolve(cell, row, context)

    def _resolve(self, cell: Cell, row: Row, context: Context) -> None:
        """Plan the fits of a cell and its prediction, as far as the searches that have ended allow."""
        fit_node = self._nodes(row)[-1]
        try:
            fit = self.fits.fit(fit_node, context, context)
            if how := self.experiment.calibrates(row.method):
                folds = self.experiment.fit.calibration_folds
                inner = self.fits.refits(fit_node, context, context, folds, lambda *of: (self.fits.fit(*of),))
                fit = calibration(fit, fit_node, inner, how=how, folds=folds)
        except Unresolved as unresolved:
            self.plan.waiting[cell] = unresolved.key
            return
        except ValueError as error:
            if not (fit_node.refits or self.experiment.calibrates(row.method)):
                raise
            self.plan.impossible[cell] = f"{'out-of-fold features' if fit_node.refits else 'calibrate'}: {error}"
            return
        self.fits.register(fit)
        test = self.fits.sets.test(context, fit_node.needs)
        adapt = self.experiment.scenario(context.scenario).adapt
        told = {"modality": row.name} | ({"adapt": adapt, "adapt_version": ADAPT_VERSION} if adapt else {})
        params = self._predict_params.setdefault((row.name, adapt), Params(told))
        stage = Stage("predict", PREDICT_VERSION, params, (fit.stage.key, test.key))
        self.plan.predicts[cell] = Predict(
            stage=stage, fit=fit, test=test, cell=cell, stored=self.learns.stored, adapt=adapt
        )

    def _nodes(self, row: Row) -> tuple[Node, ...]:
        """The parts of a row's method on what the row sees; the last one gives the predictions."""
        if row.name not in self._graphs:
            self._graphs[row.name] = graph(self.experiment, row)
        return self._graphs[row.name]
