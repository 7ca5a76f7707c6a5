"""Which MLflow servers and databases a result folder was mirrored to, and what they still hold after a removal.

`mirrors.json` in the result folder has their URIs, without passwords, and the experiments' name. It stays when all else goes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dataprep.storage import Place, write_whole
from grid.tracking.redact import redact

FILE = "mirrors.json"
SHOWN = 20


def note_mirror(out: Path, uri: str, experiment: str) -> None:
    """Remember that this folder's results are sent to another place than its own database."""
    entry = {"uri": redact(uri), "experiment": experiment}
    known = mirrors(out)
    if entry not in known:
        write_whole(out / FILE, json.dumps([*known, entry], indent=1).encode())


def mirrors(out: Path) -> list[dict[str, str]]:
    """Where this folder's results were sent, in order."""
    with suppress(OSError, ValueError):
        return list(json.loads((out / FILE).read_text(encoding="utf-8")))
    return []


def held(outs: Iterable[Path], root: Place) -> list[str]:
    """What other places than the folders themselves hold of the fits in `<root>/stale.csv`, a line each."""
    with suppress(FileNotFoundError):
        stale = {row[1] for row in csv.reader(io.StringIO((root / "stale.csv").read_text(encoding="utf-8"))) if len(row) > 1}
        every = {(m["uri"], m["experiment"]): None for out in outs for m in mirrors(out)}
        return [line for uri, name in every for line in _held(uri, name, stale)]
    return []


def _held(uri: str, name: str, stale: set[str]) -> list[str]:
    from grid.tracking.connection import UNUSABLE, open_client

    everything = f"the experiments {name!r}, '{name} stages' and '{name} searches', and the models '{name} SCENARIO'"
    try:
        found = runs_of(open_client(uri), name, stale)
    except (*UNUSABLE, ValueError) as error:  # ValueError: an answer that no MLflow gives; the list is then what it may hold
        said = (str(error).splitlines() or [type(error).__name__])[0]
        return [f"MLflow at {uri} could not be asked ({said}): delete there what came from the subject, in {everything}"]
    lines = [
        f"MLflow at {uri} holds {len(found)} runs and models that came from the subject: delete them there ({everything})"
    ]
    return (
        lines + [f"  {line}" for line in found[:SHOWN]] + ([f"  … and {len(found) - SHOWN} more"] if found[SHOWN:] else [])
    )


def runs_of(client: Any, name: str, stale: set[str]) -> list[str]:
    """The runs of an experiment that hold results of stale fits, a line each."""
    lines: list[str] = []
    parents: dict[str, str] = {}
    ids: set[str] = set()
    for title in (name, f"{name} stages", f"{name} searches"):
        experiment = client.get_experiment_by_name(title)
        if experiment is None:
            continue
        token = None
        while True:
            page = client.search_runs([experiment.experiment_id], max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                stages = {part.rpartition("/")[2] for part in tags.get("stages", "").split()} | {tags.get("key", "")}
                if stages & stale or title.endswith(" searches"):
                    lines.append(f"run {run.info.run_id} of {title!r}: {tags.get('mlflow.runName', '')}")
                    ids.add(run.info.run_id)
                    parents[tags.get("mlflow.parentRunId", "")] = title
            token = page.token
            if not token:
                break
    lines += [f"run {run} of {title!r}: a row, with means over the runs above" for run, title in parents.items() if run]
    for model in client.search_registered_models():
        for version in client.search_model_versions(f"name = '{model.name}'"):
            if version.run_id in ids:
                lines.append(f"model {version.name!r} version {version.version}")
    return lines
