"""The texts that the launcher prints: the plan before a run, and the outcome after it."""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from dataprep.recordings import recording, recordings
from dataprep.recordings.kind import VIDEO
from dataprep.rounding import rounded
from grid.execute.executor import Node
from grid.experiment.cells import Cell, is_further
from grid.experiment.config import Experiment
from grid.experiment.families import BASELINE_METHODS, group, is_baseline, is_derived
from grid.experiment.scenarios import scenario_index, window
from grid.plan import calibration, memory
from grid.plan.costs import Costs
from grid.plan.disk import free, needed, size
from grid.plan.inventory import Inventory
from grid.plan.specs import Fit, Plan
from grid.results import learned, unfed
from grid.results.axes import spread
from grid.results.inference import FEW_PEOPLE, SIMULATED_PEOPLE
from grid.run.scenario_facts import trials_with_video
from grid.store.artefacts import Store
from grid.tracking.redact import redact
from painmodels.tasks import PAIN, Task

MARKS_SHOWN = 12
"""Lines about rows that did not learn."""
OF_KIND = {"cells": "", "derived": " of derived signals", "baselines": " of baselines", "onsets": " of other onsets"}
"""Kinds of cells that are counted apart, and what a text calls their cells and fits."""


def frames(experiment: Experiment, inventory: Inventory, name: str) -> tuple[int, int, int] | None:
    """Subjects, trials, and frames of the videos that the rows take, which a scenario uses; None if it cannot be made."""
    scenario = experiment.scenario(name)
    try:
        index = scenario_index(inventory.dataset, inventory.index, scenario)
        first, last = window(inventory.dataset, scenario)
    except ValueError:
        return None
    return len(set(index.subjects)), len(index), trials_with_video(inventory, index) * (last - first)


def plan_text(
    experiment: Experiment, inventory: Inventory, plan: Plan, store: Store, nodes: Collection[Node] | None = None
) -> str:
    """The plan in words and numbers. `nodes`: of the cluster that would do it; without them this machine would."""
    stored = {
        name: store.keys(name) for name in {*(f.stage.name for f in plan.fits.values()), *inventory.prepared, "predict"}
    }
    lines = [
        f"experiment  {experiment.name}: {experiment.title}",
        f"data        {inventory.dataset.title} at {inventory.path}",
    ]
    for name in dict.fromkeys(c.scenario for c in plan.cells):
        counts = frames(experiment, inventory, name)
        if counts:
            of_videos = f", {counts[2]:,} frames" if counts[2] else ""
            lines.append(f"scenario    {name}: {counts[0]} subjects, {counts[1]:,} trials{of_videos}")
    repeats, seeds = (sorted({getattr(c, axis) for c in plan.cells}) for axis in ("repeat", "seed"))
    partitions = f", {len(repeats)} partitions" if len(repeats) > 1 else ""
    lines.append(f"protocol    {experiment.protocol.name}, {len({c.fold for c in plan.cells})} folds{partitions}")
    if len(seeds) > 1:
        lines.append(f"fit seeds   {', '.join(map(str, seeds))}")
    more = (f" x {len(repeats)} partitions" if partitions else "") + (f" x {len(seeds)} seeds" if len(seeds) > 1 else "")
    for what, mine in _apart(plan.cells).items():
        done = sum(c in plan.predicts and plan.predicts[c].stage.key in stored["predict"] for c in mine)
        possible = sum(c not in plan.impossible for c in mine)
        rows, scenarios = (len({getattr(c, axis) for c in mine}) for axis in ("modality", "scenario"))
        kind = ("baseline" if what == "baselines" else "row") + "s" * (rows != 1)
        crossed = f"{rows} {kind} x {scenarios} scenario{'s' * (scenarios != 1)} x folds{more}"
        lines.append(f"{what:<12}{len(mine)} ({crossed}): {done} done, {possible - done} to do")
    if plan.searches:
        n_trials = sum(s.trials for s in plan.searches.values())
        lines.append(
            f"searches    {len(plan.searches)} to do first, {n_trials} trials; {len(plan.waiting)} cells wait for them"
        )
    if more := calibration.told(plan):
        lines.append(f"calibrate   {more}")
    for reason, n in Counter(plan.impossible.values()).items():
        lines.append(f"            {n} impossible: {reason}")
    lines += ["", f"{'stage':<24}{'in all':>8}{'done':>8}{'to do':>8}{'estimated CPU time':>22}{'disk':>10}"]
    room = needed(inventory, plan, store)
    work: list[tuple[str, list[str], list]] = [
        (name, [stage.key for stage in stages], []) for name, stages in inventory.prepared.items()
    ]
    for name in dict.fromkeys(f.stage.name for f in plan.fits.values()):
        fits = [f for f in plan.fits.values() if f.stage.name == name]
        work.append((name, [f.stage.key for f in fits], fits))
    total, costs = 0.0, Costs.of(experiment, inventory.dataset)
    for name, keys, fits in work:
        n_done = sum(k in stored[name] for k in keys)
        each = _seconds(name, stored[name], store, inventory, fits, costs)
        total += each * (len(keys) - n_done)
        left = len(keys) - n_done
        line = f"{name:<24}{len(keys):>8}{n_done:>8}{left:>8}"
        lines.append(f"{line}{_span(each * left):>22}{size(room.get(name, 0)):>10}")
    other = {"face tracks": 0 if "faces" in inventory.prepared else room.get("faces", 0), "predictions": room["predict"]}
    told = " and ".join(f"{name} {size(n)}" for name, n in other.items() if n)
    have, wanted = free(store.root), sum(room.values())
    lines += ["", f"disk        {size(wanted)} more in {store.root}" + (f", of which {told}" if told else "")]
    if have is not None:
        short = "" if wanted <= have else ": TOO LITTLE; make room, or choose another --store"
        lines[-1] += f"; {size(have)} are free there{short}"
    lines += [*_needs(experiment, plan, total, nodes), "", served_text(plan)]
    return "\n".join(lines)


