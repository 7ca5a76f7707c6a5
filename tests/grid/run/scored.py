"""A grid in this process without mirror and report, for tests of what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dataprep.storage import place
from grid.experiment.config import load
from grid.plan.inventory import read_inventory
from grid.run.result_folder import write
from grid.run.session import Session


def scored(
    data: Path, toml: Path, out: Path, rows: Sequence[str], scenario: str, folds: Sequence[int] | None = None
) -> tuple[Session, pd.DataFrame]:
    """Run the experiment file's rows of one scenario on the data; the session, and scores.csv."""
    experiment = load(str(toml))
    found = read_inventory(place(data), experiment, rows=rows, scenarios=[scenario], memory=out.with_suffix(".hashes"))
    session = Session(experiment, found, out, rows=rows, scenarios=[scenario], folds=folds)
    session.run("in-process")
    return session, write(session)
