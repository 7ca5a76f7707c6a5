"""Where MLflow keeps its runs: a server, a database, or the file of a result folder; and whether it can be used.

Every module of this room that needs MLflow imports this one first: it sets what MLflow reads when it is loaded.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from urllib.parse import quote

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it would ask the server once more a run
os.environ.setdefault(
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"
)  # grid/tracking/runs.py tries again, and looks first what was done
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from grid.tracking.redact import redact

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

UNREACHABLE = (MlflowException,)
UNUSABLE = (MlflowException, SQLAlchemyError, OSError)
"""Errors of a server, and of a database or an artefact folder: anything else is a bug."""


def local_uri(out: Path) -> str:
    """The SQLite database of a result folder, as an absolute URI: `?`, `#` and `%` in a path mean something else there."""
    path = str((out / "mlflow.db").resolve())
    quoted = quote(path, safe="/")
    # for a plain sqlite:/// MLflow makes the folder of the quoted name
    return f"sqlite:///{path}" if quoted == path else f"sqlite+pysqlite:///{quoted}"


def is_file(uri: str) -> bool:
    """Whether a tracking URI names a file of this machine instead of a server."""
    return uri.startswith("sqlite")


def check_database(uri: str) -> None:
    """Raises MlflowException at once if a database cannot be used: MLflow itself would try for minutes or hours."""
    if uri.startswith(("http:", "https:")):
        return
    try:
        engine = create_engine(uri)
        with engine.connect() as connection:
            if is_file(uri):
                connection.execute(text("PRAGMA schema_version"))
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        why = str(error).strip().splitlines()[0]
        hint = "; its driver comes with pip install 'pain-grid[postgresql]'" if isinstance(error, ImportError) else ""
        raise MlflowException(f"{redact(uri)}: {redact(why)}{hint}") from None


def open_client(uri: str) -> MlflowClient:
    """A client of a server or database that answers. Raises MlflowException at once if it does not."""
    check_database(uri)
    return MlflowClient(uri, registry_uri=uri)
