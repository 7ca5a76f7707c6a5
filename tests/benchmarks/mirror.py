"""How fast a full grid is mirrored into MLflow, and whether many writers at once lose anything.

    python tests/benchmarks/mirror.py [--json] [--epochs 800] [--writers 16]

A result folder of the published grid's size (16 parents, 160 folds, the learning curves of every sub-network) is made up
and mirrored through a local server of one worker with SQLite behind it: once, again (nothing may change), and then smaller
ones by several processes at once. Every run, parameter and metric is counted in the database afterwards.

    mirror_s, again_s   wall seconds of the first and the second mirroring
    runs, metrics       what the database holds; metrics are points of curves and scores
    writers_s           wall seconds until the last of the writers was done
    lost                runs, parameters or metric points missing after that
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from grid import tracking
from grid.cells import PAPER_ROWS
from grid.keys import Stage
from grid.metrics import METRICS
from grid.store import Store


def make_folder(
    out: Path, *, name: str, epochs: int, folds: int = 10, scenarios: tuple[str, ...] = ("all87", "expressive67")
) -> int:
    """A result folder with all that the mirror reads; returns how many metric points its folds have."""
    rng, store, cells, points = np.random.default_rng(0), Store(out / "store"), [], 0
    out.mkdir(parents=True)
    for scenario in scenarios:
        for fold in range(folds):
            for row in PAPER_ROWS:
                roles = ["spatial"] if row == "frame" else ["spatial", "temporal", "attention"] if "video" in row else []
                roles += ["physiological"] if row not in ("frame", "video") else []
                roles += ["fusion"] if "+video" in row else []
                fits = []
                for role in roles:
                    n = epochs if role == "physiological" else 30
                    stage = Stage(f"fit-{role}", 1, {"of": [name, row if role == "physiological" else "", scenario, fold]})
                    curve = [{"epoch": e, "loss": float(rng.random()), "accuracy": 0.5, "lr": 1e-3} for e in range(n)]
                    if not store.has(stage):
                        store.write(stage, {"network.w": np.zeros(1, np.float32)}, {"curve": curve, "seconds": 1.0})
                    points += 2 * n
                    fits.append({"stage": stage.name, "key": stage.key, "role": role, "settings": {"lr": 1e-3, "epochs": n}})
                points += len(METRICS)
                cell = {
                    "modality": row,
                    "scenario": scenario,
                    "protocol": "subject",
                    "fold": fold,
                    "status": "done",
                    "reason": "",
                }
                predict = Stage("predict", 1, {"of": [name, row, scenario, fold]}).key
                cells.append({**cell, "predict": predict, "fits": fits, "n_train": 3132, "n_test": 348})
    scores = pd.DataFrame([{k: c[k] for k in ("modality", "scenario", "protocol", "fold")} for c in cells])
    scores[list(METRICS)] = rng.random((len(scores), len(METRICS)))
    scores.assign(n_test=348).to_csv(out / "scores.csv", index=False)
    (out / "cells.json").write_text(json.dumps(cells))
    experiment = {"name": name, "signals": {"normalise": "trial"}}
    run = {"experiment": experiment, "trunk": {"name": "t", "random": False}, "data": {"fingerprint": "f"}, "commit": "c"}
    (out / "run.json").write_text(json.dumps({**run, "protocol": "subject"}))
    return points


@contextmanager
def server(database: Path) -> Iterator[str]:
    """An MLflow server on a free port of loopback; its address."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command, environment = tracking.server_command(f"sqlite:///{database}", port)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"the MLflow server did not start: {process.poll()}") from None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def counts(database: Path) -> dict[str, int]:
    """Runs, parameters, metric points and runs that are not over, of the whole database."""
    with sqlite3.connect(database) as db:
        tables = {"runs": "runs", "params": "params", "metrics": "metrics", "open": "runs WHERE status = 'RUNNING'"}
        return {name: db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for name, table in tables.items()}


def measure(folder: Path, *, epochs: int, writers: int) -> dict[str, float | int]:
    """All figures."""
    points = make_folder(folder / "full", name="full", epochs=epochs)
    small = [make_folder(folder / f"w{i}", name=f"w{i}", epochs=50, folds=1, scenarios=("all87",)) for i in range(writers)]
    database = folder / "mlflow.db"
    found: dict[str, float | int] = {}
    with server(database) as uri:
        for name in ("mirror_s", "again_s"):
            started = time.monotonic()
            made = tracking.sync(folder / "full", uri)
            found[name] = round(time.monotonic() - started, 1)
            found["runs" if name == "mirror_s" else "touched_again"] = made["made"] + made["updated"]
        before = counts(database)
        found["metrics"] = before["metrics"]
        started = time.monotonic()
        code = (
            "import sys; from pathlib import Path; from grid import tracking; tracking.sync(Path(sys.argv[1]), sys.argv[2])"
        )
        each = [subprocess.Popen([sys.executable, "-c", code, str(folder / f"w{i}"), uri]) for i in range(writers)]
        broken = sum(process.wait() != 0 for process in each)
        found["writers_s"] = round(time.monotonic() - started, 1)
    after = counts(database)
    found["failed_writers"], found["left_open"] = broken, after["open"]
    found["lost_runs"] = before["runs"] + 16 * writers - after["runs"]
    found["lost_points"] = max(0, points + sum(small) - after["metrics"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--epochs", type=int, default=800, help="of the physiological network")
    parser.add_argument("--writers", type=int, default=16)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), epochs=chosen.epochs, writers=chosen.writers)
    print(json.dumps(found, indent=1) if chosen.json else "  ".join(f"{k}={v}" for k, v in found.items()))
    return 0 if not (found["lost_runs"] or found["lost_points"] or found["failed_writers"] or found["left_open"]) else 1


if __name__ == "__main__":
    sys.exit(main())
