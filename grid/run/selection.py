"""The rows that a command line asks for."""

from __future__ import annotations

from dataprep.records import InputError
from grid.experiment import cells
from grid.experiment.config import Experiment
from painmodels.methods import default_rows, method, methods


def selected_rows(
    experiment: Experiment,
    *,
    named: str | None,
    whole: bool,
    baselines: bool,
    no_baselines: bool,
    of_methods: str | None = None,
) -> tuple[str, ...]:
    """The rows named by --modalities, or the experiment's with those beside them; with `baselines` all of these, too.

    `of_methods`: `all`, or names of methods, whose rows are added. `whole`: everything is asked for; without it and without
    names, `baselines` and `of_methods` ask for their rows alone. Raises InputError for an unknown row or method, and where there
    is none.
    """
    rows: tuple[str, ...] = experiment.axes.modalities
    if named:
        rows = tuple(dict.fromkeys(cells.row(name.strip()).name for name in named.split(",") if name.strip()))
    elif (baselines or of_methods) and not whole:
        rows = ()
    elif not no_baselines:
        rows = (*rows, *experiment.axes.derived, *experiment.axes.baselines)
    added = [*(default_rows() if baselines else ()), *rows_of(of_methods or "")]
    if not rows and not added:
        raise InputError(f"--modalities {named!r}: names no row; expected some such as eda,video")
    return tuple(dict.fromkeys([*rows, *added]))


def rows_of(asked: str) -> tuple[str, ...]:
    """The rows of the methods of that list, `all` for every one: those that --baselines adds, and those of the publications."""
    names = list(methods()) if asked.strip() == "all" else [name.strip() for name in asked.split(",") if name.strip()]
    return tuple(row for name in names for row in (*method(name).rows, *method(name).compared))
