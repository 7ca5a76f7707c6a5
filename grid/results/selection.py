"""Rows of which a reader must know by what the people of their scenario were chosen: those that see what they were chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataprep.records import InputError
from grid.experiment.cells import row
from grid.experiment.families import FRAME_MEAN

MARK = "§"


def needs_of(name: str) -> tuple[str, ...]:
    """What a row needs of a trial, by its words; nothing of a row that this version does not know."""
    try:
        return row("frame" if name == FRAME_MEAN else name).needs
    except InputError:
        return ()


def selected_by(facts: Mapping[str, Any], name: str) -> str:
    """By what the people of a scenario were chosen, where the row sees that; else empty. `facts`: the scenario's in run.json."""
    return str(facts.get("selected") or "") if "video" in needs_of(name) else ""


def sentence(scenario: str, by: str) -> str:
    """What it means for the numbers of such rows."""
    return (
        f"The people of {scenario} were selected by {by}. Rows that see the video are tested on those in whom the video "
        "shows something: their accuracy is too high for people who were not selected."
    )
