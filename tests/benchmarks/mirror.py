"""How fast a full grid is mirrored into MLflow, and whether many writers at once, or a killed server, lose anything.

    PYTHONPATH=. python tests/benchmarks/mirror.py [--json] [--epochs 800] [--writers 16] [--only PART]

A result folder of the published grid's size (16 rows, 160 folds, the stages that they share, with the learning curve of every
sub-network) is made up and mirrored straight into a SQLite file, then through a local server of one worker with SQLite behind
it: once, again (nothing may change), by many processes at once with smaller folders, and with the server killed in the middle and
started again. Everything in the database is then compared, point by point, with what straight mirroring gave. Models are not
registered: made-up stages hold no weights.

    sqlite_s, server_s, again_s  wall seconds straight into a file, through the server, and through the server once more
    runs, params, points         what the database holds after the first of these
    counted_wrong                difference of these from what the folder's files say
    changed_again                what the second mirroring added, of anything
    writers_s                    wall seconds until the last of the processes was done, of which starting them is a part
    failed_writers, lost, extra  processes that failed; entries that are missing or too many after all writers
    killed_at                    runs in the database when the server was killed; then `lost` and `extra` again
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient

from grid.experiment.cells import PAPER_ROWS
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.tracking import sync
from grid.tracking.cell_facts import CHILD_POINTS
from painmodels.tasks import PAIN
from tests.mlflow_servers import content, differences, server

METRICS = [metric.name for metric in PAIN.metrics]


def make_folder(
    out: Path, *, name: str, epochs: int, folds: int = 10, scenarios: tuple[str, ...] = ("all87", "expressive67")
) -> None:
    """A result folder with all that the mirror reads."""
    rng, store, cells = np.random.default_rng(0), Store(out / "store"), []
    out.mkdir(parents=True)
    for scenario in scenarios:
        for fold in range(folds):
            for row in PAPER_ROWS:
                roles = ["spatial"] if row == "frame" else ["spatial", "temporal", "attention"] if "video" in row else []
                roles += ["physiological"] if row not in ("frame", "video") else []
                roles += ["fusion"] if "+video" in row else []
                shared = {
                    "physiological": row.removesuffix("+video"),
                    "fusion": row,
                }  # the others serve every row with video
                fits = []
                for role in roles:
                    n = epochs if role == "physiological" else 30
                    stage = Stage(f"fit-{role}", 1, {"of": [name, shared.get(role, ""), scenario, fold]})
                    curve = [{"epoch": e, "loss": float(rng.random()), "accuracy": 0.5, "lr": 1e-3} for e in range(n)]
                    if not store.has(stage):
                        store.write(stage, {"network.w": np.zeros(1, np.float32)}, {"curve": curve, "seconds": 1.0})
                    fits.append({"stage": stage.name, "key": stage.key, "role": role, "settings": {"lr": 1e-3, "epochs": n}})
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
    scores[METRICS] = rng.random((len(scores), len(METRICS)))
    scores.assign(n_test=348).to_csv(out / "scores.csv", index=False)
    (out / "cells.json").write_text(json.dumps(cells))
    experiment = {"name": name, "signals": {"normalise": "trial"}}
    run = {"experiment": experiment, "trunk": {"name": "t", "random": False}, "data": {"fingerprint": "f"}, "commit": "c"}
    (out / "run.json").write_text(json.dumps({**run, "protocol": "subject"}))


def expected(folder: Path) -> dict[str, int]:
    """Runs and points of metrics that the folder's own files ask for, by counting its cells and stages."""
    cells = json.loads((folder / "cells.json").read_text())
    stages = {fit["key"]: fit["settings"]["epochs"] for cell in cells for fit in cell["fits"]}
    points = sum(len(METRICS) + sum(2 * min(CHILD_POINTS, fit["settings"]["epochs"]) for fit in c["fits"]) for c in cells)
    points += sum(2 * epochs + 1 for epochs in stages.values())  # and its seconds
    rows = {(c["modality"], c["scenario"]) for c in cells}
    return {"runs": len(rows) + len(cells) + len(stages), "points": points}


def sync_command(folder: Path, uri: str) -> list[str]:
    """Mirror a folder in a process of its own."""
    code = "import sys; from pathlib import Path; from grid import tracking; "
    code += "tracking.sync(Path(sys.argv[1]), sys.argv[2], models=False)"
    return [sys.executable, "-c", code, str(folder), uri]


