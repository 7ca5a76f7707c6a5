"""Rows of which a reader must know more than their numbers: those that see what the people of their scenario were chosen by (§),
and those that saw more of the tested side than the trial that they judged (¶)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataprep.records import InputError
from grid.experiment.cells import row
from grid.experiment.families import FRAME_MEAN

MARK, SEES_MARK = "§", "¶"
SEES = (
    "Before a trial was judged, the row had seen other recordings of the tested side, without their labels (scaling over several "
    "trials, or adaptation)."
)


def needs_of(name: str) -> tuple[str, ...]:
    """What a row needs of a trial, by its words; nothing of a row that this version does not know."""
    try:
        return row("frame" if name == FRAME_MEAN else name).needs
    except InputError:
        return ()


def selected_by(facts: Mapping[str, Any], name: str) -> str:
    """By what the people of a scenario were chosen, where the row sees that; else empty. `facts`: the scenario's in run.json."""
    return str(facts.get("selected") or "") if "video" in needs_of(name) else ""


def scenario_of(run: Mapping[str, Any], scenario: str) -> Mapping[str, Any]:
    """What run.json says of a scenario; nothing where it does not know it."""
    every = run.get("scenarios")
    found = every.get(scenario) if isinstance(every, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def sees_test_side(run: Mapping[str, Any], name: str, scenario: str) -> bool:
    """Whether a row of a scenario saw more of the tested side than the trial that it judged. `run`: run.json."""
    if scenario_of(run, scenario).get("adapt"):
        return True
    found = run.get("signals")
    signals: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    rows = signals.get("sees_test_side")
    if isinstance(rows, list):
        return f"{name} ({scenario})" in rows
    return signals.get("normalise") == "subject" and bool(set(needs_of(name)) - {"video"})  # older versions


def symbols(row: Mapping[Any, Any]) -> str:
    """The marks of a row of Table 2."""
    return str(row.get("mark", "")) + MARK * bool(row.get("selected_by")) + SEES_MARK * bool(row.get("sees_test_side"))


def sentence(scenario: str, by: str) -> str:
    """What it means for the numbers of such rows."""
    return (
        f"The people of {scenario} were selected by {by}. Rows that see the video are tested on those in whom the video "
        "shows something: their accuracy is too high for people who were not selected."
    )
