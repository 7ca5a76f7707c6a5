"""The subcommands of `pain-grid`. A module is imported when its subcommand runs, so that `pain-grid --help` is quick.

Each module has `parser()`, the command line, and `main(arguments)`, which runs it and returns the exit code.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from dataprep.program import called

NAME = "pain-grid"


@dataclass(frozen=True)
class Command:
    """A subcommand. `word` is one of the module's own subcommands that it stands for, if any."""

    name: str
    group: str
    about: str
    at: str
    word: str = ""

    @property
    def module(self) -> ModuleType:
        """The module with `parser` and `main`."""
        return importlib.import_module(self.at)


DATA, GRID, MODEL, OTHER = "recordings", "a grid", "a trained row", "other"
COMMANDS = (
    Command("check", DATA, "check the recordings of a data set before training", "dataprep.check.command"),
    Command("faces", DATA, "show the faces found in video clips", "dataprep.faces"),
    Command("manifest", DATA, "draft manifest.csv and dataset.toml for a folder of recordings", "dataprep.manifest.command"),
    Command("synthetic", DATA, "write a synthetic data set in BioVid's layout", "dataprep.synthetic.dataset"),
    Command("launch", GRID, "train and compare every cell of a grid", "grid.launch"),
    Command("status", GRID, "show the progress of a run as a matrix", "pain_grid.status"),
    Command("report", GRID, "write the report of a result folder again", "dashboards.report"),
    Command("compare", GRID, "write a report that sets two result folders side by side", "pain_grid.compare"),
    Command("tracking", GRID, "copy results to MLflow, or show them there", "grid.tracking.sync"),
    Command("live", GRID, "live dashboards of a running grid", "dashboards.live"),
    Command("monitor", GRID, "serve the figures of a run for Prometheus", "grid.monitor.prometheus"),
    Command("forget", GRID, "remove everything derived from a subject", "grid.removal.forget", "forget"),
    Command("predict", MODEL, "predict recordings with a trained row", "painmodels.predict"),
    Command("export", MODEL, "write a trained row as a folder that works by itself", "painmodels.export"),
    Command("stream", MODEL, "predict live input", "painmodels.stream"),
    Command("demonstrator", MODEL, "serve a web page that predicts with a model", "dashboards.demonstrator"),
    Command("weights", MODEL, "import published weight files", "painmodels.weights"),
    Command("completion", OTHER, "print a script that completes this command in a shell", "pain_grid.completion"),
)


def help_text() -> str:
    """What `pain-grid --help` prints: every subcommand, by what it is about."""
    lines = [f"usage: {NAME} COMMAND …       ({NAME} COMMAND --help: its options)", ""]
    lines += ["Multimodal automatic pain recognition: from recordings to a compared grid of trained models.", ""]
    width = max(len(command.name) for command in COMMANDS) + 2
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines.append(f"{group}:")
        lines += [f"  {c.name:<{width}}{c.about}" for c in COMMANDS if c.group == group]
        lines.append("")
    lines += ["begin with:", f"  {NAME} launch --all                              synthetic data, minutes on a laptop"]
    lines += [f"  {NAME} check /data/BioVid/PartA --out look       are your recordings usable?"]
    lines += [f"  {NAME} launch --all --data /data/BioVid/PartA    your data; add --plan to see first what it takes", ""]
    return "\n".join([*lines, "Research software, not a medical device."])


def version() -> str:
    """The installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of(NAME)
    except PackageNotFoundError:
        return "not installed (run from its sources)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the first argument names; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"{NAME} {version()}")
        return 0
    found = next((command for command in COMMANDS if command.name == words[0]), None)
    if found is None:
        p = argparse.ArgumentParser(prog=NAME, usage=f"{NAME} COMMAND …")
        p.error(f"found {words[0]!r}, expected {_near(words[0])}; `{NAME} --help` lists them")
    with called(NAME if found.word else f"{NAME} {found.name}"):
        return int(found.module.main([found.word, *words[1:]] if found.word else words[1:]))


def _near(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, [command.name for command in COMMANDS], n=1)
    return f"{near[0]!r}" if near else "a subcommand"
