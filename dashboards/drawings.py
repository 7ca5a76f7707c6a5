"""The figures of a report as parts of the page: each an SVG, and the numbers it draws as a CSV that can be saved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from dashboards import compare, figures, marks
from dashboards.results import Panel, Results
from grid.results.selection import symbols
from grid.results.stats import intervals
from grid.results.tables import in_order

Drawing = dict[str, Any]
"""`svg` (an element), `csv` (an address that holds the table), `name` (of the files)."""


_MARK: ContextVar[str] = ContextVar("mark", default="")


@contextmanager
def marking(mark: str) -> Iterator[None]:
    """Everything that is drawn inside carries this mark, in the picture and in its numbers; nothing where it is empty."""
    token = _MARK.set(mark)
    try:
        yield
    finally:
        _MARK.reset(token)


def drawing(fig: Any, name: str, *, label: str, numbers: pd.DataFrame) -> Drawing:
    """A figure as the template needs it. `label` says to those who cannot see it what it shows."""
    if mark := _MARK.get():
        fig, numbers = figures.marked(fig, mark), numbers.assign(data=mark)
    csv = "data:text/csv;charset=utf-8," + quote(numbers.to_csv(index=False, float_format="%.6g"))
    return {"svg": Markup(figures.to_svg(fig, name, label=label)), "csv": csv, "name": name}


def figure3(results: Results, table: pd.DataFrame) -> Any:
    """Figure 3 of these results."""
    series = [(panel.scenario, panel.protocol, panel.title) for panel in results.panels]
    return figures.means_figure(
        table, series, [chance for panel in results.panels for chance in panel.chances], results.task.main
    )


def main(results: Results, table: pd.DataFrame) -> Drawing:
    """Figure 3 and its numbers."""
    metric = results.task.main
    columns = ["modality", "scenario", "protocol", *(f"{metric.name}_{what}" for what in ("mean", "low", "high"))]
    columns += ["paper_accuracy"] if "paper_accuracy" in table else []
    label = f"{metric.title.capitalize()} of every row with its interval; the numbers are those of Table 2"
    numbers = table[columns].assign(marks=[symbols(row) for row in table.to_dict("records")])
    return drawing(figure3(results, table), "figure3", label=label, numbers=numbers)


def roc(results: Results) -> list[tuple[str, Drawing]]:
    """ROC of each row."""

    def one(row: str, series: dict[str, pd.DataFrame], sure: dict[str, Any], told: Any) -> tuple[Any, pd.DataFrame]:
        bands = {title: band for title, part in series.items() if (band := figures.roc_band(part, results.task)) is not None}
        tables = [
            pd.DataFrame({"series": title, "false_alarms": figures.FPR, "hits": hits, "hits_sd": sd})
            for title, (hits, sd) in bands.items()
        ]
        return figures.roc_figure(row, list(series), bands, sure, told), _joined(tables)

    return _of_rows(results, "roc", "auroc", one)


def calibration(results: Results) -> list[tuple[str, Drawing]]:
    """Calibration of each row."""

    def one(row: str, series: dict[str, pd.DataFrame], sure: dict[str, Any], told: Any) -> tuple[Any, pd.DataFrame]:
        tables = [
            figures.calibration(part, results.task).reset_index().assign(series=title)
            for title, part in series.items()
            if len(part)
        ]
        return figures.calibration_figure(row, series, sure, told, results.task), _joined(tables)

    return _of_rows(results, "calibration", "ece", one)


def _of_rows(results: Results, name: str, metric: str, draw: Callable[..., Any]) -> list[tuple[str, Drawing]]:
    """One small figure a modality row, each with every panel that has the row (an empty series keeps the colours aligned)."""
    rows = in_order([row for panel in results.panels for row in panel.rows], ())
    found = []
    for i, row in enumerate(rows):
        series = {panel.title: panel.of_row(row) for panel in results.panels}
        sure = {
            panel.title: intervals(panel.of_row(row), (metric,), people=results.people(panel), task=panel.task)[metric]
            for panel in results.panels
            if row in panel.rows
        }
        told = {panel.title: marks.symbols(results, panel, row) for panel in results.panels}
        fig, numbers = draw(row, series, sure, told)
        numbers = numbers.assign(marks=numbers["series"].map(told)) if len(numbers) else numbers
        label = f"{name.upper() if name == 'roc' else name.capitalize()} of {row}{_told(told)}"
        found.append((row, drawing(fig, f"{name}-{i}-{slug(row)}", label=label, numbers=numbers)))
    return found


def _told(told: dict[str, str]) -> str:
    """The marks of a row by series, for those who cannot see the figure."""
    found = [f"{title}: {text}" for title, text in told.items() if text]
    return f" (marks: {', '.join(found)})" if found else ""


def subjects(results: Results, panel: Panel) -> Drawing:
    """The main metric of each subject in each row."""
    by_subject = panel.by_subject.rename(columns=lambda row: marks.named(results, panel, str(row)))
    numbers = by_subject.rename_axis("subject").reset_index()
    label = (
        f"{panel.task.main.title.capitalize()} of each subject in each row, {panel.title}; the numbers are in the list below"
    )
    return drawing(
        figures.subject_figure(by_subject, panel.task.main),
        f"subjects-{slug(panel.title)}",
        label=label,
        numbers=numbers,
    )


def curves(results: Results) -> list[Drawing]:
    """Training curves of each stage."""
    found = []
    for i, (stage, part) in enumerate(results.curves.groupby("stage", sort=False, observed=True)):
        series = {panel.title: part[part["scenario"] == panel.scenario] for panel in results.panels}
        fig = figures.curves_figure(str(stage), series)
        found.append(drawing(fig, f"curves-{i}", label=f"Training accuracy of {stage} by epoch", numbers=part))
    return found


def attention(results: Results) -> list[Drawing]:
    """Attention over time of each panel."""
    found = []
    for i, (title, courses) in enumerate(compare.attention_series(results).items()):
        numbers = _joined([course.assign(series=name) for name, course in courses.items()])
        fig = figures.attention_figure(title, courses)
        found.append(drawing(fig, f"attention-{i}", label=f"Attention over a trial, {title}", numbers=numbers))
    return found


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def slug(text: str) -> str:
    """A name as part of an identifier or file name."""
    return re.sub(r"\W+", "-", text, flags=re.ASCII).strip("-").lower() or "panel"
