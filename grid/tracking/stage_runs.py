"""Fitted stages in MLflow: a run for each, in the experiment "NAME stages", with its curve over every epoch.

A stage is fitted once and serves several cells: its tag `cells` names them, and each cell's run has the tags `stages` (stage/key)
and `stage_runs` (ids of these runs). Settings, role, signals, scenario and fold are parameters and tags alike, so that the ten
folds of a sub-network can be filtered, grouped and compared by their curves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grid.experiment.cells import place
from grid.results.axes import AXES
from grid.store.artefacts import Store
from grid.store.identity import digest
from grid.tracking.runs import Entry, Runs
from grid.tracking.work_times import of_stage
from painmodels.training.learning import verdict_of

CURVES = {"loss": "loss", "accuracy": "train_accuracy"}
"""A curve's columns, and what they are called in MLflow."""
VERSIONS = {"data_fingerprint": "settings.data_fingerprint", "code_version": "settings.code_version"}
"""Tags, and the parameters with the same: behind modality and scenario in the alphabet, whose first MLflow compares."""


def manifests(cells: Sequence[Mapping[str, Any]], store: Store) -> dict[str, dict[str, Any]]:
    """Every fitted stage of the cells, by key: its manifest as stored, `fit` as the cells say, and the `cells` it serves."""
    fits = {fit["key"]: fit for cell in cells for fit in cell["fits"]}

    def read(fit: Mapping[str, Any]) -> dict[str, Any] | None:
        file = store.folder(fit["stage"], fit["key"]) / "manifest.json"
        try:
            return {**json.loads(file.read_text(encoding="utf-8")), "fit": fit, "cells": [], "ended_s": file.stat().st_mtime}
        except FileNotFoundError:
            return None

    with ThreadPoolExecutor(16) as pool:  # a bucket answers each after a while
        found = {key: m for key, m in zip(fits, pool.map(read, fits.values()), strict=True) if m is not None}
    for cell in cells:
        for fit in cell["fits"]:
            if fit["key"] in found:
                found[fit["key"]]["cells"].append(f"{cell['modality']}/{cell['scenario']}/{place(*(cell[a] for a in AXES))}")
    return found


def mirror_stage(runs: Runs, stage: Mapping[str, Any], common: Mapping[str, str]) -> str:
    """Make or complete the run of a stage, an entry of `manifests`; gives its id. `common` are facts of the whole grid."""
    fit, facts, made = stage["fit"], stage["facts"], stage["stage"]["params"]
    known = {
        "stage": fit["stage"],
        "role": fit["role"],
        "network": str(fit["settings"].get("network", "")),
        "signals": "+".join(made.get("signals") or []),
        "scenario": str(facts.get("scenario", "")),
        "fold": str(facts.get("fold", "")),
        "repeat": str(facts.get("repeat", 0)),
        "seed": str(facts.get("seed", 0)),
        "device": str(facts.get("device", "")),
        **common,
    }
    tags = {**known, "kind": "stage", "key": fit["key"], "cells": " ".join(stage["cells"])[:4900]}
    tags |= {"upstream": " ".join(facts.get("upstream", [])), "mlflow.runName": str(facts.get("label", fit["stage"]))}
    tags["mlflow.note.content"] = "Serves " + ", ".join(stage["cells"][:20]) + "."
    if fit.get("search"):
        tags["searches"] = fit["search"]
    settings = {f"settings.{name}": str(value) for name, value in fit["settings"].items()}
    metrics = [(n, float(facts[n]), 0) for n in ("seconds", "trials", "peak_gpu_mb") if facts.get(n) is not None]
    record = facts.get("learning") or {}
    metrics += [(name, float(value), 0) for name, value in record.items()]
    if verdict := verdict_of(facts):
        tags["verdict"] = verdict
    for column, name in CURVES.items():
        metrics += points(facts["curve"], column, name)
    params = {**settings, **{VERSIONS.get(name, name): value for name, value in known.items()}}
    return runs.write(Entry(digest(["stage", fit["stage"], fit["key"]]), tags, params, metrics, span=of_stage(stage)))


def points(curve: list[dict[str, Any]], column: str, name: str) -> list[tuple[str, float, int]]:
    """A column of a curve as points of an MLflow metric; nothing where the curve lacks it."""
    return [(name, float(p[column]), int(p["epoch"])) for p in curve if column in p]


def thinned(curve: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most `most` points of a curve, evenly spaced, the first and the last among them; all of a shorter one."""
    if len(curve) <= most:
        return curve
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]
