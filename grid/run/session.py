"""One run of the grid: `Session(...).run()` fills the store, `.write()` makes tables of it. Ray is imported only for work."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dataprep.faces import load_detector
from dataprep.faults import Failure
from dataprep.records import Defect, InputError
from grid.execute.executor import Executor, Prepared, Where, start
from grid.execute.scheduler import Scheduler
from grid.experiment.cells import Cell
from grid.experiment.config import Experiment
from grid.experiment.weight_files import weight_files
from grid.monitor import status
from grid.monitor.progress import Display, tell_first
from grid.plan.disk import needed, require
from grid.plan.inventory import Inventory
from grid.plan.planner import Planner
from grid.plan.preparation import SignalsJob, VideoJob
from grid.plan.specs import Plan
from grid.run.finished_rows import FinishedRows
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.store.leases import leased, remove_stale
from grid.work.blocks import FC7
from grid.work.prepare import known_defects
from painmodels.registry import Pretrained
from painmodels.trunks.trunk import head_start
from painmodels.trunks.weight_cache import read_weights

Job = TypeVar("Job", VideoJob, SignalsJob)


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

    def run(self, executor: str = "ray", *, address: str | None = None, strict: bool = False) -> None:
        """Fill the store. `executor`: who does the work, by name; `address`: of a cluster that is there.

        `strict`: raise InputError at the first recording that cannot be used.
        """
        unusable = self.defects[len(self.inventory.excluded) :]
        if strict and unusable:
            raise InputError(f"{len(unusable)} recordings cannot be used, and --strict was given: {unusable[0].reason}")
        with leased(self.store, out=self.out) as self.store:
            self._run(executor, address, strict=strict)

    def _run(self, name: str, address: str | None, *, strict: bool) -> None:
        suspects = frozenset(remove_stale(self.store))
        self._say_what_is_wanted()
        todo = Scheduler(self.planner, self.store, lambda **_: None)
        stored = {name: self.store.keys(name) for name in self.inventory.prepared}
        aside = {(d.part, d.trial_id) for d in self.defects}
        videos = [v for v in self.inventory.videos if ("video", v.trial.trial_id) not in aside]
        new_videos = unstored(videos, self.store)
        parts = todo.parts | ({"video"} if new_videos else set())
        if not (todo.total or new_videos):
            print("everything is there already: nothing was computed again")
            return
        require(self.store.root, sum(needed(self.inventory, self.plan, self.store, parts).values()))
        videos = videos if "video" in parts else []
        signals = self.inventory.signals if "signals" in parts else []
        new_signals = unstored(signals, self.store)
        executor = start(
            name,
            Where(store=self.store, execution=self.experiment.execution, out=self.out, address=address, suspects=suspects),
        )
        self.hardware = executor.description
        try:
            # what cannot be loaded stops here, before the first recording
            starts = first_weights(self.experiment, self._settings(), trunk=bool(videos and self.inventory.trunk))
            prepared = self._prepare(executor, videos, signals, strict)
            jobs: list[VideoJob | SignalsJob] = [*new_videos, *new_signals]
            new = [stage for job in jobs for stage in job.stages]
            self.made.update(s.name for s in new if s.key not in stored[s.name] and self.store.has(s))
            self.made["videos"] = sum(v.trial.trial_id in prepared.videos for v in new_videos)
            self.made["blocks of signals"] = sum(self.store.has(s.stage) for s in new_signals)
            if prepared.defects or prepared.failures:
                self.planner = self._plan()
            self._say_what_is_wanted()
            shown: list[Display] = []  # what cannot be done for want of a recording fails before there is a display
            rows = FinishedRows(self.planner, self.store, self.inventory.targets, self.inventory.learns)

            def tick(**state: Any) -> None:
                for display in shown:
                    left_s = work.planned.seconds_left(work.queue, work.running, work.busy)
                    rows.tell(display, work.made, {**state, "left_s": left_s})

            work = Scheduler(self.planner, self.store, tick)
            unit = "fits and search trials (more follow)" if self.plan.searches else "fits"
            with Display("fitting", work.total, unit=unit) as display:
                shown.append(display)
                self.failed = executor.work(work, prepared, starts)
            self.kinds |= work.kinds
            self.made.update(name for fit in work.made for name in (fit.stage.name, fit.stage.key))
            self.made["search-trial"] = work.made_trials
            self._say_what_is_wanted()
        finally:
            executor.close()

    def _settings(self) -> list[Any]:
        return [*(fit.settings for fit in self.plan.fits.values()), *(s.settings for s in self.plan.searches.values())]

    def _say_what_is_wanted(self) -> None:
        keys = {name: [stage.key for stage in stages] for name, stages in self.inventory.prepared.items()}
        status.write_plan(self.out, self.plan, prepare=keys)

    def _prepare(self, executor: Executor, videos: list[VideoJob], signals: list[SignalsJob], strict: bool) -> Prepared:
        """Prepare, or read, every recording that the plan needs; what cannot be used is left out and counted."""
        if {v.track.key for v in videos} - self.store.keys("faces"):
            load_detector(self.experiment.face_settings)  # a trunk or a detector that cannot be loaded stops here
        if videos and self.inventory.trunk:
            self.inventory.trunk.load()
            if unstored(videos, self.store) and not executor.gpus and (slower := self.inventory.trunk.slower()):
                print(slower)
        with of_preparation(videos, signals, self.store) as display:
            prepared = executor.prepare(videos, signals, display.advance)
        known = {(d.part, d.trial_id) for d in self.defects}
        found = [d for d in prepared.defects if (d.part, d.trial_id) not in known]
        tell_first([f"left out: {defect.reason}" for defect in found], "quarantine.csv")
        self.defects += found
        self.failures = prepared.failures
        self.kinds |= {said.kind for said in prepared.failures.values()}
        failed = [f"failed: preparation of {t} ({part}): {said.reason}" for (part, t), said in prepared.failures.items()]
        tell_first(failed, "failures.csv")
        if strict and prepared.defects:
            raise InputError(f"{len(prepared.defects)} recordings cannot be used, and --strict was given")
        return prepared

    def continues(self, other: Session) -> None:
        """Speak for the work of another session, which did a part of the cells of this one."""
        self.failed, self.failures, self.made, self.kinds = other.failed, other.failures, other.made, other.kinds
        self.started, self.clock, self.command, self.hardware = other.started, other.clock, other.command, other.hardware
        self.plan.unprepared = other.plan.unprepared


def first_weights(experiment: Experiment, settings: Iterable[Any], *, trunk: bool) -> dict[str, dict[str, Any]]:
    """What networks of these settings start from, by name: the trunk's own FC-7 (none where that is random), and files."""
    t, fold = experiment.trunk, experiment.spatial.get("fc7") != "frozen-bn"
    weights = Path(t.weights) if t.weights else None
    found = {FC7: head_start(t.name, weights=weights, fold=fold)} if trunk and not t.random else {}
    marks = {s.weights for s in settings if isinstance(s, Pretrained)}
    for mark, (backbone, path) in weight_files(experiment).items():
        if mark in marks:
            found[mark] = {name: x.numpy() for name, x in read_weights(backbone, path).items()}
    return found


def of_preparation(videos: Sequence[VideoJob], signals: Sequence[SignalsJob], store: Store) -> Display:
    """The display of a preparation, which says how many recordings are stored and are only read."""
    total, new = len(videos) + len(signals), len(unstored(videos, store)) + len(unstored(signals, store))
    return Display("preparing" if new else "reading", total, unit="recordings", there=total - new)


def unstored(jobs: Sequence[Job], store: Store) -> list[Job]:
    """The jobs of which an artefact is not in the store."""
    stored = {name: store.keys(name) for name in {stage.name for job in jobs for stage in job.stages}}
    return [job for job in jobs if any(stage.key not in stored[stage.name] for stage in job.stages)]
