"""Checks the address of a Ray cluster, and chooses the folder for a local Ray's sockets."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from dataprep.records import InputError

SOCKET_NAME = len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1")
SOCKET_LIMIT = 107  # bytes in the path of a socket, of Linux


def probe(address: str, *, running: Callable[[], Collection[str]], seconds: float = 5.0) -> None:
    """Raises InputError if nothing answers at HOST:PORT (Ray itself would try for half a minute or more), or at ray://HOST:PORT."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    if address == "local":
        return
    if address == "auto":
        address = next(iter(running()), "")
        if not address:
            raise InputError(
                "--address auto: no Ray runs on this machine. Go to the head of the cluster, or start one (`ray start --head`); "
                "`ray status` says whether there is one. Without --address, a Ray is started for this run alone"
            )
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme == "ray":
        raise InputError(
            f"--address {address}: a run cannot go through Ray's client, because the driver of its fits has to be a part of the "
            "cluster. Run the command on the head with --address auto, or from here as a job: `ray job submit --address "
            "http://127.0.0.1:8265 -- python -m grid.launch … --address auto` (grid/clusters/README.md)"
        )
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme:
        raise InputError(f"--address {address}: expected auto or HOST:PORT")
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        raise InputError(
            f"--address {address}: no Ray answers there ({error}). Check on the head: `ray status`; the port (6379 as "
            "a rule); that this machine reaches it; and that both have the same token. On the head itself: --address auto"
        ) from None


def short_folder() -> dict[str, str]:
    """Ray's own folder, where the one for temporary files is too long for the names of its sockets; else nothing.

    Raises InputError where no other can be found.
    """
    usual = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    over = len(os.fsencode(usual)) + SOCKET_NAME - SOCKET_LIMIT
    if over <= 0:
        return {}
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.access(folder, os.W_OK | os.X_OK):
            return {"_temp_dir": tempfile.mkdtemp(prefix="ray-", dir=folder)}
    raise InputError(
        f"TMPDIR={usual}: is {over} bytes too long for the names of Ray's sockets, which may have {SOCKET_LIMIT}; "
        "expected a shorter one in TMPDIR"
    )
