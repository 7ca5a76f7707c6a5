"""Drafts manifest.csv and dataset.toml for a folder of recordings.

    python -m dataprep.manifest FOLDER              what is missing of the two is written; nothing is overwritten, nothing asked
    python -m dataprep.manifest --example FOLDER    a small data set to look at: four people, long recordings
    python -m dataprep.manifest --template NAME FOLDER    both files for a known data set without a reader, to be filled in

Exit codes: 0 written, 2 bad input.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from dataprep.faults import guarded
from dataprep.manifest.draft import draft
from dataprep.manifest.layout import SETTINGS
from dataprep.program import program
from dataprep.records import InputError

EXAMPLE, TEMPLATES = Path(__file__).parent / "example", Path(__file__).parent / "templates"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("dataprep.manifest"), description="Draft manifest.csv and dataset.toml by looking at a folder."
    )
    p.add_argument("folder", type=Path, metavar="FOLDER")
    instead = p.add_mutually_exclusive_group()
    instead.add_argument("--example", action="store_true", help="write a small data set with both files there instead")
    names = sorted(folder.name for folder in TEMPLATES.iterdir())
    instead.add_argument("--template", choices=names, help="write both files for this data set there, to be filled in")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _command(options.folder, example=options.example, template=options.template))


def _command(folder: Path, *, example: bool, template: str | None) -> int:
    if template:
        there = [file.name for file in (TEMPLATES / template).iterdir() if (folder / file.name).exists()]
        if there:
            raise InputError(f"{folder / min(there)}: is there already; expected a folder without it")
        shutil.copytree(TEMPLATES / template, folder, dirs_exist_ok=True)
        print(f"written    {folder}\nnext       fill in {folder / 'dataset.toml'}, which says how")
        return 0
    if example:
        if folder.exists():
            raise InputError(f"{folder}: is there already; expected the name of a new folder")
        shutil.copytree(EXAMPLE, folder)
        print(f"written    {folder}\nnext       python -m dataprep.check {folder}")
        return 0
    if not folder.is_dir():
        raise InputError(f"{folder}: found {'a file' if folder.exists() else 'nothing'}, expected a folder of recordings")
    print("\n".join(draft(folder)))
    if (folder / SETTINGS).exists():
        print(f"next       read the guesses in the file, then: python -m dataprep.check {folder}")
    else:
        print(f"next       fill in the table, then: python -m dataprep.manifest {folder}")
    return 0
