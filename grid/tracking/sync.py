"""MLflow as a mirror of the result folder: a parent run per modality row x scenario, a child per fold.

    python -m grid.tracking sync DIR [--tracking-uri URI]
    python -m grid.tracking ui DIR

The stages that were fitted, with whole curves, are in an experiment of their own, "NAME stages" (grid/tracking/stage_runs.py),
hyperparameter searches in "NAME searches" (grid/tracking/search_runs.py), and the best row of each scenario is a registered model
(grid/tracking/model_versions.py). URI is a server (http://, https://; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or
MLFLOW_TRACKING_TOKEN, if it asks) or a database (sqlite:///, postgresql://). Runs are found by their key's tag before they
are made, so that mirroring again changes nothing (grid/tracking/runs.py). If the server is away nothing is lost.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from dataprep.faults import guarded
from dataprep.ports import free_port
from dataprep.program import program
from grid.tracking.connection import UNREACHABLE, UNUSABLE, MlflowException, check_database, is_file, local_uri
from grid.tracking.mirror import Mirror, compare_page
from grid.tracking.mirrors import note_mirror
from grid.tracking.model_versions import register
from grid.tracking.redact import redact
from grid.tracking.runs import VIEWED

__all__ = ["UNREACHABLE", "UNUSABLE", "is_file", "local_uri", "main", "server_command", "sync", "told", "ui"]


def sync(out: Path, tracking_uri: str | None = None, *, models: bool = True) -> dict[str, int]:
    """Mirror a result folder, and register its best models; how many runs were made, updated and found as they should be.

    `models` counts the versions that were registered now. Raises MlflowException with a message for people.
    """
    uri = tracking_uri or local_uri(out)
    try:
        check_database(uri)
        mirror = Mirror(out, uri)
        if uri != local_uri(out):
            note_mirror(out, uri, mirror.name)
            _note_another(mirror)
        counts = mirror.sync()
        return {**counts, "models": register(mirror) if models else 0}
    except MlflowException as error:
        if error.error_code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            raise MlflowException(
                f"{redact(uri)} refused the name or password (expected: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
                "in the environment, of a user who may write)",
                error_code=error.error_code,
            ) from error
        raise


def _note_another(mirror: Mirror) -> None:
    """Say so where the experiment showed another result folder until now."""
    if other := mirror.runs.written_by(f"{socket.gethostname()}:{mirror.out.resolve()}"):
        print(
            f"note: the MLflow experiment {mirror.name!r} was written from {other} before. Its overview, its best models and the "
            "means of rows that both grids have are now those of this folder; to keep two grids apart, give one of them "
            "another `name` in its TOML",
            file=sys.stderr,
        )


def server_command(database_uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Command and environment of an MLflow server on loopback, as small as it can be: one worker, no job execution.

    A request holds up to three connections to the database at once, and 40 are answered side by side; with MLflow's pool of
    15, many writers take all and wait for each other for ever.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database_uri, "--workers", "1"]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "40",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "80",
    }
    return [*command, "--host", "127.0.0.1", "--port", str(port)], environment


def ui(out: Path, port: int) -> int:
    """Serve a result folder's runs on loopback until interrupted; gives the exit code. InputError: the port is in use."""
    port = free_port(port)
    mirror = Mirror(out, local_uri(out))
    mirror.sync()
    print(f"MLflow UI: http://127.0.0.1:{port}/#/experiments/{mirror.runs.experiment}/runs?{VIEWED}   (Ctrl-C ends it)")
    print(f"all rows compared: http://127.0.0.1:{port}/{compare_page(mirror)}", flush=True)
    command, environment = server_command(local_uri(out), port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = subprocess.Popen(command, env=environment)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:  # a terminal tells both processes, `kill` only this one
        server.terminate()
        server.wait()


def told(count: dict[str, int]) -> str:
    """A sentence about the outcome of `sync`."""
    said = f"{count['made']} runs made, {count['updated']} updated, {count['unchanged']} unchanged"
    return said + (f", {count['models']} models registered" if count["models"] else "")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("grid.tracking"), description="Copy a result folder to MLflow, or show it there."
    )
    p.add_argument("command", choices=["sync", "ui"], help="sync: create or complete its runs; ui: show them in a browser")
    p.add_argument("dir", type=Path, help="a result folder (the --out of grid.launch)")
    p.add_argument("--tracking-uri", help="sync: an MLflow server or database; default: the folder's own mlflow.db")
    p.add_argument("--port", type=int, default=5000, help="ui: port on 127.0.0.1 (default 5000)")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Command line: `sync DIR` and `ui DIR`."""
    options = parser().parse_args(arguments)
    missing = [name for name in ("cells.json", "run.json", "scores.csv") if not (options.dir / name).exists()]
    if missing:
        print(f"error: {options.dir} is no result folder: it has no {', '.join(missing)}", file=sys.stderr)
        return 2
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    try:
        if options.command == "ui":
            return ui(options.dir, options.port)
        count = sync(options.dir, options.tracking_uri)
    except UNUSABLE as error:
        print(f"error: MLflow cannot be reached, or its database cannot be used: {error}", file=sys.stderr)
        return 1
    print(f"MLflow: {told(count)}")
    return 0
