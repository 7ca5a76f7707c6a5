"""One run of the grid: `Session(...).run()` fills the store, `.write()` makes tables of it. Ray is imported only for work."""

from __future__ import annotations

import datetime
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from dataprep.faces import load_detector
from dataprep.faults import Failure
from dataprep.records import Defect, InputError
from grid.execute.in_process import InProcess, Prepared
from grid.execute.scheduler import Scheduler
from grid.experiment.cells import SIGNALS, Cell
from grid.experiment.config import Experiment
from grid.monitor import status
from grid.monitor.progress import Display
from grid.plan.disk import needed, require
from grid.plan.inventory import Inventory
from grid.plan.planner import Planner
from grid.plan.preparation import SignalsJob, VideoJob
from grid.plan.specs import Plan
from grid.results import files, provenance
from grid.results.unchanged import mark_of, note, unchanged
from grid.run import show
from grid.run.notes import notes
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.store.leases import leased, remove_stale
from grid.store.versions import REPORTED_VERSIONS, code_version, version_of
from grid.work import odd_recordings
from grid.work.prepare import known_defects
from painmodels.trunks.trunk import head_start


class Session:
    """The state of one run.

    After `run`: `plan`, `failed` (fit key -> reason), `kinds` (of all failures: dataprep.faults), `defects` (recordings left
    out) and `failures` (part, trial id -> what went wrong in its preparation).
    """

    def __init__(
        self,
        experiment: Experiment,
        inventory: Inventory,
        out: Path,
        *,
        rows: Iterable[str],
        scenarios: Iterable[str],
        folds: Iterable[int] | None = None,
    ) -> None:
        self.experiment, self.inventory, self.out = experiment, inventory, out
        self.wanted = (tuple(rows), tuple(scenarios), None if folds is None else tuple(folds))
        self.store = Store(out / "store")
        self.started = datetime.datetime.now(datetime.UTC)
        self.clock = time.monotonic()
        self.failed: dict[str, str] = {}
        self.kinds: set[str] = set()
        self.failures: dict[tuple[str, str], Failure] = {}
        by_hand = {(d.part, d.trial_id) for d in inventory.excluded}
        known = [*inventory.defects, *known_defects(inventory.videos, inventory.signals, self.store)]
        self.defects: list[Defect] = [*inventory.excluded, *(d for d in known if (d.part, d.trial_id) not in by_hand)]
        self.planner = self._plan()
        self.made: Counter[str] = Counter()
        self.earlier: dict[Cell, tuple[str, str]] = {}  # status and reason of cells that were not asked for
        self.command = ""
        self.hardware = ""

    def _plan(self) -> Planner:
        """Everything that is wanted of what can be used; searches that have ended are taken as decided."""
        inputs = self.inventory.inputs(self.defects)

        def winner(search: Stage) -> dict[str, Any] | None:
            return self.store.facts(search)["winner"] if self.store.has(search) else None

        planner = Planner(self.experiment, self.inventory.dataset, inputs, winner)
        planner.plan.unprepared = {what: said.reason for what, said in self.failures.items()}
        planner.build(*self.wanted)
        return planner

    @property
    def plan(self) -> Plan:
        """The plan as it is now; it grows while searches end."""
        return self.planner.plan

    def run(self, *, address: str | None = None, in_process: bool = False, strict: bool = False) -> None:
        """Fill the store. `strict`: raise InputError at the first recording that cannot be used."""
        unusable = self.defects[len(self.inventory.excluded) :]
        if strict and unusable:
            raise InputError(f"{len(unusable)} recordings cannot be used, and --strict was given: {unusable[0].reason}")
        with leased(self.store, out=self.out) as self.store:
            self._run(address=address, in_process=in_process, strict=strict)

    def _run(self, *, address: str | None, in_process: bool, strict: bool) -> None:
        suspects = remove_stale(self.store)
        self._say_what_is_wanted()
        todo = Scheduler(self.planner, self.store, lambda **_: None)
        stored = {name: self.store.keys(name) for name in ("features", "signals")}
        aside = {(d.part, d.trial_id) for d in self.defects}
        videos = [v for v in self.inventory.videos if ("video", v.trial.trial_id) not in aside]
        new_videos = [v for v in videos if v.stage.key not in stored["features"]]
        parts = todo.parts | ({"video"} if new_videos else set())
        if not (todo.total or new_videos):
            print("everything is there already: nothing was computed again")
            return
        require(self.store.root, sum(needed(self.inventory, self.plan, self.store, parts).values()))
        videos = videos if "video" in parts else []
        signals = self.inventory.signals if "signals" in parts else []
        new_signals = [s for s in signals if s.stage.key not in stored["signals"]]
        executor = self._executor(address, in_process, suspects)
        try:
            head = self._head() if videos else {}  # what cannot be loaded stops here, before the first recording
            prepared = self._prepare(executor, videos, signals, strict)
            self.made["features"] = sum(v.trial.trial_id in prepared.videos for v in new_videos)
            self.made["signals"] = sum(self.store.has(s.stage) for s in new_signals)
            self.planner = self._plan()
            self._say_what_is_wanted()
            shown: list[Display] = []  # what cannot be done for want of a recording fails before there is a display

            def tick(**state: Any) -> None:
                for display in shown:
                    display.advance(**state)

            work = Scheduler(self.planner, self.store, tick)
            unit = "fits and search trials (more follow)" if self.plan.searches else "fits"
            with Display("fitting", work.total, unit=unit) as display:
                shown.append(display)
                self.failed = executor.work(work, executor.blocks(prepared, self.inventory.videos, head))
            self.kinds |= work.kinds
            self.made.update(fit.stage.name for fit in work.made)
            self.made["search-trial"] = work.made_trials
            self._say_what_is_wanted()
        finally:
            executor.close()

    def _say_what_is_wanted(self) -> None:
        features, signals = ([j.stage.key for j in jobs] for jobs in (self.inventory.videos, self.inventory.signals))
        status.write_plan(self.out, self.plan, features=features, signals=signals)

    def _executor(self, address: str | None, in_process: bool, suspects: set[str]) -> Any:
        if in_process:
            self.hardware = "this process alone"
            return InProcess(self.store, self.experiment.execution, suspects)
        from grid.execute.ray_executor import Cluster

        print(f"starting Ray{f' at {address}' if address else ' on this machine'} …", flush=True)
        cluster = Cluster(self.store, self.experiment.execution, address=address, logs=self.out / "logs")
        self.hardware = cluster.description
        cluster.write_targets(self.out / "live" / "ray.json")
        print(f"Ray: {cluster.description}; logs of failed work go to {self.out / 'logs'}", flush=True)
        return cluster

    def _head(self) -> dict[str, Any]:
        """The trunk's own FC-7, from which the spatial network starts."""
        t = self.experiment.trunk
        return {} if t.random else head_start(t.name, weights=Path(t.weights) if t.weights else None)

    def _prepare(self, executor: Any, videos: list[VideoJob], signals: list[SignalsJob], strict: bool) -> Prepared:
        """Prepare, or read, every recording that the plan needs; what cannot be used is left out and counted."""
        if videos and self.inventory.trunk:
            self.inventory.trunk.load()  # a trunk or a detector that cannot be loaded stops here, with one message
            if {v.track.key for v in videos} - self.store.keys("faces"):
                load_detector(self.experiment.face_settings)
            if not executor.gpus and (slower := self.inventory.trunk.slower()):
                print(slower)
        with Display("preparing", len(videos) + len(signals), unit="recordings") as display:
            prepared = executor.prepare(videos, signals, display.advance)
        known = {(d.part, d.trial_id) for d in self.defects}
        new = [d for d in prepared.defects if (d.part, d.trial_id) not in known]
        for defect in new[:5]:
            print(f"left out: {defect.reason}")
        self.defects += new
        self.failures = prepared.failures
        self.kinds |= {said.kind for said in prepared.failures.values()}
        for (part, trial_id), said in list(prepared.failures.items())[:5]:
            print(f"failed: preparation of {trial_id} ({part}): {said.reason}")
        if strict and prepared.defects:
            raise InputError(f"{len(prepared.defects)} recordings cannot be used, and --strict was given")
        return prepared

    def continues(self, other: Session) -> None:
        """Speak for the work of another session, which did a part of the cells of this one."""
        self.failed, self.failures, self.made, self.kinds = other.failed, other.failures, other.made, other.kinds
        self.started, self.clock, self.command, self.hardware = other.started, other.clock, other.command, other.hardware
        self.plan.unprepared = other.plan.unprepared

    def write_quarantine(self) -> None:
        """Write the list of recordings left out, alone: where nothing else can be written, it says why."""
        self.out.mkdir(parents=True, exist_ok=True)
        files.write_quarantine(self.out, self.defects)

    def write(self) -> pd.DataFrame:
        """Write the tables of the result folder; returns the scores."""
        self.out.mkdir(parents=True, exist_ok=True)
        labels, facts = self.inventory.class_labels, self.facts()
        strange = odd_recordings.known(self.inventory.videos, self.inventory.signals, self.store, self.defects)
        what: dict[str, Any] = {"labels": labels, "earlier": self.earlier, "defects": self.defects, "odd": strange}
        mark = mark_of(self.plan, files.statuses(self.plan, self.store, self.failed), **what)
        if not any(self.made.values()) and unchanged(self.out, mark):
            files.write_json(self.out / "run.json", facts)
            return pd.read_csv(self.out / "scores.csv")
        scores = files.write(self.out, plan=self.plan, store=self.store, failed=self.failed, run=facts, **what)
        note(self.out, mark)
        return scores

    def summary(self) -> str:
        """One line: how many fits were computed, reused and failed."""
        made = sum(self.made[n] for n in {f.stage.name for f in self.plan.fits.values()})
        prepared = self.made["features"] + self.made["signals"]
        seconds = time.monotonic() - self.clock
        return (
            f"{len(self.plan.cells)} cells; {made} fits computed, {len(self.plan.fits) - made - len(self.failed)} reused, "
            f"{len(self.failed)} failed; {prepared} recordings prepared now; {seconds:.0f} s"
        )

    def facts(self) -> dict[str, Any]:
        """What run.json records: all that a reader of the results should know about how they came about."""
        e, s = self.experiment, self.inventory
        before = self._before()
        stored = provenance.manifests(self.plan, s, self.store)
        makers = provenance.made_with(stored)
        mixed = provenance.mixed(makers)
        scenarios = {}
        for name in dict.fromkeys(c.scenario for c in self.plan.cells):
            subjects, trials, frames = show.frames(e, s, name) or (0, 0, 0)
            table = e.scenarios[name]
            scenarios[name] = {
                "subset": table.subset,
                "skip_s": table.skip_s,
                "subjects": subjects,
                "trials": trials,
                "frames": frames,
            }
        trunk = {"name": e.trunk.name, "random": e.trunk.random, "fingerprint": "", "provenance": "not used by these rows"}
        if s.trunk:
            trunk.update(fingerprint=s.trunk.fingerprint, provenance=s.trunk.load().provenance)
        return {
            "experiment": e.facts(),
            "command": self.command,
            "protocol": e.protocol.name,
            "folds": len({c.fold for c in self.plan.cells}),
            "repeats": len({c.repeat for c in self.plan.cells}),
            "seeds": sorted({c.seed for c in self.plan.cells}),
            "data": {
                "name": s.dataset.name,
                "title": s.dataset.title,
                "path": str(s.path),
                "fingerprint": s.fingerprint,
                "subjects": len(set(s.index.subjects)),
                "trials": len(s.index),
                "clock_hz": s.dataset.clock_hz,
                "synthetic": (s.path / "synthetic.json").exists(),
                "class_names": [s.class_names[0], "+".join(s.class_names[1:])],
            },
            "scenarios": scenarios,
            "trunk": trunk,
            "signals": {"normalise": e.signals.normalise, "channels": dict(SIGNALS)},
            "stages": provenance.stage_facts(stored, self.made),
            "versions": provenance.versions(makers, {name: version_of(name) for name in REPORTED_VERSIONS}),
            "made_with": makers,
            "commit": code_version(),
            "hardware": {
                "machine": platform.platform(),
                "cpus": os.cpu_count(),
                "ray": self.hardware or before["ray"],
            },
            "started": before["started"] or self.started.isoformat(timespec="seconds"),
            "seconds": round(before["seconds"] + time.monotonic() - self.clock, 1),
            "notes": [*notes(e, s, self.plan), *([mixed] if mixed else [])],
        }

    def _before(self) -> dict[str, Any]:
        """When these results were begun, the wall seconds spent before now, and on what: a grid may take several runs."""
        path = self.out / "run.json"
        if path.exists():
            run = json.loads(path.read_text(encoding="utf-8"))
            if run["data"]["fingerprint"] == self.inventory.fingerprint:
                return {"started": run["started"], "seconds": run["seconds"], "ray": run["hardware"]["ray"]}
        return {"started": "", "seconds": 0.0, "ray": "not used: nothing to compute"}
