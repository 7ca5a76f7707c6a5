"""The rows that a command line asks for."""

from __future__ import annotations

from dataprep.records import InputError
from grid.experiment import cells
from grid.experiment.config import Experiment
from painmodels.methods import default_rows


def selected_rows(
    experiment: Experiment, *, named: str | None, whole: bool, baselines: bool, no_baselines: bool
) -> tuple[str, ...]:
    """The rows named by --modalities, or the experiment's with its baselines; with `baselines` all of these, too.

    `whole`: everything is asked for; without it and without names, `baselines` asks for the baselines alone. Raises InputError
    for an unknown row, and where there is none.
    """
    rows: tuple[str, ...] = experiment.axes.modalities
    if named:
        rows = tuple(dict.fromkeys(cells.row(name.strip()).name for name in named.split(",") if name.strip()))
    elif baselines and not whole:
        rows = ()
    elif not no_baselines:
        rows = (*rows, *experiment.axes.baselines)
    if not rows and not baselines:
        raise InputError(f"--modalities {named!r}: names no row; expected some such as eda,video")
    return tuple(dict.fromkeys([*rows, *default_rows()])) if baselines else rows
