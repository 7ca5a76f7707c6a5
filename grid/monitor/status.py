"""The progress of a grid, read from its result folder only: while it runs, after a kill, and from any machine.

A run writes `plan.json` (what is wanted) before it works; the store says what is done, `store/.running/` what is being
fitted, and `cells.json` of a finished run what failed. Nothing here talks to the process that runs, or needs it alive.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from dataprep.records import InputError
from dataprep.storage import Place
from grid.plan.specs import Plan
from grid.results.files import cell_record, write_json
from grid.results.learned import KEY, Mark, by_verdict
from grid.results.tables import SCENARIOS, in_order
from grid.store.artefacts import Store
from grid.store.layout import check_layout
from grid.store.leases import living
from painmodels.training.learning import verdict_of

PLAN = "plan.json"
STATES = ("done", "running", "failed", "todo", "impossible")
LOOK = {
    "done": ("●", "green"),
    "running": ("◐", "yellow"),
    "failed": ("✗", "red"),
    "todo": ("·", "grey50"),
    "impossible": ("–", "blue"),
}
RECENT_S = 600.0


def write_plan(out: Path, plan: Plan, *, prepare: Mapping[str, Sequence[str]]) -> None:
    """Write plan.json: the cells with their fits, and by kind the keys of the recordings to prepare."""
    cells = [
        cell_record(plan, c, "impossible" if c in plan.impossible else "", plan.impossible.get(c, "")) for c in plan.cells
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / PLAN, {"cells": cells, "prepare": dict(prepare), "started": time.time()})


@dataclass
class Snapshot:
    """The state of a grid. `stages`: name -> state -> count; `cells`: (modality, scenario, fold, repeat, seed) -> state, and
    `marks` what the fits behind it learned, as far as they are stored.

    `at_work`: whether a process works in the store now. `frames` and `epochs`: worked through in all, as far as stored.
    `eta_s`: None if nothing is left or nothing known.
    """

    stages: dict[str, Counter[str]] = field(default_factory=dict)
    cells: dict[tuple[str, str, int, int, int], str] = field(default_factory=dict)
    marks: dict[tuple[str, str, int, int, int], Mark] = field(default_factory=dict)
    frames: int = 0
    epochs: int = 0
    compute_seconds: float = 0.0
    gpu_seconds: float = 0.0
    quarantined: int = 0
    store_bytes: int = 0
    eta_s: float | None = None
    idle_s: float | None = None
    at_work: bool = False


@cache
def _facts(manifest: Place) -> dict[str, Any]:
    """What is counted of one artefact; it never changes."""
    facts = json.loads(manifest.read_text(encoding="utf-8"))["facts"]
    counted = {"frames": facts.get("frames", 0), "epochs": len(facts.get("curve", ())), "device": facts.get("device", "")}
    counted["verdict"] = verdict_of(facts) if facts.get("curve") else ""
    return {**counted, "seconds": float(facts.get("seconds", 0.0)), "at": manifest.stat().st_mtime}


def snapshot(out: Path) -> Snapshot:
    """The state of a result folder now. Raises InputError if no run was ever begun there."""
    path = out / PLAN
    if not path.exists():
        raise InputError(f"{out}: no grid was begun here (there is no {PLAN}); expected the --out of a run")
    plan = json.loads(path.read_text(encoding="utf-8"))
    store = Store(out / "store")
    check_layout(store)
    wanted: dict[str, set[str]] = {name: set(keys) for name, keys in plan["prepare"].items() if keys}
    for cell in plan["cells"]:
        for fit in cell["fits"]:
            wanted.setdefault(fit["stage"], set()).add(fit["key"])
    at_work = living(store)
    running = store.running(at_work)
    failed = _failed(out, since=plan["started"])
    there = {name: store.keys(name) & keys for name, keys in wanted.items()}
    found = Snapshot(at_work=bool(at_work))
    for name, keys in wanted.items():
        done = len(there[name])
        running_now = sum(f"{name}-{key}" in running for key in keys - there[name])
        broken = sum(f"{name}-{key}" in failed and f"{name}-{key}" not in running for key in keys - there[name])
        counts = {"done": done, "running": running_now, "failed": broken, "todo": len(keys) - done - running_now - broken}
        found.stages[name] = Counter(counts)
    predicted = store.keys("predict")
    for cell in plan["cells"]:
        names = {f"{f['stage']}-{f['key']}" for f in cell["fits"]}
        if cell["status"] == "impossible":
            state = "impossible"
        elif cell["predict"] in predicted:
            state = "done"
        else:
            state = "running" if names & running else "failed" if names & failed else "todo"
        found.cells[place_of(cell)] = state
    _add_costs(found, store, wanted, there)
    for cell in plan["cells"]:
        verdicts = [
            (fit["stage"].removeprefix("fit-"), _facts(store.folder(fit["stage"], fit["key"]) / "manifest.json")["verdict"])
            for fit in cell["fits"]
            if fit["key"] in there.get(fit["stage"], ())
        ]
        found.marks[place_of(cell)] = by_verdict(verdicts)
    found.quarantined = _lines(out / "quarantine.csv")
    found.store_bytes = store.size()
    return found


def place_of(cell: dict[str, Any]) -> tuple[str, str, int, int, int]:
    """Row, scenario, fold, partition and fit seed of a cell; plans written before there were several lack the last two."""
    calibrated = f" {cell['protocol']}" if str(cell.get("protocol", "")).startswith("personal-") else ""
    return cell["modality"], cell["scenario"] + calibrated, cell["fold"], cell.get("repeat", 0), cell.get("seed", 0)


def _add_costs(found: Snapshot, store: Store, wanted: dict[str, set[str]], there: dict[str, set[str]]) -> None:
    """Work done, and the time left: the median cost of each stage over how much work was done side by side of late."""
    now, left_s, of_late_s, latest, earliest, unknown = time.time(), 0.0, 0.0, 0.0, time.time(), False
    for name, keys in wanted.items():
        costs = []
        with ThreadPoolExecutor(16) as pool:
            every = list(pool.map(_facts, [store.folder(name, key) / "manifest.json" for key in there[name]]))
        for facts in every:
            found.frames += facts["frames"]
            found.epochs += facts["epochs"]
            found.compute_seconds += facts["seconds"]
            found.gpu_seconds += facts["seconds"] if facts["device"].startswith("cuda") else 0.0
            costs.append(facts["seconds"])
            latest = max(latest, facts["at"])
            if now - facts["at"] < RECENT_S:
                of_late_s += facts["seconds"]
                earliest = min(earliest, facts["at"] - facts["seconds"])
        missing = len(keys) - len(costs)
        unknown |= missing > 0 and not costs
        left_s += missing * statistics.median(costs) if costs else 0.0
    if latest:
        found.idle_s = now - latest
    if left_s and not unknown:
        found.eta_s = left_s / max(1.0, of_late_s / max(min(now - earliest, RECENT_S), 1.0))


def _failed(out: Path, *, since: float) -> set[str]:
    """Fits that failed since the run began: the names of its logs, and what it said at its end."""
    logs, ended = out / "logs", out / "cells.json"
    found = {f.stem for f in logs.glob("fit-*.txt") if f.stat().st_mtime >= since} if logs.is_dir() else set()
    if ended.exists() and ended.stat().st_mtime >= since:
        for cell in json.loads(ended.read_text(encoding="utf-8")):
            if cell["status"] == "failed" and cell["fits"]:
                found.add(f"{cell['fits'][-1]['stage']}-{cell['fits'][-1]['key']}")
    return found


def _lines(path: Path) -> int:
    return max(0, len(path.read_text(encoding="utf-8").splitlines()) - 1) if path.exists() else 0


def show(out: Path, console: Console | None = None) -> None:
    """Print the grid as a matrix, a mark a fold, in colour on a terminal; then the stages and the time left.

    Folds of one partition and seed stand together, a space before the next seed and the next partition.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    now = snapshot(out)
    scenarios = in_order([s for _, s, *_ in now.cells], SCENARIOS)
    rows = list(dict.fromkeys(m for m, *_ in now.cells))
    lines = {(row, s): _marks(now, row, s) for row in rows for s in scenarios}
    wide = {s: max(len(s), *(len(lines[row, s]) for row in rows)) for s in scenarios}
    left = max(map(len, rows), default=0) + 2
    console.print(" " * left + "  ".join(f"{s:<{wide[s]}}" for s in scenarios))
    for modality in rows:
        line = Text(f"{modality:<{left}}")
        for s in scenarios:
            line.append(lines[modality, s])
            line.append(" " * (wide[s] - len(lines[modality, s]) + 2))
        console.print(line)
    legend = Text("  ")
    for state in STATES:
        legend.append(f"{LOOK[state][0]} {state} {sum(v == state for v in now.cells.values())}   ", LOOK[state][1])
    console.print(legend)
    marked = [(k[0], mark) for k, mark in now.marks.items() if mark.marked]
    if marked:
        stages = ", ".join(dict.fromkeys(stage for _, mark in marked for stage in mark.stages))
        rows_told = ", ".join(dict.fromkeys(row for row, _ in marked))
        console.print(f"  {KEY}\n  {len(marked)} cells of {rows_told}: {stages}")
    console.print()
    for name, counts in now.stages.items():
        parts = [
            f"{counts[state]} {word}" for state, word in (("running", "running"), ("failed", "failed")) if counts[state]
        ]
        more = f"  ({', '.join(parts)})" if parts else ""
        console.print(f"{name:<28}{counts['done']:>6} of {sum(counts.values())}{more}")
    over = not any(v in ("todo", "running") for v in now.cells.values())
    eta = f"ETA {_span(now.eta_s)}" if now.eta_s else "ETA not known yet"
    if over or not now.at_work:
        eta = "nothing left to do" if over else "no process works here now: the same command goes on from here"
    idle = f"; last result {_span(now.idle_s)} ago" if now.idle_s is not None else ""
    console.print(f"\n{eta}{idle}; {now.quarantined} recordings left out; store {now.store_bytes / 1e6:.0f} MB")


def _marks(now: Snapshot, modality: str, scenario: str) -> Text:
    """The marks of a row in a scenario."""
    runs: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for place, state in sorted(now.cells.items()):
        if place[:2] == (modality, scenario):
            mark = now.marks[place]
            shown = (mark.symbol[0], "magenta") if mark.marked and state == "done" else LOOK[state]
            runs.setdefault(place[3:], []).append(shown)
    return Text(" ").join(Text.assemble(*run) for _, run in sorted(runs.items()))


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
    )
