"""From cells to stages: what has to be fitted and predicted, each once.

Sub-networks that several rows need are one stage with one key, so they are shared by construction: the CNN, LSTM and
attention of a fold serve `frame`, `video` and every row with `+video`; nine fits serve the eight rows of a fold.

Training stages are built from the training side of a fold alone. Test trials enter in `Predict`, without labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from itertools import product
from typing import Any

from dataprep.records import DataSet
from grid.experiment.cells import SIGNALS, Cell, Row, row
from grid.experiment.config import Experiment
from grid.experiment.scenarios import scenario_index, splits_of, window
from grid.plan.baseline_fits import baseline_fit
from grid.plan.contexts import Context
from grid.plan.specs import FIT_VERSION, Fit, InnerFold, Inputs, Plan, Predict, Search, TestSet, TrainSet, Unresolved
from grid.plan.train_test_sets import TrainTestSets
from grid.store.identity import Params, Stage
from painmodels import registry

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
        self.plan, self.sets = Plan(), TrainTestSets(inputs)
        self.networks = {role: experiment.network(role) for role in registry.ROLES}
        self._train_sets: dict[tuple[str, tuple[str, ...]], TrainSet] = {}
        self._chosen: dict[tuple[str, tuple[str, ...], str], tuple[Any, str, str]] = {}
        self._contexts: dict[Cell, Context] = {}
        self._fits: dict[tuple[str, tuple[str, ...], str, int], Fit] = {}
        self._test_sets: dict[tuple[str, tuple[str, ...]], TestSet] = {}
        self._shared_params: dict[tuple[Any, ...], Params] = {}
        self._predict_params: dict[str, Params] = {}
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
                splits = splits_of(self.experiment, self.dataset, index)
            except ValueError as error:
                protocol = self.experiment.protocol
                numbers = sorted(wanted) if wanted is not None else range(protocol.folds)
                for repeat, fold, seed in product(range(protocol.repeats), numbers, self.experiment.fit.seeds):
                    for r in asked:
                        self._refuse(Cell(r.name, name, protocol.name, fold, repeat, seed), str(error))
                continue
            for split in splits:
                if wanted is None or split.fold in wanted:
                    tag = f"{name}/{split.repeat}/{split.fold}"
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
        for signal in row.signals:
            if SIGNALS[signal] not in self.dataset.channels:
                return self._refuse(cell, f"the data set {self.dataset.name} has no {signal} signal")
        try:
            self._train_set(context, row.needs)
        except ValueError as error:
            return self._refuse(cell, str(error))
        if not self._test_set(context, row.needs).trial_ids:
            return self._refuse(cell, f"no held-out trial has usable {' and '.join(row.needs)}")
        self.plan.cells.append(cell)
        self._contexts[cell] = context
        return self._resolve(cell, row, context)

    def _resolve(self, cell: Cell, row: Row, context: Context) -> None:
        """Plan the fits of a cell and its prediction, as far as the searches that have ended allow."""
        role = (
            "spatial"
            if row.frame
            else "fusion"
            if row.clip and row.signals
            else "attention"
            if row.clip
            else "physiological"
        )
        try:
            if row.baseline:
                train = self._train_set(context, row.needs)
                fit = baseline_fit(self.experiment, self.dataset, cell, row, train=train, steps=context.steps)
            else:
                fit = self._fit(role, row.signals, context, context)
        except Unresolved as unresolved:
            self.plan.waiting[cell] = unresolved.key
            return
        self._register(fit)
        test = self._test_set(context, row.needs)
        params = self._predict_params.setdefault(row.name, Params({"modality": row.name}))
        stage = Stage("predict", PREDICT_VERSION, params, (fit.stage.key, test.key))
        self.plan.predicts[cell] = Predict(stage, fit, test, cell)

    def _register(self, fit: Fit) -> None:
        """Put a fit into the plan, after those it is fed by."""
        if fit.stage.key in self.plan.fits:
            return
        for upstream in fit.upstream:
            self._register(upstream)
        self.plan.fits.setdefault(fit.stage.key, fit)

    def _upstream(self, role: str, signals: tuple[str, ...], context: Context, chosen_in: Context) -> tuple[Fit, ...]:
        """What a sub-network is fed by. Every branch is visited before giving up, so that searches run side by side."""
        fits, unresolved = [], None
        feeding = UPSTREAM[role]
        if (
            role == "fusion" and self.networks["fusion"][0].sequences
        ):  # step by step: the attention's sum would hide the steps
            feeding = (("temporal", False), ("physiological", True))
        for upstream, its_signals in feeding:
            try:
                fits.append(self._fit(upstream, signals if its_signals else (), context, chosen_in))
            except Unresolved as error:
                unresolved = unresolved or error
        if unresolved:
            raise unresolved
        return tuple(fits)

    def _fit(self, role: str, signals: tuple[str, ...], context: Context, chosen_in: Context) -> Fit:
        """A sub-network on the training side of `context`, configured as chosen in the fold `chosen_in`."""
        ident = (role, signals, context.tag, context.seed)
        if ident in self._fits:
            return self._fits[ident]
        upstream = self._upstream(role, signals, context, chosen_in)
        train = self._train_set(context, _needs(role, signals))
        settings, normalise, search = self._configuration(role, signals, chosen_in)
        network = self.networks[role][0]
        params = self._params(role, signals, context.steps, settings, normalise, context.seed)
        stage = Stage(f"fit-{_name(role, signals)}", FIT_VERSION, params, (train.key, *(f.stage.key for f in upstream)))
        pretrained = role == "spatial" and not self.experiment.trunk.random
        channels, place = self._channels(role, signals), (context.scenario, context.split.fold)
        inputs = (upstream, channels, context.steps, normalise, train)
        seen_by = (stage, role, network.name, settings, *inputs, *place)
        fit = Fit(*seen_by, pretrained=pretrained, search=search, repeat=context.split.repeat, seed=context.seed)
        self._fits[ident] = fit
        return fit

    def _configuration(self, role: str, signals: tuple[str, ...], context: Context) -> tuple[Any, str, str]:
        """Settings and normalisation of a sub-network in a fold: the experiment's own, or chosen by the search of that key."""
        settings = self.networks[role][1]
        normalise = self.experiment.signals.normalise if role == "physiological" else ""
        if not self.experiment.space(role):
            return settings, normalise, ""
        if self.experiment.search.scope == "scenario":
            context = context.whole()
        ident = (role, signals, context.tag)
        if ident not in self._chosen:
            search = self._search(role, signals, context, settings, normalise)
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

    def _search(self, role: str, signals: tuple[str, ...], context: Context, settings: Any, normalise: str) -> Search:
        options, space = self.experiment.search, self.experiment.space(role)
        inner, needs = [], _needs(role, signals)
        for fold, validation in self._inner(context):
            upstream = self._upstream(role, signals, fold, context)
            inner.append(InnerFold(self._train_set(fold, needs), self._train_set(validation, needs), upstream))
        network = self.networks[role][0]
        params = {
            **self._params(role, signals, context.steps, settings, normalise, self.experiment.fit.seeds[0]),
            "space": {k: v if isinstance(v, list) else v.model_dump() for k, v in space.items()},
            "options": {k: getattr(options, k) for k in ("trials", "scope", "inner_folds", "metric", "halving", "prune")},
        }
        inputs = [k for i in inner for k in (i.train.key, i.validation.key, *(f.stage.key for f in i.upstream))]
        stage = Stage(f"search-{_name(role, signals)}", SEARCH_VERSION, params, tuple(inputs))
        channels, fold_number = self._channels(role, signals), context.split.fold
        common = (stage, role, network.name, settings, normalise, space, tuple(inner), channels, context.steps, options)
        return Search(*common, context.scenario, fold_number, context.split.repeat)

    def _params(self, *identity: Any) -> Params:
        """Of (role, signals, steps, settings, normalise, seed): what a fit, or a search, depends on beside its data."""
        if identity not in self._shared_params:
            role, signals, steps, settings, normalise, seed = identity
            network = self.networks[role][0]
            values = {
                "role": role,
                "network": network.name,
                "network_version": network.version,
                "settings": asdict(settings),
                "signals": list(signals),
                "steps": list(steps),
                "normalise": normalise,
                "seed": seed,
            }
            self._shared_params[identity] = Params(values)
        return self._shared_params[identity]

    def _channels(self, role: str, signals: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self.dataset.channels.index(SIGNALS[s]) for s in signals) if role == "physiological" else ()

    def _train_set(self, context: Context, needs: tuple[str, ...]) -> TrainSet:
        """The usable training trials, made once per fold and need. Raises ValueError if there cannot be a fit."""
        ident = (context.tag, needs)
        if ident not in self._train_sets:
            classes = self.networks["spatial"][1].classes
            self._train_sets[ident] = self.sets.train(context.split, needs, classes=classes)
        return self._train_sets[ident]

    def _test_set(self, context: Context, needs: tuple[str, ...]) -> TestSet:
        """The usable held-out trials, made once per fold and need."""
        ident = (context.tag, needs)
        if ident not in self._test_sets:
            self._test_sets[ident] = self.sets.test(context.split, needs)
        return self._test_sets[ident]


UPSTREAM: dict[str, tuple[tuple[str, bool], ...]] = {
    "spatial": (),
    "temporal": (("spatial", False),),
    "attention": (("temporal", False),),
    "physiological": (),
    "fusion": (("attention", False), ("physiological", True)),
}
"""Role -> the roles that feed it, and whether they see the row's signals."""


def _needs(role: str, signals: tuple[str, ...]) -> tuple[str, ...]:
    """What of a trial must be usable for a role: 'video', and signals by their words."""
    return {"physiological": signals, "fusion": ("video", *signals)}.get(role, ("video",))


def _name(role: str, signals: tuple[str, ...]) -> str:
    return role + (f"-{'+'.join(signals)}" if signals else "")
