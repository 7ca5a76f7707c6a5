"""After the tables: writes the report, then the MLflow mirror. If either fails, the results stay."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from dataprep.faults import BUG, EXIT, MACHINE, bug_text
from grid.tracking.redact import redact


def write_report(out: Path, compare: Path | None) -> tuple[str, set[str]]:
    """Write the report in a process of its own; gives what went wrong, and its kind."""
    beside = ["--compare", str(compare)] if compare else []
    done = subprocess.run([sys.executable, "-m", "dashboards.report", str(out), *beside], capture_output=True, text=True)
    if not done.returncode:
        return "", set()
    problem = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return problem, {kind for kind, code in EXIT.items() if code == done.returncode} or {BUG}


def mirror(out: Path, uri: str | None) -> tuple[str, set[str]]:
    """Mirror into MLflow, after everything else: a line on how it went, and the kind of what went wrong, if it cost something."""
    again = f"mirror later with: python -m grid.tracking sync {shlex.quote(str(out))}"
    again += f" --tracking-uri {shlex.quote(redact(uri))}" if uri else ""
    try:
        from grid.tracking import sync  # it loads MLflow, which may be broken
    except Exception as error:
        return _bug(error, out)
    try:
        return f"MLflow mirror: {sync.told(sync.sync(out, uri))}", set()
    except Exception as error:
        if os.environ.get("GRID_TRACEBACK"):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, sync.UNREACHABLE) and uri and not sync.is_file(uri):
            said = "nothing answers" if "Max retries exceeded" in said else said
            why = f"MLflow could not be reached at {redact(uri)}, or refuses ({said})"
            return f"{why}; the results are complete; {again}", {MACHINE}
        if isinstance(error, sync.UNUSABLE):
            return f"MLflow mirror: the database cannot be used ({said}); the results are complete; {again}", {MACHINE}
        return _bug(error, out)


def _bug(error: Exception, out: Path) -> tuple[str, set[str]]:
    if os.environ.get("GRID_TRACEBACK"):
        raise error
    return f"MLflow mirror: {bug_text(error, out / 'logs')}; the results are complete", {BUG}