def _apart(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """The cells of each group of rows (grid.experiment.families.group), those with other windows as `onsets`; no entry where
    there are none."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(_kind(cell.scenario, group(cell.modality)), []).append(cell)
    return {kind: found[kind] for kind in OF_KIND if kind in found}


def _kind(scenario: str, of_row: str) -> str:
    return "onsets" if is_further(scenario) else of_row


def _fits_apart(plan: Plan) -> dict[str, dict[str, Fit]]:
    """The fits of each kind of cells, by key."""
    found: dict[str, dict[str, Fit]] = {kind: {} for kind in OF_KIND}
    for key, fit in plan.fits.items():
        learns = "derived" if is_derived(fit.part.words) else "cells"
        found[_kind(fit.scenario, "baselines" if fit.part.method in BASELINE_METHODS else learns)][key] = fit
    return found


def made_text(plan: Plan, made: Mapping[str, int], failed: Collection[str]) -> str:
    """What was computed now and what was there: '160 cells; 180 fits computed, 0 reused, 0 failed', and so for baselines."""
    parts = []
    for what, mine in _apart(plan.cells).items():
        fits = _fits_apart(plan)[what]
        new, lost = sum(made.get(key, 0) for key in fits), len(fits.keys() & set(failed))
        told = f"{len(mine)} cells{OF_KIND[what]}"
        parts.append(f"{told}; {new} fits computed, {len(fits) - new - lost} reused, {lost} failed")
    return "; ".join(parts)


def served_text(plan: Plan) -> str:
    """How many fits serve how many cells, the baselines' apart: '180 fits serve 160 cells; 160 of baselines serve 160'."""
    cells = {what: sum(c not in plan.impossible for c in mine) for what, mine in _apart(plan.cells).items()}
    fits = _fits_apart(plan)
    return "; ".join(f"{len(fits[what])} fits{OF_KIND[what]} serve {n} cells" for what, n in cells.items())


def _seconds(name: str, stored: set[str], store: Store, inventory: Inventory, fits: list[Fit], costs: Costs) -> float:
    """Mean CPU seconds of one stage of this name: the median of up to 20 stored ones, else the estimate of grid.plan.costs."""
    known = []
    for key in sorted(stored)[:20]:
        manifest = store.folder(name, key) / "manifest.json"
        if manifest.exists():
            known.append(json.loads(manifest.read_text(encoding="utf-8"))["facts"].get("seconds", 0.0))
    if known:
        return statistics.median(known)
    if name in recordings():
        blocks = [len(job.trials) for job in inventory.signals]
        return costs.recording(name, 1 if recording(name).of == VIDEO else round(statistics.mean(blocks)))
    return statistics.mean(costs.fit(fit) for fit in fits) if fits else 0.0


def _needs(experiment: Experiment, plan: Plan, total_s: float, nodes: Collection[Node] | None) -> list[str]:
    """Memory and hours: of this machine or the cluster by its processors, of a GPU as far as it is known."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = min(here, experiment.execution.cpus or here)
    cores = here if nodes is None else sum(node.cpus for node in nodes)
    most, told = memory.of_largest_fit(plan, experiment.trunk.name), experiment.execution.fit_memory_mb
    room = f"memory      about {size(memory.WORKER)} for a worker that prepares, up to {size(most)} for one that fits"
    if nodes is None:
        room += f"; {size(cores * most)} for the {cores} at once of this machine"
    for (cpus, lent), number in Counter((node.cpus, size(node.memory)) for node in nodes or ()).items():
        room += f"; {size(cpus * most)} for the {cpus} at once of a node ({number} with {lent} for work)"
    if most > told * 1e6:
        room += f" (say [execution] fit_memory_mb = {-(-most // 10**8) * 100}, and fewer run at once where that is too much)"
    where = f"this machine ({cores} processor{'s' * (cores != 1)})"
    if nodes is not None:
        gpus = sum(node.gpus for node in nodes)
        where = f"the cluster as it is now ({len(nodes)} node{'s' * (len(nodes) != 1)}, {cores} processors, {gpus} GPUs)"
    wall = f"about {_span(total_s / cores)} on" if cores else "not known: no node takes work yet on"
    return [room, f"time        {wall} {where}, {_span(total_s)} of processor time; on one GPU: not measured"]


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def outcome_text(
    scores: pd.DataFrame,
    learning: pd.DataFrame | None = None,
    task: Task = PAIN,
    *,
    failures: pd.DataFrame | None = None,
    people: Mapping[str, int] | None = None,
) -> str:
    """Mean and SD of the main metric (accuracy) over folds, a line a row, a column a scenario; the other SDs where there
    are several.

    Marks and why, if there is a learning table; rows that the data cannot feed in a sentence, by the table of `failures`.
    `people`: how many were tested in each scenario, where that is too few for a claim it is said.
    """
    lacking = unfed.unfed(scores, failures) if failures is not None else None
    scores = scores if lacking is None else unfed.without(scores, lacking)
    if scores.protocol.nunique() > 1:  # `personal`: a column for every number of calibration trials
        scores = scores.assign(scenario=scores.scenario + " " + scores.protocol)
        learning = None if learning is None else learning.assign(scenario=learning.scenario + " " + learning.protocol)
    found = {} if learning is None else learned.marks(learning, ("modality", "scenario"))
    names = list(dict.fromkeys(scores.scenario))
    others = {f"sd_{axis}": word for axis, word in (("repeats", "partitions"), ("seeds", "fit seeds"))}
    others = {sd: word for sd, word in others.items() if scores[sd[3:-1]].nunique() > 1}
    wide = max(19 + 7 * len(others), *(len(name) + 2 for name in names))
    told = " ± ".join(["mean", "SD over folds", *(f"over {word}" for word in others.values())])
    main, first = task.main, max(16, *(len(name) + 1 for name in scores.modality))
    unit = f" in {main.unit}" if main.unit else ""
    lines = [f"{main.title}{unit} ({told})", f"{'':<{first}}" + "".join(f"{n:>{wide}}" for n in names)]
    for modality in sorted(dict.fromkeys(scores.modality), key=is_baseline):
        cells = []
        for name in names:
            values = spread(scores[(scores.modality == modality) & (scores.scenario == name)], main.name)
            sds = [main.scale * values[sd] if values[sd] == values[sd] else 0.0 for sd in ("sd", *others)]  # of one alone: 0
            symbol = found[modality, name].symbol if (modality, name) in found else ""
            text = "".join(
                [
                    f"{rounded(main.scale * values['mean'], main.digits):>10}",
                    *(f" ± {rounded(sd, main.digits):>4}" for sd in sds),
                    f" {symbol:<2}",
                ]
            )
            cells.append("-" if values["mean"] != values["mean"] else text)
        if is_baseline(modality) and "baselines" not in lines:
            lines.append("baselines")
        lines.append(f"{modality:<{first}}" + "".join(f"{c:>{wide}}" for c in cells))
    lines += [] if lacking is None else unfed.sentences(lacking)
    few = ", ".join(f"{name} {n}" for name, n in (people or {}).items() if n < SIMULATED_PEOPLE)
    lines += [f"nothing is claimed of so few people ({few}): {FEW_PEOPLE}"] if few else []
    sentences = learned.sentences(found)
    if sentences:
        lines += ["", learned.KEY, *(f"  {line}" for line in sentences[:MARKS_SHOWN])]
        if len(sentences) > MARKS_SHOWN:
            lines.append(f"  … and {len(sentences) - MARKS_SHOWN} more: see What was learned in the report, or learning.csv")
        lines += [f"  {line}" for line in learned.why(found)]
    return "\n".join(lines)


def seen(out: Path, problem: str, uri: str | None = None) -> str:
    """The paths of the results; `problem` is the reason if there is no report, `uri` where runs were mirrored to."""
    mirrored = f"{sys.executable} -m grid.tracking ui {out}"
    if uri:
        name = json.loads((out / "run.json").read_text(encoding="utf-8"))["experiment"]["name"]
        mirrored = f"{redact(uri)}, experiment {name!r}"
    return "\n".join(
        [
            f"report   {out / 'report.html'}" if not problem else f"report   could not be written: {problem}",
            f"tables   {out / 'table2.csv'}, scores.csv, predictions.parquet",
            f"MLflow   {mirrored}",
        ]
    )
