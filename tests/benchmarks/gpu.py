"""The steps of gpu.sh, which says what they are: each a process of its own with a time limit; one JSON of what they found.

`budget_s` of all steps together is below eight minutes. The file is written anew after each step, so that nothing is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
LAST = 4000
"""Characters of a failed step's output that are kept."""


@dataclass(frozen=True)
class Step:
    """`command` after the interpreter; `read`: scratch folder and standard output -> what the step found."""

    name: str
    budget_s: int
    command: list[str]
    read: Callable[[Path, str], Any]


def steps(scratch: Path, *, cpu: bool) -> list[Step]:
    device = "cpu" if cpu else "cuda"
    parts = str(HERE / "gpu_parts.py")
    people, trials = ("10", "1") if cpu else ("20", "1")
    data, out = str(scratch / "data"), str(scratch / "out")
    launch = ["-m", "grid.launch", "--all", "--data", data, "--out", out, "--experiment", "methods-demo", "--methods", "all"]
    synthetic = ["-m", "dataprep.synthetic", data, "--subjects", people, "--trials", trials, "--size", "160x120"]
    quiet = ["-p", "no:cacheprovider", "-p", "no:xdist"]
    return [
        Step(
            "cuda_tests", 110, ["-m", "pytest", "-m", "gpu", *quiet, f"--junitxml={scratch / 'tests.xml'}", "tests"], tests
        ),
        Step("packed_lstm", 60, [str(HERE / "packed_lstm.py"), "--json", "--device", device], last_json),
        Step("batches", 40, [parts, "batches", "--device", device], last_json),
        Step("sharing", 40, [parts, "sharing", "--device", device], last_json),
        Step("synthetic", 20, synthetic, lambda folder, text: text.strip().splitlines()[-1:]),
        Step("methods", 200, [*launch, "--folds", "0"], methods),
    ]


def last_json(folder: Path, text: str) -> Any:
    """The JSON object at the end of what a step printed."""
    return json.loads(text[text.index("{") :])


def tests(folder: Path, text: str) -> dict[str, int]:
    suite = next(ElementTree.parse(folder / "tests.xml").getroot().iter("testsuite"))
    return {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}


def methods(folder: Path, text: str) -> list[dict[str, Any]]:
    """Of each row of one fold: parameters, seconds of its fits, accuracy, and the devices of all fits of the store."""
    import pandas as pd

    out = folder / "out"
    costs = pd.read_csv(out / "costs.csv").merge(pd.read_csv(out / "scores.csv"))
    keep = [c for c in ("modality", "fold", "parameters", "seconds", "accuracy") if c in costs]
    manifests = [json.loads(path.read_text()) for path in (out / "store").rglob("manifest.json")]
    devices = sorted({str(m["facts"]["device"]) for m in manifests if "curve" in m.get("facts", {})})
    return [{**row, "devices_of_all_fits": devices} for row in costs[keep].to_dict("records")]


def run(step: Step, scratch: Path) -> dict[str, Any]:
    """What became of a step: its exit status, seconds, and what it found or the end of its output."""
    started = time.monotonic()
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *step.command], capture_output=True, text=True, timeout=step.budget_s, env=env
        )
        status, text, error = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        status, text, error = 124, str(late.stdout or ""), f"not finished in {step.budget_s} s"
    result: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - started, 1)}
    if status == 0:
        try:
            return {**result, "found": step.read(scratch, text)}
        except (OSError, ValueError, KeyError, StopIteration) as unreadable:
            error = f"its result cannot be read: {type(unreadable).__name__}: {unreadable}\n{error}"
    return {**result, "status": status or 1, "output": (text + error)[-LAST:]}


def machine() -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available()
    return {
        "gpu": torch.cuda.get_device_name() if cuda else "not measured on a GPU",
        "cuda": torch.version.cuda if cuda else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="All that waits for a GPU; tests/benchmarks/gpu.sh tells more.")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--cpu", action="store_true", help="the same steps, smaller, on the CPU: to see that they run")
    chosen = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "steps": {}}
    if not chosen.cpu and found["machine"]["cuda"] is None:
        print("no CUDA device: nothing was measured (--cpu: the same steps on the CPU)", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as name:
        for step in steps(Path(name), cpu=chosen.cpu):
            found["steps"][step.name] = result = run(step, Path(name))
            print(f"{step.name}: status {result['status']}, {result['seconds']} s of {step.budget_s}", flush=True)
            chosen.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(any(result["status"] for result in found["steps"].values()))


if __name__ == "__main__":
    sys.exit(main())
