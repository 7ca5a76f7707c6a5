"""Do two nodes prepare faster than one? Two raylets on this machine, one processor each, against one of them.

    python tests/benchmarks/raylets.py [--json] [--clips N] [--trunk NAME]

N copies of the generated clip of tests/benchmarks/prepare.py go through the grid's own pool of actors into a fresh store.
The clock starts when every actor has delivered its first clip (processes started, networks loaded) and stops at the last.
Efficiency is the speed-up over one raylet divided by two; beside other work on the machine it is no more than a lower bound,
so the load average is part of the result.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from prepare import make_clip

from dataprep.datasets import dataset
from dataprep.faces import FaceSettings
from dataprep.types import Trial
from grid.config import Execution
from grid.prepare import TrunkSpec, VideoJob, video_job
from grid.store import Store
from painmodels.spatial import trunk_fingerprint


def jobs_of(folder: Path, n: int, trunk: str) -> list[VideoJob]:
    """`n` jobs on copies of one clip."""
    first = folder / "clip0.mp4"
    make_clip(first)
    mark = trunk_fingerprint(trunk, random=True)
    spec = TrunkSpec(trunk, "", True, 0, "", "float32", mark)
    jobs = []
    for i in range(n):
        file = folder / f"clip{i}.mp4"
        if i:
            shutil.copy(first, file)
        trial = Trial(f"t{i}", "s", 0, "BL1", str(file))
        jobs.append(video_job(trial, f"mark{i}", settings=FaceSettings(), trunk=spec, dataset=dataset("biovid")))
    return jobs


def rate(nodes: int, jobs: list[VideoJob], folder: Path) -> dict[str, Any]:
    """Clips per second of the whole pool on `nodes` raylets of one processor each."""
    import ray
    from ray.cluster_utils import Cluster as Raylets

    from grid.cluster import Cluster

    raylets = Raylets(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            raylets.add_node(num_cpus=1)
        raylets.wait_for_nodes()
        ray.init(address=raylets.address, log_to_driver=False, logging_level=logging.ERROR)
        done: list[float] = []
        cluster = Cluster(Store(folder / f"store{nodes}"), Execution(), address=None, logs=folder / "logs")
        load = os.getloadavg()[0]
        prepared = cluster.prepare(jobs, [], lambda **_: done.append(time.monotonic()))
        if len(prepared.videos) != len(jobs):
            raise RuntimeError(
                f"{nodes} raylets prepared {len(prepared.videos)} of {len(jobs)} clips: {prepared.defects[:1]}"
            )
        start = 2 * nodes - 1  # by then the slowest actor has delivered too
        clips_per_s = (len(done) - 1 - start) / (done[-1] - done[start])
        return {"raylets": nodes, "clips_per_s": round(clips_per_s, 3), "load_average_before": round(load, 1)}
    finally:
        ray.shutdown()
        raylets.shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--clips", type=int, default=16, metavar="N", help="at least 8")
    parser.add_argument("--trunk", default="alexnet-fer-bn", metavar="NAME")
    chosen = parser.parse_args()
    if chosen.clips < 8:
        parser.error(f"--clips: found {chosen.clips}, expected at least 8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = jobs_of(folder, chosen.clips, chosen.trunk)
        one, two = (rate(nodes, jobs, folder) for nodes in (1, 2))
    speedup = two["clips_per_s"] / one["clips_per_s"]
    result = {"runs": [one, two], "speedup": round(speedup, 2), "efficiency": round(speedup / 2, 2), "cores": os.cpu_count()}
    print(json.dumps(result, indent=1) if chosen.json else result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
