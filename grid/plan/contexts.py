"""The context of a fit: one fold of one scenario, the seed of its fits, and the inner folds of its training set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dataprep.records import InputError, SampleIndex
from grid.experiment.config import Experiment
from grid.protocols import FoldSplit, protocols


@dataclass(frozen=True)
class Context:
    """One fold of one scenario, and the seed of its fits, while it is planned. Inner folds have contexts of their own.

    `tag` names the two sides: what depends on these alone is shared by the seeds.
    """

    tag: str
    scenario: str
    index: SampleIndex
    split: FoldSplit
    steps: tuple[int, int]
    seed: int

    def whole(self) -> Context:
        """All subjects of the scenario as one training side: what a search of scope `scenario` sees. There is no test side."""
        ids, split = self.index.trial_ids, self.split
        everybody = FoldSplit(
            protocol=split.protocol, fold=-1, train=ids, test=(), subject_of=split.subject_of, one_sided=True
        )
        return replace(self, tag=self.scenario, split=everybody)

    def inner(self, experiment: Experiment) -> list[tuple[Context, Context]]:
        """Inner folds of the training side for a search, each with its other half.

        Fits in them start from the first seed: a search depends on its training side alone, and all fit seeds share it.
        """
        return self._halves("inner", experiment.search.inner_folds, experiment.protocol.seed, experiment.fit.seeds[0])

    def refits(self, folds: int, experiment: Experiment) -> list[tuple[Context, Context]]:
        """The same for out-of-fold outputs; fits start from the seed of the fit that they are for."""
        return self._halves("refit", folds, experiment.protocol.seed, self.seed)

    def _halves(self, what: str, folds: int, partition: int, seed: int) -> list[tuple[Context, Context]]:
        """Folds of the training side by subject, the same whichever recordings a role needs.

        They are one partition, of the protocol's seed, whichever the outer one is.
        """
        side, pairs = self.index.only(self.split.train), []
        people = len(set(side.subjects))
        if folds > people:
            key = "[search] inner_folds" if what == "inner" else "inner_folds of [fusion] or calibration_folds of [fit]"
            raise InputError(
                f"{folds} inner folds asked for, but {people} people train in {self.split.protocol} fold {self.split.fold} of "
                f"{self.scenario}: lower {key} in the experiment's TOML, or train on more people by other outer folds"
            )
        for split in protocols()["subject"](side, folds=folds, seed=partition):
            inner = replace(split, repeat=self.split.repeat) if self.split.repeat else split
            tag = f"{self.tag}/{what}{split.fold}of{folds}" if what == "refit" else f"{self.tag}/{what}{split.fold}"
            fold = Context(tag=tag, scenario=self.scenario, index=side, split=inner, steps=self.steps, seed=seed)
            back = replace(inner, train=split.test, test=split.train)
            pairs.append((fold, replace(fold, tag=f"{tag}/validation", split=back)))
        return pairs
