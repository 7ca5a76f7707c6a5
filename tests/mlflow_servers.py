"""Real MLflow servers for tests and benchmarks, and everything that a SQLite database of theirs holds."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grid.tracking import sync
from grid.tracking.runs import CONTENT_TAG, KEY_TAG


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def server(
    database_uri: str, *, port: int = 0, kill: bool = False, more: tuple[str, ...] = (), **environment: str
) -> Iterator[str]:
    """An MLflow server on loopback as `grid.tracking` starts it; its address. `kill`: it ends by SIGKILL."""
    port = port or free_port()
    command, variables = sync.server_command(database_uri, port)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A new session, so that a killed server takes its worker with it.
    # A server keeps the artefacts that are sent to it in its working directory: beside its database, where it has a file.
    file = Path(database_uri.removeprefix("sqlite:///"))
    folder = str(file.parent) if database_uri.startswith("sqlite") else tempfile.mkdtemp(prefix="mlflow-server-")
    quiet |= {"cwd": folder, "start_new_session": True}
    process = subprocess.Popen([*command, *more], env={**variables, **environment}, **quiet)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        if kill:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.terminate()
        process.wait(timeout=60)


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Until the server that the process starts answers."""
    deadline = time.monotonic() + 120
    while not answers(port):
        assert process.poll() is None, "the MLflow server ended by itself"
        assert time.monotonic() < deadline, "the MLflow server did not start"
        time.sleep(0.2)


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
    except OSError:
        return False
    return True


def content(database: Path) -> dict[str, Counter]:
    """Runs, parameters, tags and points of metrics, without what differs from one mirroring to the next (ids, times).

    A run is known by its kind and key; one without a key, or made twice, shows as such.
    """
    if not database.exists():
        return {"runs": Counter(), "params": Counter(), "points": Counter(), "tags": Counter()}
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60) as db:
        try:
            alive = db.execute("SELECT run_uuid, status FROM runs WHERE lifecycle_stage = 'active'").fetchall()
        except sqlite3.OperationalError:  # not made yet
            return content(database.with_name("absent"))
        tags = db.execute("SELECT run_uuid, key, value FROM tags").fetchall()
        params = db.execute("SELECT run_uuid, key, value FROM params").fetchall()
        points = db.execute("SELECT run_uuid, key, step, value FROM metrics").fetchall()
    known: dict[str, dict[str, str]] = {run: {} for run, _ in alive}
    for run, key, value in tags:
        if run in known and key in ("kind", KEY_TAG):
            known[run][key] = value
    name = {run: (values.get("kind", ""), values.get(KEY_TAG, "")) for run, values in known.items()}
    other = {CONTENT_TAG, "mlflow.parentRunId", "mlflow.note.content", "stage_runs"}  # these hold ids
    return {
        "runs": Counter((name[run], status) for run, status in alive),
        "params": Counter((name[r], k, v) for r, k, v in params if r in name),
        "points": Counter((name[r], k, s, v) for r, k, s, v in points if r in name),
        "tags": Counter((name[r], k, v) for r, k, v in tags if r in name and k not in other),
    }


def differences(wanted: dict[str, Counter], found: dict[str, Counter]) -> tuple[int, int]:
    """How many entries are missing, and how many are too many."""
    lost = sum((wanted[part] - found[part]).total() for part in wanted)
    return lost, sum((found[part] - wanted[part]).total() for part in wanted)
