"""How the grid would scale: a discrete-event simulation with the queue of a real run (ready_queue.py), from measured costs.

    python tests/benchmarks/scaling.py [--json] [--validate]

Work: the published grid in 10 folds (180 fits) and leaving one subject out (87 folds of all subjects, 783 fits), each without
a search and with one of 20 trials for each sub-network of a fold. Costs are CPU seconds measured on one 2-core machine per unit
of work (COSTS); those of a GPU have not been measured, so `workers` are units of that speed: speed-up, use and the critical
path's share carry over to faster workers as far as scheduling does not become the limit; seconds do not.
Policies: as the grid does (grid/execute/scheduler.py: by the rough cost of the longest path known to wait), the longest path by
true costs, and first come, first served.
`--validate` runs a small grid of real fits through Ray Tune with 1 and 2 workers and compares the makespans.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from scheduling import LIGHT, planner_of, published

from grid.execute.ready_queue import ReadyQueue
from grid.execute.scheduler import Scheduler
from grid.store.artefacts import Store

COSTS = {"prepare": 4.1, "sequence": 6e-5, "frame": 4e-5 * 16, "head": 6e-5}
"""CPU seconds: a video of 138 frames; a training step of a sequence or of a 4096-wide FC-7 on a frame; one of a vector."""
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
FEATURE_BYTES = 8192
RUN_WRITES = 4
"""MLflow calls a cell: create, one or two batches, the mark of completeness, the end (grid/tracking/sync.py)."""


class Graph(NamedTuple):
    """Item -> what it needs, its CPU seconds, and the urgency that the grid gives it. In dependency order."""

    needs: dict[str, list[str]]
    costs: dict[str, float]
    urgency: dict[str, float]


def fits_of(scenarios: Sequence[str], **changes: Any) -> tuple[Graph, dict[str, Any]]:
    """The graph of a plan, ranked by the scheduler of a run in which nothing is stored, and its fits."""
    planner = planner_of(published(), **changes)
    plan = planner.build(planner.experiment.axes.modalities, scenarios)
    with tempfile.TemporaryDirectory() as empty:
        urgency = Scheduler(planner, Store(Path(empty)), lambda **_: None).urgency
    needs = {k: [u.stage.key for u in f.upstream] for k, f in plan.fits.items()}
    return Graph(needs, {k: cost(f) for k, f in plan.fits.items()}, {k: urgency[k] for k in needs}), plan.fits


def cost(fit: Any) -> float:
    """CPU seconds of a fit at the measured rates."""
    steps = fit.steps[1] - fit.steps[0] if fit.role in ("spatial", "temporal", "physiological") else 1
    rate = {"spatial": "frame", "attention": "head", "fusion": "head"}.get(fit.role, "sequence")
    return fit.settings.epochs * len(fit.train.trial_ids) * steps * COSTS[rate]


def searched(graph: Graph, fits: Mapping[str, Any], trials: int = 20, inner: int = 3) -> Graph:
    """Before each fit `trials`, each of which fits on `inner` inner folds, half of its epochs in the mean (pruned).

    What waits for a search is not planned yet, so the grid knows the rough cost of each sub-network alone.
    """
    out = Graph({}, {}, {})
    for key, before in graph.needs.items():
        fit = fits[key]
        tried = [f"{key}/{n}" for n in range(trials)]
        for name in tried:
            out.needs[name], out.costs[name] = before, 0.5 * inner * (1 - 1 / inner) * graph.costs[key]
        out.needs[key], out.costs[key] = [*before, *tried], graph.costs[key]
        own = fit.epochs * len(fit.train.trial_ids) * (fit.steps[1] - fit.steps[0])
        out.urgency.update(dict.fromkeys([*tried, key], own))
    return out


def simulate(
    graph: Graph, workers: int, *, urgency: Mapping[str, float], overhead_s: float, start_s: float = 0.0
) -> dict[str, float]:
    """Makespan and use of `workers` that each take `overhead_s` per item more than its cost, from `start_s` on."""
    needs, costs, _ = graph
    queue = ReadyQueue()
    for key, before in needs.items():
        queue.add(key, before, urgency.get(key, 0.0))
    now, busy, free = start_s, 0.0, workers
    running: list[tuple[float, str]] = []
    while True:
        while free and (key := queue.pop()) is not None:
            heapq.heappush(running, (now + costs[key] + overhead_s, key))
            busy += costs[key]
            free -= 1
        if not running:
            assert not len(queue)
            return {"makespan_s": now, "use": busy / (workers * now) if now else 0.0}
        now, key = heapq.heappop(running)
        free += 1
        queue.done(key)


def path_costs(needs: Mapping[str, Iterable[str]], costs: Mapping[str, float]) -> dict[str, float]:
    """Per key its own cost plus that of the most expensive chain that waits for it. `needs` is in dependency order."""
    total = dict(costs)
    for key in reversed(list(needs)):
        for n in needs[key]:
            if n in total:
                total[n] = max(total[n], costs[n] + total[key])
    return total


def preparation(workers: int, videos: int = 3480) -> float:
    """Makespan of preparation: videos of equal cost, no dependencies."""
    return -(-videos // workers) * COSTS["prepare"]


def table(graph: Graph, cells: int, overhead_s: float) -> dict[str, Any]:
    """Every figure of one grid for 1 … 1000 workers."""
    needs, costs, urgency = graph
    paths = path_costs(needs, costs)
    serial = preparation(1) + sum(costs.values())
    rows = []
    for workers in WORKERS:
        fits = simulate(graph, workers, urgency=urgency, overhead_s=overhead_s)
        longest = simulate(graph, workers, urgency=paths, overhead_s=overhead_s)
        naive = simulate(graph, workers, urgency={}, overhead_s=overhead_s)
        whole = preparation(workers) + fits["makespan_s"]
        rows.append(
            {
                "workers": workers,
                "makespan_h": whole / 3600,
                "fits_h": fits["makespan_s"] / 3600,
                "fits_longest_path_h": longest["makespan_s"] / 3600,
                "fits_first_come_h": naive["makespan_s"] / 3600,
                "use_of_workers_in_fits": fits["use"],
                "speed_up": serial / whole,
                "items_per_s": len(needs) / fits["makespan_s"],
                "mlflow_calls_per_s": cells * RUN_WRITES / whole,
            }
        )
    return {
        "items": len(needs),
        "serial_h": serial / 3600,
        "critical_path_h": max(paths.values()) / 3600,
        "features_gb": 480_240 * FEATURE_BYTES / 1e9,
        "object_store_gb_per_node": 480_240 * FEATURE_BYTES / 1e9,
        "rows": rows,
    }


def validate(epochs: int) -> dict[str, Any]:
    """Real fits through Ray Tune with 1 and 2 workers against the simulation; overheads are measured on fits already stored."""
    os.environ["RAY_AUTH_MODE"] = "token"  # before Ray is imported: it decides then what its processes expect
    import ray

    from grid.execute.ray_tune import run_work
    from grid.work.blocks import StoreBlocks

    index = published(1)
    rows = ("eda", "ecg", "eda+ecg")
    changes: dict[str, Any] = {
        "protocol": {"name": "subject", "folds": 3},
        "physiological": {"hidden": 16, "epochs": epochs, "batch": 16},
    }
    changes["search"] = {"physiological": {}}  # nothing is searched, so these values need not lie in the paper's ranges
    rng = np.random.default_rng(0)
    signals = {t: rng.random((138, 3), dtype=np.float32) for t in index.trial_ids}

    def run(store: Store, listed: Store) -> tuple[float, Any]:
        planner = planner_of(index, **changes)
        planner.build(rows, planner.experiment.axes.scenarios)
        work = Scheduler(planner, listed, lambda **_: None)
        share = {"CPU": 1.0}
        blocks = StoreBlocks(store, {}, signals)
        started = time.monotonic()
        failed = run_work(
            work, blocks, store, shares=(share, share), execution=planner.experiment.execution, logs=store.root
        )
        assert not failed, next(iter(failed.values()))
        return time.monotonic() - started, planner.plan

    out: dict[str, Any] = {"load": os.getloadavg()[0]}
    for workers in (1, 2):
        ray.init(
            address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
        )
        try:
            with tempfile.TemporaryDirectory() as place:
                store, none = Store(Path(place) / "store"), Store(Path(place) / "none")
                measured, plan = run(store, none)
                nothing, _ = run(store, none)  # everything is stored: what is left is start and scheduling
                needs = {k: [u.stage.key for u in f.upstream] for k, f in plan.fits.items()}
                predicts = {p.fit.stage.key: store.facts(p.stage)["seconds"] for p in plan.predicts.values()}
                costs = {k: store.facts(f.stage)["seconds"] + predicts[k] for k, f in plan.fits.items()}
                fits = {k: plan.fits[k] for k in needs}
                rough = {k: f.epochs * len(f.train.trial_ids) * (f.steps[1] - f.steps[0]) for k, f in fits.items()}
                graph = Graph(needs, costs, rough)  # none of these fits waits for another
                predicted = simulate(graph, workers, urgency=rough, overhead_s=0.0, start_s=nothing)["makespan_s"]
        finally:
            ray.shutdown()
        out[f"{workers} workers"] = {
            "fits": len(needs),
            "measured_s": measured,
            "start_and_scheduling_s": nothing,
            "simulated_s": predicted,
            "error": predicted / measured - 1,
        }
    return out


def main(arguments: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description="How the grid would scale, simulated from measured costs.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--validate", action="store_true", help="also run real fits with 1 and 2 workers (minutes)")
    parser.add_argument("--epochs", type=int, default=100, help="of each fit of --validate (default 100)")
    parser.add_argument(
        "--overhead", type=float, default=0.02, help="seconds that scheduling adds to each item (default 0.02)"
    )
    options = parser.parse_args(arguments)
    out: dict[str, Any] = {"costs": COSTS, "trunk": LIGHT["name"], "overhead_s": options.overhead}
    if options.validate:
        out["validation"] = validate(options.epochs)
    ten, ten_fits = fits_of(("all87", "expressive67"))
    loso, loso_fits = fits_of(("all87",), protocol={"name": "loso"})
    grids = {
        "ten_folds": (ten, 160),
        "ten_folds_with_search": (searched(ten, ten_fits), 160),
        "loso": (loso, 87 * 8),
        "loso_with_search": (searched(loso, loso_fits), 87 * 8),
    }
    for name, (graph, cells) in grids.items():
        out[name] = table(graph, cells, options.overhead)
    if options.json:
        print(json.dumps(out, indent=1))
        return out
    for name in grids:
        grid = out[name]
        print(
            f"\n{name}: {grid['items']} items, {grid['serial_h']:.1f} h with one worker, critical path "
            f"{grid['critical_path_h']:.2f} h, features {grid['features_gb']:.1f} GB"
        )
        head = f"{'workers':>8}{'hours':>10}{'longest path':>14}{'first come':>12}"
        print(f"{head}{'speed-up':>10}{'use':>7}{'items/s':>9}{'MLflow/s':>10}")
        for r in grid["rows"]:
            other = [r[f"fits_{p}_h"] - r["fits_h"] + r["makespan_h"] for p in ("longest_path", "first_come")]
            print(
                f"{r['workers']:>8}{r['makespan_h']:>10.2f}{other[0]:>14.2f}{other[1]:>12.2f}"
                f"{r['speed_up']:>10.1f}{r['use_of_workers_in_fits']:>7.2f}{r['items_per_s']:>9.2f}{r['mlflow_calls_per_s']:>10.2f}"
            )
    print("\n", json.dumps(out.get("validation", "not validated in this run: --validate"), indent=1))
    return out


if __name__ == "__main__":
    main()
