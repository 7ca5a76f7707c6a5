"""The model card of a registered model: that of an export, with how the model was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grid.experiment.cells import CELL
from grid.results.cards import card_facts
from painmodels.use import card as cards

if TYPE_CHECKING:
    from grid.tracking.mirror import Mirror


def card(mirror: Mirror, cell: dict[str, Any], about: dict[str, Any]) -> str:
    """The card of the model of a cell, Markdown. `about` is its model.json."""
    row = {name: cell[name] for name in CELL[:3]}
    mine = [c for c in mirror.cells if all(c[name] == value for name, value in row.items())]
    facts = None
    if mirror.predictions is not None:
        of_row = [
            (table[list(row)].astype(str) == list(row.values())).all(axis=1) for table in (mirror.scores, mirror.predictions)
        ]
        part = mirror.predictions[of_row[1]]
        facts = (
            card_facts(mirror.run, mirror.task, mirror.scores[of_row[0]], part, mirror.known.mark(mine))
            if len(part)
            else None
        )
    rows = list(dict.fromkeys(c["modality"] for c in mirror.cells if c["scenario"] == cell["scenario"]))
    return cards.card(about, mirror.run, cell, facts, gives=mirror.task.gives, chosen=cards.chosen_among(rows))
