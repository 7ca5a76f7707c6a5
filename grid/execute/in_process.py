"""The in-process executor: everything in this process, one thing after another. Used to debug, and as the reference in tests.

It runs the same functions as the Ray executor (grid/execute/ray_executor.py, grid/execute/ray_tune.py) and gives the same bytes.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dataprep.faults import RECORDING, Failure, failure
from dataprep.records import Defect
from grid.execute.scheduler import Item, Scheduler
from grid.experiment.config_tables import Execution
from grid.plan.preparation import SignalsJob, VideoJob
from grid.plan.specs import Fit
from grid.store.artefacts import Store
from grid.work.attempts import in_own_process, tried
from grid.work.fit_predict import Blocks, Runner, StoreBlocks
from grid.work.prepare import SignalsBlock, quarantine_video, run_signals, run_video
from grid.work.search_trial import search_trial

Tick = Callable[..., None]


@dataclass
class Prepared:
    """The outcome of preparation: signals of each usable trial, the trials with usable video, the defects met, and what failed.

    `failures`: (part, trial id) -> what went wrong, which was not the recording's fault.
    """

    signals: dict[str, np.ndarray] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)
    defects: list[Defect] = field(default_factory=list)
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)

    def take_signals(self, job: SignalsJob, said: Failure, block: SignalsBlock | None) -> None:
        """Add what became of a subject's signals."""
        if block is None:
            self.failures.update({("signals", t.trial_id): said for t in job.trials})
            return
        self.signals.update(zip(block.trial_ids, block.x_NTC, strict=True))
        self.defects.extend(block.defects)

    def take_video(self, job: VideoJob, said: Failure, store: Store) -> None:
        """Add what became of a video; a bad one is put aside for later runs, too."""
        if not said.kind:
            self.videos.add(job.trial.trial_id)
        elif said.kind == RECORDING:
            self.defects.append(quarantine_video(job, store, said.reason))
        else:
            self.failures["video", job.trial.trial_id] = said


class InProcess:
    """Prepares and fits in this process, on the CPU."""

    gpus = 0

    def __init__(self, store: Store, execution: Execution, suspects: Collection[str] = ()) -> None:
        """`suspects`: marks of videos in whose decoding an earlier process died: they are decoded in processes of their own."""
        self.store, self.execution, self.suspects = store, execution, frozenset(suspects)

    def prepare(self, videos: Sequence[VideoJob], signals: Sequence[SignalsJob], tick: Tick) -> Prepared:
        """Make the artefacts of all jobs, or read them; a bad recording becomes a defect, anything else a failure."""
        out = Prepared()
        for job in signals:
            said, block = tried(partial(run_signals, job, self.store), retries=self.execution.retries)
            out.take_signals(job, said, block)
            tick(failed=bool(said.kind))
        for video in videos:
            if self.suspects and f"{video.stage.name}-{video.stage.key}" in self.suspects:
                said = in_own_process(video, self.store, limit_s=self.execution.prepare_limit_s)
            else:
                said, _ = tried(partial(self._video, video), retries=self.execution.retries)
            out.take_video(video, said, self.store)
            tick(failed=bool(said.kind))
        return out

    def _video(self, job: VideoJob) -> None:
        if not self.store.has(job.stage):
            with self.store.marked(job.stage):
                run_video(job, self.store)

    def blocks(self, prepared: Prepared, videos: Sequence[VideoJob], head: Mapping[str, np.ndarray]) -> Blocks:
        """Access to what was prepared."""
        features = {v.trial.trial_id: v.stage for v in videos}
        return StoreBlocks(self.store, features, prepared.signals, {v.trial.trial_id: v.track for v in videos}, head)

    def work(self, work: Scheduler, blocks: Blocks) -> dict[str, str]:
        """Run all fits and searches, one after another; returns the reason of each fit that failed."""
        runner = Runner(self.store, blocks)
        for number in itertools.count():
            worker = f"item-{number}"
            item = work.take(worker)
            if not isinstance(item, Item):
                return work.failed
            try:
                if isinstance(item.job, Fit):
                    runner.fit(item.job)
                    for predict in work.planner.plan.predicts_of(item.job.stage.key):
                        runner.predict(predict)
                else:
                    for report in search_trial(runner, item.job, item.trial):
                        if not work.report(worker, report):
                            break
            except Exception as error:
                traceback.print_exc()
                work.finish(worker, failure(error))
            else:
                work.finish(worker)
        return work.failed

    def close(self) -> None:
        """Does nothing: there are no resources to release."""
