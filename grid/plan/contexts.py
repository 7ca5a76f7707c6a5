"""The context of a fit: one fold of one scenario, the seed of its fits, and the inner folds of its training set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dataprep.records import SampleIndex
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
        everybody = FoldSplit(split.protocol, -1, ids, (), split.subject_of, one_sided=True)
        return replace(self, tag=self.scenario, split=everybody)

    def inner(self, experiment: Experiment) -> list[tuple[Context, Context]]:
        """Inner folds of the training side, each with its other half; the same whichever recordings a role needs.

        They are one partition, of the protocol's seed, whichever the outer one is, and fits in them start from the first seed:
        a search depends on its training side alone, and all fit seeds share it.
        """
        side, pairs = self.index.only(self.split.train), []
        for split in protocols()["subject"](side, folds=experiment.search.inner_folds, seed=experiment.protocol.seed):
            inner = replace(split, repeat=self.split.repeat) if self.split.repeat else split
            tag, seed = f"{self.tag}/inner{split.fold}", experiment.fit.seeds[0]
            fold = Context(tag, self.scenario, side, inner, self.steps, seed)
            back = replace(inner, train=split.test, test=split.train)
            pairs.append((fold, replace(fold, tag=f"{tag}/validation", split=back)))
        return pairs
