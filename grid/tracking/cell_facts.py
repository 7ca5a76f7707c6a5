"""What runs of cells in MLflow say: the run of the grid they are of, settings, what their fits learned, links to the stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dataprep.records import SYNTHETIC
from grid.experiment.cells import row
from grid.results.learned import UNKNOWN, Mark, by_verdict
from grid.tracking.runs import PLAIN
from grid.tracking.stage_runs import CURVES, points, thinned
from painmodels.training.learning import verdict_of

CHILD_POINTS = 100
"""Of a learning curve in a fold's run; the charts of MLflow draw at most 320."""


class CellFacts:
    """Of the cells (entries of cells.json) of one run (the content of run.json).

    `stages`: manifests of the fits behind them, by key. `stage_ids`: their runs in MLflow, of the experiment `stage_experiment`.
    """

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run
        self.stages: dict[str, dict[str, Any]] = {}
        self.stage_ids: dict[str, str] = {}
        self.stage_experiment = ""

    def common(self) -> dict[str, str]:
        """Tags and parameters alike: the UI groups by either, but compares and plots parameters only."""
        run = self.run
        return {
            "protocol": run["protocol"],
            "experiment": run["experiment"]["name"],
            "trunk": run["trunk"]["name"] + (" (random)" if run["trunk"]["random"] else ""),
            "data": SYNTHETIC if run["data"].get("synthetic") else str(run["data"].get("name", "")),
            "data_fingerprint": run["data"]["fingerprint"],
            "code_version": run["commit"],
        }

    def settings(self, cells: list[dict]) -> dict[str, str]:
        """Hyperparameters of the sub-networks in use, as `role.name`; those that differ between the cells are left out."""
        found: dict[str, set[str]] = defaultdict(set)
        for fit in (f for cell in cells for f in cell["fits"]):
            for name, value in fit["settings"].items():
                found[f"{fit['role']}.{name}"].add(str(value))
        out = {name: values.pop() for name, values in sorted(found.items()) if len(values) == 1}
        if any("video" in row(cell["modality"]).parts for cell in cells):
            out |= {f"faces.{name}": str(value) for name, value in sorted(self.run["experiment"].get("faces", {}).items())}
            out["trunk.fingerprint"] = self.run["trunk"].get("fingerprint", "")
        scaled = {fit["normalise"] for cell in cells for fit in cell["fits"] if fit.get("normalise")}
        return {**out, "signals.normalise": " or ".join(sorted(scaled)) or self.run["experiment"]["signals"]["normalise"]}

    def mark(self, cells: Iterable[dict]) -> Mark:
        """What the fits behind these cells learned, each counted once."""
        fits = {fit["key"]: fit["stage"].removeprefix("fit-") for cell in cells for fit in cell["fits"]}
        stored = [(stage, self.stages[key]["facts"]) for key, stage in fits.items() if key in self.stages]
        trained = [(stage, facts) for stage, facts in stored if facts.get("curve")]
        epochs = {stage: len(facts["curve"]) for stage, facts in trained}
        return by_verdict(((stage, verdict_of(facts) or UNKNOWN) for stage, facts in trained), epochs)

    def learned(self, cells: list[dict]) -> tuple[dict[str, str], dict[str, float]]:
        """Tags and metrics that say whether the fits behind these cells learned."""
        mark = self.mark(cells)
        if not mark.fits:
            return {}, {}
        tags = {"learned": mark.learned or UNKNOWN}
        if mark.marked:
            tags["not_learned"] = mark.text
        return tags, {"fits_not_learned": float(mark.not_learned), "fits_collapsed": float(mark.collapsed)}

    def links(self, cell: dict) -> dict[str, str]:
        """Tags that lead to the runs of a cell's stages, for programs and, as links in its description, for readers."""
        known = [(f, self.stage_ids[f["key"]]) for f in cell["fits"] if f["key"] in self.stage_ids]
        if not known:
            return {}
        page = f"#/experiments/{self.stage_experiment}/runs"
        links = [f"[{f['stage'].removeprefix('fit-')}]({page}/{run}?{PLAIN})" for f, run in known]
        return {
            "stage_runs": " ".join(run for _, run in known),
            "mlflow.note.content": "Stages, with every epoch: " + ", ".join(links),
        }

    def curve(self, fit: dict) -> list[tuple[str, float, int]]:
        stage = self.stages.get(fit["key"])
        curve = thinned(stage["facts"]["curve"], CHILD_POINTS) if stage else []
        return [p for column, name in CURVES.items() for p in points(curve, column, f"{name}/{fit['role']}")]
