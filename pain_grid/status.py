"""The progress of a run: a mark for each fold of each row, finished stages and the time left."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dataprep.faults import guarded
from dataprep.program import program
from dataprep.records import InputError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("pain_grid.status"), description="Show the progress of a run as a matrix.")
    about = "a result folder (the --out of a run); default: the one in runs/ that was written to last"
    p.add_argument("dir", type=Path, nargs="?", metavar="DIR", help=about)
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _command(options.dir))


def _command(asked: Path | None) -> int:
    from grid.monitor import status

    folder = asked or newest(Path("runs"))
    if asked is None:
        print(folder)
    status.show(folder)
    return 0


def newest(runs: Path) -> Path:
    """The result folder that was written to last. Raises InputError if there is none."""
    found = [store.parent for store in runs.glob("*/store")]
    if not found:
        raise InputError(f"{runs.absolute()} has no result folder: name one")
    return max(found, key=lambda folder: max(path.stat().st_mtime for path in folder.iterdir()))
