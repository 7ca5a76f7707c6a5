"""What hyperparameter search costs beside the fits themselves, against bare Ray tasks that do the same fits.

    python tests/benchmarks/searching.py [--json] [--searches 10] [--trials 20] [--epochs 27] [--cpus 2]

N searches of the row eda (an outer fold each) on made-up signals, through Optuna and Tune as in any run, on a local Ray.
Then the same trials, each as far as it went, as plain Ray tasks on the same Ray. Clocks start when all workers are up.

    share_in_fits     seconds that trials measured as their own, of the workers' wall seconds (wall x processors)
    overhead_ms       what is left of the workers' seconds, per trial
    load              load average of the machine before and after: others' work counts as overhead here
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dataprep.records import DataSet, SampleIndex
from grid.execute.scheduler import Scheduler
from grid.experiment import config
from grid.plan.planner import Planner
from grid.plan.specs import Inputs
from grid.store.artefacts import Store
from grid.work.blocks import StoreBlocks
from grid.work.fit_predict import Runner
from grid.work.search_trial import search_trial

TOML = """
name = "benchmark"
[axes]
modalities = ["eda"]
scenarios = ["everybody"]
[scenarios.everybody]
subset = "all"
[protocol]
folds = {searches}
[trunk]
name = "mini-xception-fer"
[signals]
normalise = "train"
[physiological]
hidden = 16
layers = 1
epochs = {epochs}
batch = 16
lr = 1e-3
[search]
trials = {trials}
inner_folds = 3
[search.physiological]
lr = {{low = 1e-4, high = 1e-1, log = true}}
hidden = [8, 16]
"""
STEPS = 40


def planned(place: Path, store: Store, **counts: int) -> tuple[Planner, dict[str, np.ndarray]]:
    """A planner of that many searches on 2 subjects a fold, 8 trials each, and their signals."""
    (place / "benchmark.toml").write_text(TOML.format(**counts))
    experiment = config.load(str(place / "benchmark.toml"))
    rng = np.random.default_rng(0)
    rows = [(f"s{s:02d}-{y}-{i}", f"s{s:02d}", y) for s in range(2 * counts["searches"]) for y in (0, 1) for i in range(4)]
    x = {
        name: (rng.normal(size=(STEPS, 1)) + y * np.linspace(0, 1, STEPS)[:, None]).astype(np.float32) for name, _, y in rows
    }
    ids, subjects, labels = zip(*rows, strict=True)
    unread: Any = lambda *_: None  # noqa: E731
    data = DataSet(
        name="made-up",
        title="made up",
        clock_hz=25.0,
        n_steps=STEPS,
        channels=("eda",),
        classes={0: "no", 1: "yes"},
        negative=0,
        positive=1,
        recognise=unread,
        read_trials=unread,
        read_signals=unread,
    )
    inputs = Inputs(SampleIndex(ids, subjects, labels), {"eda": {t: t for t in ids}, "video": {}})
    planner = Planner(experiment, data, inputs, lambda s: store.facts(s)["winner"] if store.has(s) else None)
    planner.build(["eda"], ["everybody"])
    return planner, x


def through_tune(planner: Planner, store: Store, blocks: StoreBlocks, cpus: int) -> dict[str, float]:
    """All searches and the fits that follow; the clock starts with the first item that ends while all workers work."""
    from grid.execute.ray_tune import run_work

    times: list[float] = []
    before: list[float] = []  # seconds of the trials that were over when the clock started

    def tick(*, running: int = 0, **_: Any) -> None:
        if before or running >= cpus - 1:  # without the one that has just ended
            times.append(time.monotonic())
        if not before and times:
            trials = [t for state in work.searches.states.values() for t in state.trials.values()]
            before.append(sum(r["seconds"] for t in trials for r in t["reports"]))

    work = Scheduler(planner, store, tick)
    shares = ({"CPU": 1.0}, {"CPU": 1.0})
    failed = run_work(work, blocks, store, shares=shares, execution=planner.experiment.execution, logs=store.root / "logs")
    assert not failed, next(iter(failed.values()))
    searches = [store.facts(s.stage) for s in planner.plan.decided.values()]
    finals = [store.facts(p.fit.stage)["seconds"] for p in planner.plan.predicts.values()]
    in_fits = sum(s["seconds"] for s in searches) + sum(finals) - before[0]
    return _figures(times[-1] - times[0], in_fits, len(times) - 1, cpus)


def bare(planner: Planner, source: Store, store: Store, blocks: StoreBlocks, cpus: int) -> dict[str, float]:
    """The trials that `source` holds, each to the rung at which it stopped, as Ray tasks."""
    import ray

    @ray.remote(num_cpus=1, max_retries=0)
    def trial_task(blocks: StoreBlocks, search: Any, trial: dict[str, Any], rungs: int) -> float:
        reports = search_trial(Runner(store, blocks, "cpu"), search, trial)
        return sum(next(reports)["seconds"] for _ in range(rungs))

    jobs = [(s, t) for s in planner.plan.decided.values() for t in source.facts(s.stage)["trials"]]
    there, warm = ray.put(blocks), jobs[:cpus]
    searches = {s.stage.key: ray.put(s) for s, _ in jobs}

    def start(search: Any, trial: dict[str, Any]) -> Any:
        wanted = {"number": trial["number"], "params": trial["params"]}
        return trial_task.remote(there, searches[search.stage.key], wanted, len(trial["reports"]))

    ray.get([start(*job) for job in warm])  # workers start and import
    started = time.monotonic()
    seconds = ray.get([start(*job) for job in jobs[cpus:]])
    return _figures(time.monotonic() - started, sum(seconds), len(seconds), cpus)


def _figures(wall: float, in_fits: float, items: int, cpus: int) -> dict[str, float]:
    return {
        "items": items,
        "wall_s": round(wall, 2),
        "fit_s": round(in_fits, 2),
        "share_in_fits": round(in_fits / (wall * cpus), 3),
        "overhead_ms": round(1000 * (wall * cpus - in_fits) / items, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What hyperparameter search costs beside the fits themselves.")
    parser.add_argument("--json", action="store_true")
    for name, value in (("searches", 10), ("trials", 20), ("epochs", 27), ("cpus", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    o = parser.parse_args()
    os.environ["RAY_AUTH_MODE"] = "token"
    import ray

    out: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as place:
        store, other = Store(Path(place) / "store"), Store(Path(place) / "bare")
        planner, x = planned(Path(place), store, searches=o.searches, trials=o.trials, epochs=o.epochs)
        ray.init(
            address="local", num_cpus=o.cpus, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1"
        )
        try:
            out["grid"] = through_tune(planner, store, StoreBlocks(store, {}, x), o.cpus)
            out["load_between"] = round(os.getloadavg()[0], 1)
            out["bare_ray"] = bare(planner, store, other, StoreBlocks(other, {}, x), o.cpus)
        finally:
            ray.shutdown()
        trials = [t for s in planner.plan.decided.values() for t in store.facts(s.stage)["trials"]]
    out["trials"] = len(trials)
    out["pruned"] = sum(t["state"] == "pruned" for t in trials)
    out["load_after"] = round(os.getloadavg()[0], 1)
    if o.json:
        print(json.dumps(out, indent=1))
        return
    for part, values in out.items():
        print(part, values if not isinstance(values, dict) else "")
        for name, value in values.items() if isinstance(values, dict) else ():
            print(f"  {name:<16}{value:>12}")


if __name__ == "__main__":
    main()
