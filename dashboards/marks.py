"""The marks of rows, the same in every table and figure: † and ‡ (grid/results/learned.py), § and ¶ (selection.py)."""

from __future__ import annotations

from dashboards.results import Panel, Results
from grid.experiment.families import FRAME_MEAN
from grid.results import learned, selection

SHORT = {
    "†": "a fit behind the row did not learn in its epochs",
    "‡": "one collapsed in its last epoch",
    selection.MARK: "the people were selected by what the row sees",
    selection.SEES_MARK: "the row saw recordings of the tested side before it was judged",
}


def symbols(results: Results, panel: Panel, row: str) -> str:
    """The marks of a row of a panel, each once; empty where it has none."""
    fitted = "frame" if row == FRAME_MEAN else row
    text = results.marks.get((fitted, panel.scenario, panel.protocol), learned.Mark()).symbol
    text += selection.MARK if selection.selected_by(results.scenarios.get(panel.scenario, {}), row) else ""
    return text + (selection.SEES_MARK if selection.sees_test_side(results.run, row, panel.scenario) else "")


def every(results: Results) -> dict[tuple[str, str], str]:
    """(title of a panel, row) -> its marks, of all that have any."""
    found = {(panel.title, row): symbols(results, panel, row) for panel in results.panels for row in panel.rows}
    return {place: text for place, text in found.items() if text}


def key(results: Results) -> str:
    """What the marks in use mean, in a line."""
    used = "".join(every(results).values())
    told = [f"{symbol} {text}" for symbol, text in SHORT.items() if symbol in used]
    return f"{'; '.join(told)}." if told else ""


def named(results: Results, panel: Panel, row: str) -> str:
    """The row's name with its marks, for a figure."""
    return f"{row} {text}" if (text := symbols(results, panel, row)) else row
