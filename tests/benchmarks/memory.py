"""How much memory an actor takes that prepares videos, on a real Ray, decoder, detector and trunk at work.

    python tests/benchmarks/memory.py [--trunk NAME] [--actors N] [--clips N] [--clip FILE]

The clips are copies of the generated one of tests/benchmarks/prepare.py (1388x1038, 138 frames), or of FILE. Actors are looked
at from outside, in /proc, ten times a second, from their start to their end; the largest value of any actor counts. In MB:

    own_mb   RssAnon: memory that the process allocated itself. What one more actor costs a machine
    pss_mb   proportional: its own, and its part of what it shares (libraries with every process that runs torch, the
             trunk's weights with the other actors through the object store)
    rss_mb   VmHWM, the kernel's own mark of the most that was ever resident: shared pages are counted in full by each
    import_mb  VmRSS of a process that has imported Ray, torch and the preparation, and done nothing

Prints JSON with these and the number of clips prepared; exit status 1 if one was not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from dataprep.records import Trial

SAMPLE_S = 0.1


class Watch(threading.Thread):
    """Looks at the actors below this process until `over` is set; `peaks`: pid -> (own, pss, rss), MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over, self.peaks = threading.Event(), dict[int, tuple[int, int, int]]()

    def run(self) -> None:
        while not self.over.wait(SAMPLE_S):
            for pid in preparers():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                except OSError:
                    continue  # it ended meanwhile
                found = (
                    re.search(r"RssAnon:\s+(\d+)", status),
                    re.search(r"\bPss:\s+(\d+)", rollup),
                    re.search(r"VmHWM:\s+(\d+)", status),
                )
                values = tuple(int(m[1]) // 1024 for m in found if m)
                if len(values) == 3:
                    self.peaks[pid] = tuple(map(max, values, self.peaks.get(pid, (0, 0, 0))))  # type: ignore[assignment]


def preparers() -> list[int]:
    """The processes below this one that are actors of preparation."""
    parents, titles = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat, title = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
            titles[int(folder.name)] = title.decode(errors="replace")
    below = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return [pid for pid in below if titles.get(pid, "").startswith("ray::Preparer")]


def measure(clips: list[Path], trunk: str, actors: int, folder: Path) -> dict[str, object]:
    """Prepare the clips on a Ray of `actors` processors started here."""
    from dataprep.datasets.biovid import DATASET
    from grid.execute.ray_executor import Cluster
    from grid.experiment import config
    from grid.plan import preparation
    from grid.store.artefacts import Store
    from grid.store.content_hashes import fingerprints

    os.environ["RAY_OVERRIDE_RESOURCES"] = json.dumps({"CPU": actors})
    experiment = config.load("paper", trunk={"name": trunk, "random": True, "weights": ""})
    spec = preparation.TrunkSpec.of(experiment)
    marks = fingerprints([str(c) for c in clips], folder / "fingerprints.json")
    jobs = [
        preparation.video_job(
            Trial(trial_id=c.stem, subject="s", class_id=0, class_name="BL1", video=str(c)),
            f"{marks[str(c)]}-{n}",
            settings=experiment.face_settings,
            trunk=spec,
            dataset=DATASET,
        )
        for n, c in enumerate(clips)
    ]
    cluster = Cluster(Store(folder / "store"), experiment.execution, address=None, logs=folder / "logs")
    watch = Watch()
    watch.start()
    prepared = cluster.prepare(jobs, [], lambda **_: None)
    watch.over.set()
    watch.join()
    cluster.close()
    own, pss, rss = (max(peak[i] for peak in watch.peaks.values()) for i in range(3))
    bare = "import re, ray, grid.execute.ray_preparer; print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    imported = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=True)
    return {
        "trunk": trunk,
        "actors": len(watch.peaks),
        "prepared": len(prepared.videos),
        "defects": [d.reason for d in prepared.defects],
        "own_mb": own,
        "pss_mb": pss,
        "rss_mb": rss,
        "import_mb": int(imported.stdout) // 1024,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trunk", default="alexnet-fer-bn")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--clip", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = chosen.clip or folder / "generated.mp4"
        if not chosen.clip:
            subprocess.run([sys.executable, str(Path(__file__).with_name("prepare.py")), "--make", str(first)], check=True)
        clips = [Path(shutil.copy(first, folder / f"clip{n}{first.suffix}")) for n in range(chosen.clips)]
        found = measure(clips, chosen.trunk, chosen.actors, folder)
    print(json.dumps(found, indent=1))
    return 0 if found["prepared"] == chosen.clips else 1


if __name__ == "__main__":
    sys.exit(main())
