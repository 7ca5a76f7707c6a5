"""MLflow as a mirror of the result folder: a parent run per modality row x scenario, a child per fold.

Hyperparameter searches are in an experiment of their own, "NAME searches" (grid/search_runs.py).

    python -m grid.tracking sync DIR [--tracking-uri URI]
    python -m grid.tracking ui DIR

Runs are found by their key's tag before they are made, so that mirroring again changes nothing; each child is written with
as few batches as MLflow allows and ended at once, so that nothing is left RUNNING. If the server is away nothing is lost.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it would ask the server once more a run
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from grid.keys import digest
from grid.metrics import METRICS
from grid.results import KEYS
from grid.runs import Runs
from grid.search_runs import mirror_search
from grid.stats import bootstrap_interval, mean_accuracy
from grid.store import Store
from grid.tables import paper_table2

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


def local_uri(out: Path) -> str:
    """The SQLite database of a result folder, as an absolute URI."""
    return f"sqlite:///{(out / 'mlflow.db').resolve()}"


def sync(out: Path, tracking_uri: str | None = None) -> dict[str, int]:
    """Mirror a result folder; returns how many runs were made, updated and found as they should be. Raises MlflowException."""
    return _Mirror(out, tracking_uri or local_uri(out)).sync()


class _Mirror:
    def __init__(self, out: Path, uri: str) -> None:
        self.out, self.store = out, Store(out / "store")
        self.run = json.loads((out / "run.json").read_text(encoding="utf-8"))
        self.cells = json.loads((out / "cells.json").read_text(encoding="utf-8"))
        self.scores = pd.read_csv(out / "scores.csv")
        predictions = out / "predictions.parquet"
        self.predictions = pd.read_parquet(predictions) if predictions.exists() else None
        self.client = MlflowClient(uri)
        self.writers = 4 if uri.startswith("http") else 1  # a database file takes one at a time
        name = self.run["experiment"]["name"]
        place = (out / "mlartifacts").resolve().as_uri() if uri.startswith("sqlite:") else None
        self.runs = Runs(self.client, name, place)
        self.searches = _read_searches(out)
        self.search_runs = Runs(self.client, f"{name} searches", place) if self.searches else None

    def sync(self) -> dict[str, int]:
        rows: dict[tuple[str, str], list[dict]] = defaultdict(list)
        for cell in self.cells:
            if cell["status"] != "impossible":
                rows[cell["modality"], cell["scenario"]].append(cell)
        with ThreadPoolExecutor(self.writers) as pool:  # a server answers while another request is on its way
            for done in [pool.submit(self._row, *key, cells) for key, cells in rows.items()]:
                done.result()
            if self.search_runs is not None:
                for done in [pool.submit(mirror_search, self.search_runs, s, self._common()) for s in self.searches]:
                    done.result()
        counts = [runs.count for runs in (self.runs, self.search_runs) if runs is not None]
        return {what: sum(count[what] for count in counts) for what in counts[0]}

    def _row(self, modality: str, scenario: str, cells: list[dict]) -> None:
        parent = self._parent(modality, scenario, cells)
        for cell in cells:
            self._child(cell, parent)

    def _common(self) -> dict[str, str]:
        """Tags and parameters alike: the UI groups by either, but compares and plots parameters only."""
        run = self.run
        return {
            "protocol": run["protocol"],
            "experiment": run["experiment"]["name"],
            "trunk": run["trunk"]["name"] + (" (random)" if run["trunk"]["random"] else ""),
            "data_fingerprint": run["data"]["fingerprint"],
            "code_version": run["commit"],
        }

    def _settings(self, cells: list[dict]) -> dict[str, str]:
        """Hyperparameters of the sub-networks in use, as `role.name`; those that differ between the cells are left out."""
        found: dict[str, set[str]] = defaultdict(set)
        for fit in (f for cell in cells for f in cell["fits"]):
            for name, value in fit["settings"].items():
                found[f"{fit['role']}.{name}"].add(str(value))
        out = {name: values.pop() for name, values in sorted(found.items()) if len(values) == 1}
        return {**out, "signals.normalise": self.run["experiment"]["signals"]["normalise"]}

    def _parent(self, modality: str, scenario: str, cells: list[dict]) -> str:
        facts = {"modality": modality, "scenario": scenario, **self._common()}
        settings = self._settings(cells)
        key = digest(["row", {k: v for k, v in facts.items() if k != "code_version"}, settings])
        mine = self.scores[(self.scores.modality == modality) & (self.scores.scenario == scenario)]
        values: dict[str, float] = {}
        paper: dict[Any, float] = next((r.to_dict() for k, r in paper_table2().iterrows() if k == (modality, scenario)), {})
        for metric in METRICS:
            values[f"{metric}_mean"] = float(mine[metric].mean())
            values[f"{metric}_sd"] = float(mine[metric].std(ddof=1))
            if metric in paper:
                values[f"{metric}_paper"] = paper[metric] / 100
                values[f"{metric}_difference"] = values[f"{metric}_mean"] - values[f"{metric}_paper"]
        values |= self._interval(modality, scenario)
        values["folds"] = float(mine.accuracy.notna().sum())
        failed = [c for c in cells if c["status"] == "failed"]
        tags = {**facts, "kind": "row", "mlflow.runName": f"{modality} · {scenario}", "failed_folds": str(len(failed))}
        return self.runs.write(key, tags, {**facts, **settings}, [(m, v, 0) for m, v in values.items()], failed=bool(failed))

    def _interval(self, modality: str, scenario: str) -> dict[str, float]:
        """The 95 % interval of accuracy over subjects; nothing where the predictions are not in the folder."""
        if self.predictions is None:
            return {}
        mine = self.predictions[(self.predictions.modality == modality) & (self.predictions.scenario == scenario)]
        if mine.empty:
            return {}
        interval = bootstrap_interval(mean_accuracy(mine).iloc[:, 0].to_numpy())
        return {"accuracy_low": interval.low, "accuracy_high": interval.high}

    def _child(self, cell: dict, parent: str) -> None:
        facts = {**{k: str(cell[k]) for k in ("modality", "scenario", "fold")}, **self._common()}
        settings = self._settings([cell])
        params = {**facts, **settings, "n_train": str(cell["n_train"]), "n_test": str(cell["n_test"])}
        tags = {
            **facts,
            "kind": "fold",
            "mlflow.parentRunId": parent,
            "mlflow.runName": f"{cell['modality']} · {cell['scenario']} · fold {cell['fold']}",
        }
        tags["stages"] = " ".join(f"{f['stage']}/{f['key']}" for f in cell["fits"])
        searches = dict.fromkeys(f["search"] for f in cell["fits"] if f.get("search"))
        if searches:
            tags["searches"] = " ".join(searches)
        tags["predictions"] = f"predict/{cell['predict']}"
        metrics: list[tuple[str, float, int]] = []
        if cell["status"] == "done":
            score = self.scores
            for name in KEYS:
                score = score[score[name] == cell[name]]
            metrics += [(m, float(score[m].iloc[0]), 0) for m in METRICS]
            for fit in cell["fits"]:
                metrics += self._curve(fit)
        else:
            tags["reason"] = cell["reason"][:4000]
        self.runs.write(digest(["fold", cell["predict"]]), tags, params, metrics, failed=cell["status"] != "done")

    def _curve(self, fit: dict) -> list[tuple[str, float, int]]:
        manifest = self.store.folder(fit["stage"], fit["key"]) / "manifest.json"
        curve = json.loads(manifest.read_text(encoding="utf-8"))["facts"]["curve"]
        names = {"loss": "loss", "accuracy": "train_accuracy"}
        return [(f"{names[n]}/{fit['role']}", float(p[n]), int(p["epoch"])) for n in names for p in curve]


def _read_searches(out: Path) -> list[dict[str, Any]]:
    path = out / "searches.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def server_command(database_uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Command and environment of an MLflow server on loopback, as small as it can be: one worker, no job execution."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database_uri, "--workers", "1"]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    return [*command, "--host", "127.0.0.1", "--port", str(port)], environment


def ui(out: Path, port: int) -> int:
    """Serve a result folder's runs on loopback until interrupted; returns the server's exit code."""
    client = MlflowClient(local_uri(out))
    name = json.loads((out / "run.json").read_text(encoding="utf-8"))["experiment"]["name"]
    experiment = client.get_experiment_by_name(name)
    page = f"/#/experiments/{experiment.experiment_id}/runs" if experiment else ""
    print(f"MLflow UI: http://127.0.0.1:{port}{page}   (Ctrl-C ends it)", flush=True)
    command, environment = server_command(local_uri(out), port)
    try:
        return subprocess.run(command, env=environment).returncode
    except KeyboardInterrupt:
        return 0


def main(arguments: list[str] | None = None) -> int:
    """Command line: `sync DIR` and `ui DIR`."""
    parser = argparse.ArgumentParser(prog="python -m grid.tracking", description="A result folder in MLflow.")
    parser.add_argument(
        "command", choices=["sync", "ui"], help="sync: make or complete its runs; ui: look at them in a browser"
    )
    parser.add_argument("dir", type=Path, help="a result folder (the --out of grid.launch)")
    parser.add_argument("--tracking-uri", help="sync: an MLflow server or database; default: the folder's own mlflow.db")
    parser.add_argument("--port", type=int, default=5000, help="ui: port on 127.0.0.1 (default 5000)")
    options = parser.parse_args(arguments)
    if not (options.dir / "cells.json").exists():
        print(f"error: {options.dir} is no result folder: it has no cells.json", file=sys.stderr)
        return 2
    try:
        if options.command == "ui":
            return ui(options.dir, options.port)
        count = sync(options.dir, options.tracking_uri)
    except MlflowException as error:
        print(f"error: MLflow cannot be reached: {error}", file=sys.stderr)
        return 1
    print(f"MLflow: {count['made']} runs made, {count['updated']} updated, {count['unchanged']} unchanged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
