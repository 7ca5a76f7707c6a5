"""The fits and searches of a row's parts, each made once.

Parts that several rows need are one stage with one key, so they are shared by construction: the CNN, LSTM and attention of a
fold serve `frame`, `video` and every row with `+video`; nine fits serve the eight rows of a fold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dataprep.records import DataSet
from grid.experiment.config import Experiment
from grid.plan.contexts import Context
from grid.plan.controls import PREFIX
from grid.plan.fold_sets import FoldSets
from grid.plan.nodes import Node
from grid.plan.specs import (
    FIT_VERSION,
    Fit,
    InnerFold,
    Inputs,
    PartSpec,
    Plan,
    Refit,
    Search,
    Unresolved,
)
from grid.search_algorithms import identity
from grid.store.identity import Params, Stage

SEARCH_VERSION = 2


class Fits:
    """Makes the fits of one plan. `winner(search stage)`: what a finished search chose, None while it has not ended."""

    def __init__(
        self,
        experiment: Experiment,
        dataset: DataSet,
        inputs: Inputs,
        winner: Callable[[Stage], dict[str, Any] | None],
        plan: Plan,
    ) -> None:
        self.experiment, self.dataset, self.inputs, self.winner, self.plan = experiment, dataset, inputs, winner, plan
        self.learns, self.sets = experiment.learns, FoldSets(inputs, experiment.learns)
        self._fits: dict[tuple[Node, str, int], Fit] = {}
        self._chosen: dict[tuple[Node, str], tuple[Any, str, str]] = {}
        self._shared_params: dict[tuple[Any, ...], Params] = {}
        self._inner_contexts: dict[str, list[tuple[Context, Context]]] = {}

    def register(self, fit: Fit) -> None:
        """Put a fit into the plan, after those it is fed by."""
        if fit.stage.key in self.plan.fits:
            return
        for needed in fit.fed_by:
            self.register(needed)
        self.plan.fits.setdefault(fit.stage.key, fit)

    def fit(self, node: Node, context: Context, chosen_in: Context) -> Fit:
        """A part on the training side of `context`, configured as chosen in the fold `chosen_in`."""
        ident = (node, context.tag, context.seed)
        if ident in self._fits:
            return self._fits[ident]
        upstream = self._upstream(node, context, chosen_in)
        train = self.sets.train(context, node.needs)
        settings, normalise, search = self._configuration(node, chosen_in)
        params = self._params(node, context.steps, settings, normalise, context.seed)
        refits = self.refits(node, context, chosen_in, node.refits, self._upstream)
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

    def _upstream(self, node: Node, context: Context, chosen_in: Context) -> tuple[Fit, ...]:
        """What a part is fed by. Every branch is visited before giving up, so that searches run side by side."""
        fits, unresolved = [], None
        for feeding in node.feeding:
            try:
                fits.append(self.fit(feeding, context, chosen_in))
            except Unresolved as error:
                unresolved = unresolved or error
        if unresolved:
            raise unresolved
        return tuple(fits)

    def refits(
        self, node: Node, context: Context, chosen_in: Context, folds: int, of: Callable[..., tuple[Fit, ...]]
    ) -> tuple[Refit, ...]:
        """The fits `of` a part, made again without each of `folds` parts of the training side, with the settings of the whole."""
        found = []
        for fold, held_out in context.refits(folds, self.experiment) if folds else ():
            try:
                side = self.sets.train(held_out, node.needs, fewest=1)
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
                        self.register(fit)
                raise Unresolved(search.stage.key)
            changed = {k: v for k, v in winner.items() if k != "normalise"}
            self.plan.decided[search.stage.key] = search
            self._chosen[ident] = (replace(settings, **changed), winner.get("normalise", normalise), search.stage.key)
        return self._chosen[ident]

    def _search(self, node: Node, context: Context) -> Search:
        options, space = self.experiment.search, self.experiment.space(node.method, node.part)
        inner = []
        for fold, validation in self._inner(context):
            upstream = self._upstream(node, fold, context)
            inner.append(InnerFold(self.sets.train(fold, node.needs), self.sets.train(validation, node.needs), upstream))
        params = {
            **self._params(node, context.steps, node.settings, node.normalise, self.experiment.fit.seeds[0]),
            "space": {k: v if isinstance(v, list) else v.model_dump() for k, v in space.items()},
            "options": options.identity(),
            **identity(options.algorithm),
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

    def _inner(self, context: Context) -> list[tuple[Context, Context]]:
        if context.tag not in self._inner_contexts:
            self._inner_contexts[context.tag] = context.inner(self.experiment)
        return self._inner_contexts[context.tag]

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
