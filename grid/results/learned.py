"""Whether the sub-networks behind a cell learned, and how a row is marked where one did not.

A row of a scenario is marked if any of its fits, or of those that feed it, never became better than a constant guess (†) or
lost what it had learned by its last epoch (‡); `painmodels.training.learning`. The number in a marked row is what the last epoch
happened to be: it is shown, no comparison is claimed with it, and no model of it is registered. What is not trained in epochs
has no verdict; fits stored before verdicts were recorded are counted as `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from grid.experiment.cells import CELL
from painmodels.training.learning import COLLAPSED, NOT_LEARNED

UNKNOWN = "unknown"
SYMBOLS = {NOT_LEARNED: "†", COLLAPSED: "‡"}
KEY = (
    "† a fit of the row, or of what feeds it, did not learn in its epochs: the training loss stayed above 95 % of that of a "
    "constant guess; ‡ one collapsed: more than a quarter of its gain on a constant guess was lost in the last epoch"
)
WHY_ECG = (
    "At the grid's 25 steps a second a heartbeat's R wave is one or two samples: the ECG's LSTM may be unable to find the "
    "heart rate. Rows with hr in place of ecg, such as eda+hr, are given it."
)
RECORD = ("epochs", "constant_loss", "lowest_loss", "last_loss", "largest_gradient_norm", "train_loss", "train_accuracy")
COLUMNS = [*CELL, "stage", "key", "verdict", *RECORD]


@dataclass(frozen=True)
class Mark:
    """Counts of the fits behind a row or a cell, each once: in all that have epochs, and of those that deserve a word.

    `stages`: of these last ones; `epochs`: how many they were trained, where that is recorded.
    """

    fits: int = 0
    not_learned: int = 0
    collapsed: int = 0
    unknown: int = 0
    stages: tuple[str, ...] = ()
    epochs: tuple[int, ...] = ()

    @property
    def marked(self) -> bool:
        return bool(self.not_learned or self.collapsed)

    @property
    def symbol(self) -> str:
        """†, ‡, both or neither."""
        return SYMBOLS[NOT_LEARNED] * bool(self.not_learned) + SYMBOLS[COLLAPSED] * bool(self.collapsed)

    @property
    def learned(self) -> str:
        """'true', 'false', or empty where nothing is known or nothing is trained in epochs."""
        return "false" if self.marked else "true" if self.fits and not self.unknown else ""

    @property
    def text(self) -> str:
        """In words, such as '3 of 40 fits did not learn (physiological-ecg, in 180 epochs)'."""
        return f"{self.counts} ({', '.join(self.stages)}{self.in_epochs})" if self.counts else ""

    @property
    def counts(self) -> str:
        """The same without the stages: '3 of 40 fits did not learn'."""
        told = [(self.not_learned, "did not learn"), (self.collapsed, "collapsed")]
        return ", ".join(f"{n} of {self.fits} fits {what}" for n, what in told if n)

    @property
    def in_epochs(self) -> str:
        """', in 180 epochs', or nothing where that is not recorded."""
        return f", in {' or '.join(map(str, self.epochs))} epochs" if self.epochs else ""


def marks(table: pd.DataFrame, by: Iterable[str] = ("modality", "scenario", "protocol")) -> dict[tuple[Any, ...], Mark]:
    """The mark of every group of a learning table; a fit that serves several cells of a group counts once."""
    names = list(by)
    found = {}
    for group, part in table.groupby(names, observed=True, sort=False):
        every = part.drop_duplicates("key")
        count = {verdict: int((every["verdict"] == verdict).sum()) for verdict in (NOT_LEARNED, COLLAPSED, UNKNOWN)}
        bad = every[every["verdict"].isin(list(SYMBOLS))]
        stages = tuple(dict.fromkeys(bad["stage"].astype(str)))
        found[tuple(group)] = Mark(
            fits=len(every),
            not_learned=count[NOT_LEARNED],
            collapsed=count[COLLAPSED],
            unknown=count[UNKNOWN],
            stages=stages,
            epochs=tuple(sorted({int(n) for n in pd.to_numeric(bad["epochs"]).dropna()})) if "epochs" in bad else (),
        )
    return found


def by_verdict(verdicts: Iterable[tuple[str, str]], epochs: Mapping[str, int] | None = None) -> Mark:
    """The mark of fits given as (stage, verdict), an empty verdict being of a fit that has none. `epochs`: by stage."""
    known = [(stage, verdict) for stage, verdict in verdicts if verdict]
    counts = {v: sum(verdict == v for _, verdict in known) for v in (NOT_LEARNED, COLLAPSED, UNKNOWN)}
    stages = tuple(dict.fromkeys(stage for stage, verdict in known if verdict in SYMBOLS))
    return Mark(
        fits=len(known),
        not_learned=counts[NOT_LEARNED],
        collapsed=counts[COLLAPSED],
        unknown=counts[UNKNOWN],
        stages=stages,
        epochs=tuple(sorted({epochs[stage] for stage in stages if epochs and stage in epochs})),
    )


def sentences(found: Mapping[tuple[Any, ...], Mark]) -> list[str]:
    """A line per marked row that explains the mark."""
    return [f"{' · '.join(map(str, group[:2]))} {mark.symbol}: {mark.text}" for group, mark in found.items() if mark.marked]


def why(found: Mapping[tuple[Any, ...], Mark]) -> list[str]:
    """Likely reasons, where one is known."""
    return [WHY_ECG] if any("physiological-ecg" in mark.stages for mark in found.values()) else []
