"""What a run writes: the tables of the result folder and run.json, which says how they came about."""

from __future__ import annotations

import json
import os
import platform
import time
from typing import Any

import pandas as pd

from grid.experiment.cells import channel_of, row
from grid.experiment.departures import departures
from grid.results import files, provenance
from grid.results.overlap import count_overlap
from grid.results.people_tables import folds_table, trials_table
from grid.results.scaling import scaling_facts
from grid.results.unchanged import mark_of, note, unchanged
from grid.run import show
from grid.run.notes import notes
from grid.run.scenario_facts import scenario_facts
from grid.run.session import Session
from grid.store.versions import REPORTED_VERSIONS, code_version, version_of
from grid.work import odd_recordings


def write_quarantine(session: Session) -> None:
    """Write the list of recordings left out, alone: where nothing else can be written, it says why."""
    session.out.mkdir(parents=True, exist_ok=True)
    files.write_quarantine(session.out, session.defects, data=session.inventory.dataset.mark)


def write(session: Session) -> pd.DataFrame:
    """Write the tables of the result folder; returns the scores."""
    session.out.mkdir(parents=True, exist_ok=True)
    targets, run = session.inventory.targets, facts(session)
    strange = odd_recordings.known(session.inventory.videos, session.inventory.signals, session.store, session.defects)
    what: dict[str, Any] = {"targets": targets, "earlier": session.earlier, "defects": session.defects, "odd": strange}
    mark = mark_of(session.plan, files.statuses(session.plan, session.store, session.failed), **what)
    if not any(session.made.values()) and unchanged(session.out, mark):
        files.write_json(session.out / "run.json", run)
        return pd.read_csv(session.out / "scores.csv")
    what["people"] = {
        "folds.csv": folds_table(session.experiment, session.inventory, run["scenarios"]),
        "trials.csv": trials_table(session.inventory),
    }
    scores = files.write(
        session.out,
        plan=session.plan,
        store=session.store,
        failed=session.failed,
        run=run,
        task=session.inventory.learns,
        **what,
    )
    note(session.out, mark)
    return scores


def summary(session: Session) -> str:
    """One line: how many fits were computed, reused and failed, those of baselines apart."""
    prepared = session.made["videos"] + session.made["blocks of signals"]
    seconds = time.monotonic() - session.clock
    told = show.made_text(session.plan, session.made, session.failed)
    return f"{told}; {prepared} recordings prepared now; {seconds:.0f} s"


def facts(session: Session) -> dict[str, Any]:
    """What run.json records: all that a reader of the results should know about how they came about."""
    e, s = session.experiment, session.inventory
    before = _before(session)
    stored = provenance.manifests(session.plan, s, session.store)
    makers = provenance.made_with(stored)
    mixed = provenance.mixed(makers)
    words = dict.fromkeys(w for c in session.plan.cells for w in row(c.modality).signals)
    scenarios = {name: scenario_facts(e, s, name) for name in dict.fromkeys(c.scenario for c in session.plan.cells)}
    trunk = {"name": e.trunk.name, "random": e.trunk.random, "fingerprint": "", "provenance": "not used by these rows"}
    if s.trunk:
        trunk.update(fingerprint=s.trunk.fingerprint, provenance=s.trunk.load().provenance)
    return {
        "experiment": e.facts(),
        "departures": departures(e),
        "command": session.command,
        "protocol": e.protocol.name,
        "folds": len({c.fold for c in session.plan.cells}),
        "repeats": len({c.repeat for c in session.plan.cells}),
        "seeds": sorted({c.seed for c in session.plan.cells}),
        "data": {
            "name": s.dataset.name,
            "title": s.dataset.title,
            "source": s.dataset.source,
            "trial": s.dataset.trial or f"{s.dataset.n_steps / s.dataset.clock_hz:g} s of a person's recordings",
            "pain": s.dataset.pain,
            "description": dict(s.dataset.description),
            "path": str(s.path),
            "fingerprint": s.fingerprint,
            "subjects": len(set(s.index.subjects)),
            "trials": len(s.index),
            "clock_hz": s.dataset.clock_hz,
            "synthetic": s.dataset.synthetic,
            "class_names": list(s.learns.names),
        },
        "scenarios": scenarios,
        "trunk": trunk,
        "signals": {
            "normalise": e.signals.normalise,
            "channels": {w: channel_of(w, s.dataset.channels) for w in words},
            **scaling_facts(session.plan),
        },
        "separation": count_overlap(session.plan),
        "stages": provenance.stage_facts(stored, session.made),
        "versions": provenance.versions(makers, {name: version_of(name) for name in REPORTED_VERSIONS}),
        "made_with": makers,
        "commit": code_version(),
        "hardware": {
            "machine": platform.platform(),
            "cpus": os.cpu_count(),
            "ray": session.hardware or before["ray"],
        },
        "started": before["started"] or session.started.isoformat(timespec="seconds"),
        "seconds": round(before["seconds"] + time.monotonic() - session.clock, 1),
        "notes": [*notes(e, s, session.plan), *([mixed] if mixed else [])],
    }


def _before(session: Session) -> dict[str, Any]:
    """When these results were begun, the wall seconds spent before now, and on what: a grid may take several runs."""
    path = session.out / "run.json"
    if path.exists():
        run = json.loads(path.read_text(encoding="utf-8"))
        if run["data"]["fingerprint"] == session.inventory.fingerprint:
            return {"started": run["started"], "seconds": run["seconds"], "ray": run["hardware"]["ray"]}
    return {"started": "", "seconds": 0.0, "ray": "not used: nothing to compute"}
