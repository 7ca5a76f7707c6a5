"""From cells to stages: what has to be fitted and predicted, each once.

A row's method is a graph of parts (painmodels/methods/graph.py). Parts that several rows need are one stage with one key, so they
are shared by construction: the CNN, LSTM and attention of a fold serve `frame`, `video` and every row with `+video`; nine
fits serve the eight rows of a fold.

Training stages are built from the training side of a fold alone. Test trials enter in `Predict`, without labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
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
from grid.plan.controls import PREFIX
from grid.plan.nodes import Node, graph
from grid.plan.refusals import refusal
from grid.plan.specs import (
    FIT_VERSION,
    Fit,
    InnerFold,
    Inputs,
    PartSpec,
    Plan,
    Predict,
    Refit,
    Search,
    TestSet,
    TrainSet,
    Unresolved,
)
from grid.plan.train_test_sets import TrainTestSets
from grid.store.identity import Params, Stage
from painmodels.methods.adaptation import VERSION as ADAPT_VERSION

PREDICT_VERSION = 1
SEARCH_VERSION = 2


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
        self.experiment, self.dataset, self.inputs, self.winner = experiment, dataset, inputs, winner
        self.plan, self.sets, self.learns = Plan(), TrainTestSets(inputs), experiment.learns
        self._graphs: dict[str, tuple[Node, ...]] = {}
        self._train_sets: dict[tuple[str, tuple[str, ...]], TrainSet] = {}
        self._chosen: dict[tuple[Node, str], tuple[Any, str, str]] = {}
        self._contexts: dict[Cell, Context] = {}
        self._fits: dict[tuple[Node, str, int], Fit] = {}
        self._test_sets: dict[tuple[str, tuple[str, ...]], TestSet] = {}
        self._shared_params: dict[tuple[Any, ...], Params] = {}
        self._predict_params: dict[tuple[str, str], Params] = {}
        self._inner_contexts: dict[str, list[tuple[Context, Context]]] = {}

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
                    for r in asked:
                        self._refuse(Cell(r.name, name, protocol.name, fold, repeat, seed), str(error))
                continue
            for split in splits:
                if wanted is None or split.fold in wanted:
                    tag = f"{name}/{split.protocol}/{split.repeat}/{split.fold}"
                    for seed in self.experiment.fit.seeds:
                        context = Context(tag, name, index, split, steps, seed)
                        for r in asked:
                            self._cell(Cell(r.name, name, split.protocol, split.fold, split.repeat, seed), r, context)
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
            self._train_set(context, needs)
        except ValueError as error:
            return self._refuse(cell, str(error))
        if not self._test_set(context, needs).trial_ids:
            return self._refuse(cell, f"no held-out trial has usable {' and '.join(in_words(needs))}")
        self.plan.cells.append(cell)
        self._contexts[cell] = context
        return self._resolve(cell, row, context)

    def _resolve(self, cell: Cell, row: Row, context: Context) -> None:
        """Plan the fits of a cell and its prediction, as far as the searches that have ended allow."""
        fit_node = self._nodes(row)[-1]
        try:
            fit = self._fit(fit_node, context, context)
            if how := self.experiment.calibrates(row.method):
                folds = self.experiment.fit.calibration_folds
                inner = self._refits(fit_node, context, context, folds, lambda *of: (self._fit(*of),))
                fit = calibration(fit, fit_node, inner, how=how, folds=folds)
        except Unresolved as unresolved:
            self.plan.waiting[cell] = unresolved.key
            return
        except ValueError as error:
            if not (fit_node.refits or self.experiment.calibrates(row.method)):
                raise
            self.plan.impossible[cell] = f"{'out-of-fold features' if fit_node.refits else 'calibrate'}: {error}"
            return
        self._register(fit)
        test = self._test_set(context, fit_node.needs)
        adapt = self.experiment.scenario(context.scenario).adapt
        told = {"modality": row.name} | ({"adapt": adapt, "adapt_version": ADAPT_VERSION} if adapt else {})
        params = self._predict_params.setdefault((row.name, adapt), Params(told))
        stage = Stage("predict", PREDICT_VERSION, params, (fit.stage.key, test.key))
        self.plan.predicts[cell] = Predict(stage, fit, test, cell, self.learns.stored, adapt)

    def _nodes(self, row: Row) -> tuple[Node, ...]:
        """The parts of a row's method on what the row sees; the last one gives the predictions."""
        if row.name not in self._graphs:
            self._graphs[row.name] = graph(self.experiment, row)
        return self._graphs[row.name]

    def _register(self, fit: Fit) -> None:
        """Put a fit into the plan, after those it is fed by."""
        if fit.stage.key in self.plan.fits:
            return
        for needed in fit.fed_by:
            self._register(needed)
        self.plan.fits.setdefault(fit.stage.key, fit)

    def _upstream(self, node: Node, context: Context, chosen_in: Context) -> tuple[Fit, ...]:
        """What a part is fed by. Every branch is visited before giving up, so that searches run side by side."""
        fits, unresolved = [], None
        for feeding in node.feeding:
            try:
                fits.append(self._fit(feeding, context, chosen_in))
            except Unresolved as error:
                unresolved = unresolved or error
        if unresolved:
            raise unresolved
        return tuple(fits)

    def _fit(self, node: Node, context: Context, chosen_in: Context) -> Fit:
        """A part on the training side of `context`, configured as chosen in the fold `chosen_in`."""
        ident = (node, context.tag, context.seed)
        if ident in self._fits:
            return self._fits[ident]
        upstream = self._upstream(node, context, chosen_in)
        train = self._train_set(context, node.needs)
        settings, normalise, search = self._configuration(node, chosen_in)
        params = self._params(node, context.steps, settings, normalise, context.seed)
        refits = self._refits(node, context, chosen_in, node.refits, self._upstream)
        held_out = [key for r in refits for key in (r.held_out.key, *(f.stage.key for f in r.upstream))]
        fit = Fit(
            stage=Stage(f"fit-{node.label}", FIT_VERSION, params, (train.key, *(f.stage.key for f in upstream), *held_out)),
            part=self._spec(node, context),
            settings=settings,
            upstream=upstream,
            normalise=normalise,
            train=train,
            scenario=context.scenario,
            fold=context.split.fold,
            refits=refits,
            pretrained=node.part.pretrained and not self.experiment.trunk.random,
            search=search,
            repeat=context.split.repeat,
            seed=context.seed,
        )
        self._fits[ident] = fit
        return fit

    def _refits(
        self, node: Node, context: Context, chosen_in: Context, folds: int, of: Callable[..., tuple[Fit, ...]]
    ) -> tuple[Refit, ...]:
        """The fits `of` a part, made again without each of `folds` parts of the training side, with the settings of the whole."""
        found = []
        for fold, held_out in context.refits(folds, self.experiment) if folds else ():
            try:
                side = self._train_set(held_out, node.needs, fewest=1)
            except ValueError:
                continue  # none of these people has all recordings
            found.append(Refit(side, of(node, fold, chosen_in)))
        return tuple(found)

    def _configuration(self, node: Node, context: Context) -> tuple[Any, str, str]:
        """Settings and normalisation of a part in a fold: the experiment's own, or chosen by the search of that key."""
        settings, normalise = node.settings, node.normalise
        if not self.experiment.space(node.method, node.part):
            return settings, normalise, ""
        if self.experiment.search.scope == "scenario":
            context = context.whole()
        ident = (node, context.tag)
        if ident not in self._chosen:
            search = self._search(node, context)
            winner = self.winner(search.stage)
            if winner is None:
                self.plan.searches[search.stage.key] = search
                for inner in search.inner:
                    for fit in inner.upstream:
                        self._register(fit)
                raise Unresolved(search.stage.key)
            changed = {k: v for k, v in winner.items() if k != "normalise"}
            self.plan.decided[search.stage.key] = search
            self._chosen[ident] = (replace(settings, **changed), winner.get("normalise", normalise), search.stage.key)
        return self._chosen[ident]

    def _inner(self, context: Context) -> list[tuple[Context, Context]]:
        if context.tag not in self._inner_contexts:
            self._inner_contexts[context.tag] = context.inner(self.experiment)
        return self._inner_contexts[context.tag]

    def _search(self, node: Node, context: Context) -> Search:
        options, space = self.experiment.search, self.experiment.space(node.method, node.part)
        inner = []
        for fold, validation in self._inner(context):
            upstream = self._upstream(node, fold, context)
            inner.append(InnerFold(self._train_set(fold, node.needs), self._train_set(validation, node.needs), upstream))
        params = {
            **self._params(node, context.steps, node.settings, node.normalise, self.experiment.fit.seeds[0]),
            "space": {k: v if isinstance(v, list) else v.model_dump() for k, v in space.items()},
            "options": {k: getattr(options, k) for k in ("trials", "scope", "inner_folds", "metric", "halving", "prune")},
        }
        inputs = [k for i in inner for k in (i.train.key, i.validation.key, *(f.stage.key for f in i.upstream))]
        return Search(
            stage=Stage(f"search-{node.label}", SEARCH_VERSION, params, tuple(inputs)),
            part=self._spec(node, context),
            settings=node.settings,
            normalise=node.normalise,
            space=space,
            inner=tuple(inner),
            options=options,
            learns=self.learns,
            scenario=context.scenario,
            fold=context.split.fold,
            repeat=context.split.repeat,
        )

    def _spec(self, node: Node, context: Context) -> PartSpec:
        spec = node.spec(self.dataset, context.steps)
        columns = [name for name in node.needs if name.startswith(PREFIX)]
        return replace(spec, controls=self.inputs.keys[columns[0]]) if columns else spec

    def _params(self, node: Node, *identity: Any) -> Params:
        """Of (steps, settings, normalise, seed): what a fit, or a search, depends on beside its data."""
        ident = (node, *identity)
        if ident not in self._shared_params:
            steps, settings, normalise, seed = identity
            self._shared_params[ident] = Params(node.params(self.dataset, steps, settings, normalise, seed))
        return self._shared_params[ident]

    def _train_set(self, context: Context, needs: tuple[str, ...], fewest: int | None = None) -> TrainSet:
        """The usable training trials, made once per fold and need. Raises ValueError if there cannot be a fit."""
        ident = (context.tag, needs)
        if ident not in self._train_sets:
            self._train_sets[ident] = self.sets.train(context.split, needs, task=self.learns, fewest=fewest)
        return self._train_sets[ident]

    def _test_set(self, context: Context, needs: tuple[str, ...]) -> TestSet:
        """The usable held-out trials, made once per fold and need."""
        ident = (context.tag, needs)
        if ident not in self._test_sets:
            self._test_sets[ident] = self.sets.test(context.split, needs)
        return self._test_sets[ident]