def timed(folder: Path, uri: str) -> tuple[float, dict[str, int]]:
    """Wall seconds of a mirroring in this process, and its counts."""
    started = time.monotonic()
    counts = sync.sync(folder, uri, models=False)
    return round(time.monotonic() - started, 1), counts


def full(folder: Path, epochs: int) -> dict[str, float]:
    """Speed, and that nothing changes when it is done again."""
    make_folder(folder / "full", name="full", epochs=epochs)
    straight, database = folder / "full.db", folder / "served.db"
    MlflowClient(f"sqlite:///{straight}").search_experiments()  # the schema alone takes seconds
    found: dict[str, float] = {}
    found["sqlite_s"], _ = timed(folder / "full", f"sqlite:///{straight}")
    with server(f"sqlite:///{database}") as uri:
        found["server_s"], _ = timed(folder / "full", uri)
        first = content(database)
        found["again_s"], counts = timed(folder / "full", uri)
    asked, (runs, params, points) = (
        expected(folder / "full"),
        (first["runs"].total(), first["params"].total(), first["points"].total()),
    )
    parents = sum(n for (run, *_), n in first["points"].items() if run[0] == "row")
    found |= {"runs": runs, "params": params, "points": points}
    found["counted_wrong"] = abs(runs - asked["runs"]) + abs(points - parents - asked["points"])
    found["changed_again"] = counts["made"] + counts["updated"] + differences(first, content(database))[1]
    return found | dict(zip(("lost", "extra"), differences(content(straight), first), strict=True))


def many(folder: Path, writers: int) -> dict[str, float]:
    """Many processes, each with a folder of its own, through one server."""
    straight, database = folder / "all.db", folder / "served.db"
    folders = [folder / f"w{i}" for i in range(writers)]
    for place in folders:
        make_folder(place, name=place.name, epochs=50, folds=1, scenarios=("all87",))
        sync.sync(place, f"sqlite:///{straight}", models=False)
    with server(f"sqlite:///{database}") as uri:
        started = time.monotonic()
        each = [subprocess.Popen(sync_command(place, uri)) for place in folders]
        failed = sum(process.wait() != 0 for process in each)
        seconds = round(time.monotonic() - started, 1)
    lost, extra = differences(content(straight), content(database))
    return {"writers_s": seconds, "failed_writers": failed, "lost": lost, "extra": extra}


def killed(folder: Path) -> dict[str, float]:
    """The server killed at a third of the runs, and started again after the mirroring has given up."""
    make_folder(folder / "k", name="k", epochs=200, folds=3)
    straight, database = folder / "straight.db", folder / "served.db"
    sync.sync(folder / "k", f"sqlite:///{straight}", models=False)
    runs = expected(folder / "k")["runs"]
    with server(f"sqlite:///{database}", kill=True) as uri:
        writer = subprocess.Popen(sync_command(folder / "k", uri), stderr=subprocess.DEVNULL)
        while (done := content(database)["runs"].total()) < runs / 3 and writer.poll() is None:
            time.sleep(0.05)
    gave_up = writer.wait() != 0
    with server(f"sqlite:///{database}") as uri:
        sync.sync(folder / "k", uri, models=False)
    lost, extra = differences(content(straight), content(database))
    return {"killed_at": done, "gave_up": float(gave_up), "lost": lost, "extra": extra}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--epochs", type=int, default=800, help="of the physiological network")
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--only", choices=["full", "many", "killed"])
    chosen = parser.parse_args()
    parts = {
        "full": lambda place: full(place, chosen.epochs),
        "many": lambda place: many(place, chosen.writers),
        "killed": killed,
    }
    found: dict[str, dict[str, float]] = {}
    for name, part in parts.items():
        if chosen.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                found[name] = part(Path(folder))
            if not chosen.json:
                print(name, "  ".join(f"{k}={v}" for k, v in found[name].items()), flush=True)
    if chosen.json:
        print(json.dumps(found, indent=1))
    bad = ("lost", "extra", "counted_wrong", "changed_again", "failed_writers")
    return int(any(values.get(name) for values in found.values() for name in bad))


if __name__ == "__main__":
    sys.exit(main())
