"""Two result folders side by side, in the report of the first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dashboards import report
from dataprep.program import program


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = "Write the report of DIR again, with a comparison with DIR2: another protocol, backbone or data set of the same rows."
    p = argparse.ArgumentParser(prog=program("pain_grid.compare"), description=about)
    p.add_argument("dir", type=Path, metavar="DIR", help="the result folder whose report is written")
    p.add_argument("other", type=Path, metavar="DIR2", help="the result folder to compare it with")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    return report.main([str(options.dir), "--compare", str(options.other)])
