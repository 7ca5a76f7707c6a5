"""How fast the grid plans, schedules and looks up what is stored: it must never be what a cluster waits for.

    python tests/benchmarks/scheduling.py [--json] [--stages N] [--fits N] [--artefacts N] [--cpus N]

Planning: the published grid, leaving one subject out, 87 subjects and 3480 trials, in variants until N stages are planned.
Scheduling: N fits that are stored already, through Ray Tune as in any run: what is left is the cost of scheduling. Listing: N
artefacts made, then listed as a run does, and looked up one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dataprep.datasets import dataset
from dataprep.datasets.biovid import SUBJECTS
from dataprep.records import SampleIndex
from grid.execute.scheduler import Scheduler
from grid.experiment import config
from grid.plan.planner import Planner
from grid.plan.specs import Inputs
from grid.store.artefacts import Store
from grid.store.identity import Stage

LIGHT = {"name": "mini-xception-fer", "weights": ""}
SIGNAL_ROWS = ("eda", "ecg", "emg", "eda+ecg", "eda+emg", "ecg+emg", "eda+ecg+emg")


def published(trials: int = 20) -> SampleIndex:
    """An index of all 87 subjects with that many trials a class."""
    ids = [f"{s}-{c}-{i:03d}" for s in SUBJECTS for c in ("BL1", "PA4") for i in range(trials)]
    return SampleIndex(tuple(ids), tuple(i[:11] for i in ids), tuple(int("PA4" in i) for i in ids))


def planner_of(index: SampleIndex, **changes: Any) -> Planner:
    """A planner of the `paper` experiment with every recording usable."""
    known = {t: f"{n:012x}" for n, t in enumerate(index.trial_ids)}
    experiment = config.load("paper", trunk=LIGHT, **changes)
    return Planner(experiment, dataset("biovid"), Inputs(index, dict.fromkeys(("video", "eda", "ecg"), known)))


def planning(stages: int) -> dict[str, float]:
    """Seconds of CPU time to plan that many stages."""
    index, made, variants = published(), 0, 0
    started = time.process_time()
    while made < stages:
        planner = planner_of(index, protocol={"name": "loso"}, spatial={"width": 4096 + variants})
        plan = planner.build(planner.experiment.axes.modalities, planner.experiment.axes.scenarios)
        made += len(plan.fits) + len(plan.predicts)
        variants += 1
    return {"stages": made, "plans": variants, "cpu_seconds": time.process_time() - started}


def scheduling(fits: int, cpus: int) -> dict[str, Any]:
    """Wall seconds and the growth of the driver's memory while fits that have nothing to do pass through Tune."""
    os.environ["RAY_AUTH_MODE"] = "token"  # before Ray is imported: it decides then what its processes expect
    import ray

    from grid.execute.ray_tune import run_work
    from grid.work.blocks import StoreBlocks

    folds = -(-fits // (2 * len(SIGNAL_ROWS)))
    planner = planner_of(published(-(-folds // 67)), protocol={"name": "sample", "folds": folds})
    plan = planner.build(SIGNAL_ROWS, planner.experiment.axes.scenarios)
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place) / "store")
        for stage in [*(f.stage for f in plan.fits.values()), *(p.stage for p in plan.predicts.values())]:
            store.write(stage, {"a": np.zeros(1)}, {})
        memory: list[float] = []
        times: list[float] = []

        def tick(**_: Any) -> None:
            times.append(time.monotonic())
            memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6)

        work = Scheduler(planner, Store(Path(place) / "nothing stored"), tick)
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
        try:
            share = {"CPU": 1.0}
            settings = planner.experiment.execution
            blocks = StoreBlocks(store, {}, {})
            failed = run_work(
                work,
                blocks,
                store,
                shares=(share, share),
                execution=settings,
                logs=store.root,
            )
        finally:
            ray.shutdown()
        assert not failed, next(iter(failed.values()))
        quarter = len(times) // 4
        return {
            "fits": len(times),
            "cpus": cpus,
            "fits_per_second": (len(times) - quarter) / (times[-1] - times[quarter - 1]),
            "memory_mb_at_a_quarter": memory[quarter],
            "memory_mb_at_the_end": memory[-1],
        }


def listing(artefacts: int) -> dict[str, float]:
    """Seconds to list a stage with that many artefacts, and per look-up."""
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place))
        stages = [Stage("x", 1, {"i": i}) for i in range(artefacts)]
        for stage in stages:  # folders with a manifest, as `write` leaves them, without waiting for the disk each time
            folder = store.folder(stage.name, stage.key)
            folder.mkdir(parents=True)
            (folder / "manifest.json").write_text("{}")
        started = time.monotonic()
        keys = store.keys("x")
        listed = time.monotonic() - started
        started = time.monotonic()
        assert all(store.has(stage) for stage in stages[:: max(1, artefacts // 1000)])
        each = (time.monotonic() - started) / len(stages[:: max(1, artefacts // 1000)])
        return {"artefacts": len(keys), "list_seconds": listed, "look_up_microseconds": each * 1e6}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast the grid plans, schedules and looks up what is stored.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stages", type=int, default=10_000)
    parser.add_argument("--fits", type=int, default=500)
    parser.add_argument("--artefacts", type=int, default=20_000)
    parser.add_argument("--cpus", type=int, default=2)
    o = parser.parse_args()
    out: dict[str, Any] = {
        "load_before": os.getloadavg()[0],
        "planning": planning(o.stages),
        "listing": listing(o.artefacts),
    }
    out["scheduling"] = scheduling(o.fits, o.cpus)
    out["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    if o.json:
        print(json.dumps(out, indent=1))
        return
    for part, values in out.items():
        print(part, values if not isinstance(values, dict) else "")
        for name, value in values.items() if isinstance(values, dict) else ():
            print(f"  {name:<26}{value:>14.3f}")


if __name__ == "__main__":
    main()
