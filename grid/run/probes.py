"""Checks before a run that its folders, store and tracking server can be used; nothing is written."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from ssl import SSLCertVerificationError
from urllib.parse import urlsplit

from dataprep.records import InputError
from dataprep.storage import Place
from grid.tracking.redact import redact

ANSWER_S = 5.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # the machine's fault, not that of whoever named the folder
SILENT = "no MLflow answers there now"


def places(out: Path, root: Place, uri: str | None) -> list[str]:
    """A line on each of the three places that a run uses, the tracking server last. Raises InputError for one that cannot be."""
    return [
        f"results     {folder('--out', out)}",
        f"artefacts   {store(root)}",
        f"tracking    {tracking(uri, out)}",
    ]


def folder(option: str, path: Path) -> str:
    """A sentence on a folder of this machine that is to be written to. Raises InputError where it cannot be."""
    there = path.resolve()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{option} {path}: {there} is a file, expected a folder")
    refused = f"{option} {path}: nothing may be written into {there} by this user; expected another folder"
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(refused)
    try:  # for root, /proc may be written to until it is tried
        os.rmdir(tempfile.mkdtemp(prefix=".pain-grid-", dir=there))
    except OSError as error:
        if error.errno in FULL:
            raise
        raise InputError(f"{refused} ({error.strerror})") from None
    return f"{path} ({'there' if there == path.resolve() else 'new'})"


def store(at: Place) -> str:
    """The same of the place of artefacts."""
    if isinstance(at, Path):
        return folder("--store", at)
    try:
        found = at.exists()
    except OSError as error:
        raise InputError(
            f"--store {at}: cannot be reached ({error}); expected a bucket that this machine may read"
        ) from None
    return f"{at} ({'there' if found else 'new'}; that it may be written to is seen with the first artefact)"


def tracking(uri: str | None, out: Path) -> str:
    """A sentence on where runs are mirrored: a server that does not answer costs no result, so it is said and no error."""
    if uri is None:
        return f"a database in {out}"
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") and not parts.scheme.startswith(("sqlite", "postgresql", "mysql")):
        raise InputError(f"--tracking-uri {redact(uri)}: expected http://…, https://…, sqlite:///… or postgresql://…")
    if parts.scheme.startswith("sqlite"):
        return redact(uri)
    ports = {"http": 80, "https": 443, "mysql": 3306}
    try:
        host, port = parts.hostname or "", parts.port or ports.get(parts.scheme.split("+")[0], 5432)
        socket.create_connection((host, port), timeout=ANSWER_S).close()
        if parts.scheme.startswith("http"):
            _speaks_http(parts.scheme, host, port)
    except (OSError, ValueError, HTTPException) as error:
        why = f"{error or type(error).__name__}"
        return f"{redact(uri)}: {SILENT} ({why}); results do not need it, but the run ends with exit code 1 if it stays away"
    return f"{redact(uri)} (answers)"


def _speaks_http(scheme: str, host: str, port: int) -> None:
    """Raises HTTPException or OSError where what listens is no web server. What it answers is not looked at."""
    kind = HTTPSConnection if scheme == "https" else HTTPConnection
    connection = kind(host, port, timeout=ANSWER_S)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
    except SSLCertVerificationError:
        pass  # something answers; MLflow has settings of its own for certificates
    finally:
        connection.close()
