"""The training and test sets of a plan's folds, each made once per fold and recordings that a part needs."""

from __future__ import annotations

from grid.plan.contexts import Context
from grid.plan.specs import Inputs, TestSet, TrainSet
from grid.plan.train_test_sets import TrainTestSets
from painmodels.tasks import Task


class FoldSets:
    """Sets by fold (of a context) and needs (of a part). `learns` is the task that the labels are of."""

    def __init__(self, inputs: Inputs, learns: Task) -> None:
        self._sets, self._learns = TrainTestSets(inputs), learns
        self._train: dict[tuple[str, tuple[str, ...]], TrainSet] = {}
        self._test: dict[tuple[str, tuple[str, ...]], TestSet] = {}

    def train(self, context: Context, needs: tuple[str, ...], fewest: int | None = None) -> TrainSet:
        """The usable training trials. Raises ValueError if there cannot be a fit; `fewest`: see TrainTestSets.train."""
        ident = (context.tag, needs)
        if ident not in self._train:
            self._train[ident] = self._sets.train(context.split, needs, task=self._learns, fewest=fewest)
        return self._train[ident]

    def test(self, context: Context, needs: tuple[str, ...]) -> TestSet:
        """The usable held-out trials."""
        ident = (context.tag, needs)
        if ident not in self._test:
            self._test[ident] = self._sets.test(context.split, needs)
        return self._test[ident]
