"""Parallel efficiency of preparation: two raylets of one processor each against one, on this machine, in one run.

    python tests/benchmarks/raylets.py [--clips N] [--trunk NAME]

The real pool, actors and store of a grid work through copies of the generated clip of tests/benchmarks/prepare.py (1388x1038,
138 frames). Phases: one raylet, two, one again; the machine is another after a while, so the single ones enclose the pair. The
clock of a phase starts when every actor has finished its first clip, and ends with the last clip, so actors are warm and an
actor that waits at the end counts. Prints JSON:

    phases      raylets, clips on the clock, seconds, clips_per_s
    speedup     clips/s of two raylets by the mean of the two phases with one
    efficiency  half of that: 1 is perfect. The driver, two raylets and the head share the processors with the actors
    load        of the machine before and after, one minute mean; with other work on it, the figures are too low
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")


def phase(jobs: list[Any], raylets: int, make: Any) -> dict[str, float]:
    """Work through the jobs with `raylets` actors. Raises RuntimeError if a clip fails or an actor had none."""
    from grid.execute.ray_pool import Pool

    given: dict[Any, Any] = {}
    first: dict[Any, float] = {}
    ends: list[float] = []

    def start(actor: Any, job: Any) -> Any:
        given[job.stage.key] = actor
        return actor.video.remote(job)

    for done in Pool(make, lambda: raylets).run(jobs, start, rounds=1):
        if done.error or done.status:
            raise RuntimeError(f"a clip failed: {done.error or done.status}")
        ends.append(time.monotonic())
        first.setdefault(given[done.job.stage.key], ends[-1])
    if len(first) != raylets:
        raise RuntimeError(f"{len(first)} actors worked, expected {raylets}")
    warm = max(first.values())
    n = sum(end > warm for end in ends)
    seconds = ends[-1] - warm
    return {"raylets": raylets, "clips": n, "seconds": round(seconds, 2), "clips_per_s": round(n / seconds, 4)}


def measure(clip: Path, folder: Path, n_clips: int, trunk: str) -> dict[str, Any]:
    """All phases, on raylets started here."""
    import ray
    from ray.cluster_utils import Cluster as Raylets

    from dataprep.datasets.biovid import DATASET
    from dataprep.records import Trial
    from grid.execute.ray_executor import Cluster
    from grid.execute.ray_preparer import Preparer
    from grid.experiment import config
    from grid.plan import preparation
    from grid.store.artefacts import Store
    from grid.store.content_hashes import fingerprints

    experiment = config.load("paper", trunk={"name": trunk, "random": True, "weights": ""})
    spec = preparation.TrunkSpec.of(experiment)
    clips = [Path(shutil.copy(clip, folder / f"clip{n}{clip.suffix}")) for n in range(n_clips)]
    marks = fingerprints([str(c) for c in clips], folder / "fingerprints.json")
    store = Store(folder / "store")

    def jobs(number: int) -> list[preparation.VideoJob]:
        options: dict[str, Any] = {"settings": experiment.face_settings, "trunk": spec, "dataset": DATASET}
        return [
            preparation.video_job(
                Trial(trial_id=c.stem, subject="s", class_id=0, class_name="BL1", video=str(c)),
                f"{marks[str(c)]}-{number}-{i}",
                **options,
            )
            for i, c in enumerate(clips)
        ]

    raylets = Raylets(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        raylets.add_node(num_cpus=1)
        Cluster(store, experiment.execution, address=raylets.address, logs=folder / "logs")
        shared = ray.put((spec, spec.load().shared()))

        def make() -> Any:
            return Preparer.options(num_cpus=1).remote(store, "cpu", 600.0, folder / "logs", shared)  # type: ignore[attr-defined]

        load = [os.getloadavg()[0]]
        phases = [phase(jobs(0), 1, make)]
        second = raylets.add_node(num_cpus=1)
        raylets.wait_for_nodes()
        phases.append(phase(jobs(1), 2, make))
        raylets.remove_node(second)
        phases.append(phase(jobs(2), 1, make))
        load.append(os.getloadavg()[0])
    finally:
        ray.shutdown()
        raylets.shutdown()
    speedup = phases[1]["clips_per_s"] / ((phases[0]["clips_per_s"] + phases[2]["clips_per_s"]) / 2)
    return {
        "trunk": trunk,
        "processors": os.cpu_count(),
        "phases": phases,
        "speedup": round(speedup, 3),
        "efficiency": round(speedup / 2, 3),
        "load": [round(value, 1) for value in load],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=16, help="per phase")
    parser.add_argument("--trunk", default="alexnet-fer-bn")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "generated.mp4"
        subprocess.run([sys.executable, str(Path(__file__).with_name("prepare.py")), "--make", str(clip)], check=True)
        print(json.dumps(measure(clip, Path(name), chosen.clips, chosen.trunk), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
