"""The in-process executor: everything in this process, one thing after another. Used to debug, and as the reference in tests.

It runs the same functions as the Ray executor (grid/execute/ray_executor.py, grid/execute/ray_tune.py) and gives the same bytes.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Collection, Sequence
from functools import partial

from dataprep.faults import failure
from grid.execute.executor import Prepared, Tick, Where
from grid.execute.scheduler import Item, Scheduler
from grid.experiment.config_tables import Execution
from grid.plan.preparation import SignalsJob, VideoJob, of_trials
from grid.plan.specs import Fit
from grid.store.artefacts import Store
from grid.work.attempts import in_own_process, tried
from grid.work.blocks import Starts, StoreBlocks
from grid.work.fit_predict import Runner
from grid.work.prepare import run_signals, run_video
from grid.work.search_trial import search_trial


class InProcess:
    """Prepares and fits in this process, on the CPU."""

    gpus = 0
    description = "this process alone"

    def __init__(self, store: Store, execution: Execution, suspects: Collection[str] = ()) -> None:
        """`suspects`: marks of videos in whose decoding an earlier process died: they are decoded in processes of their own."""
        self.store, self.execution, self.suspects = store, execution, frozenset(suspects)

    def prepare(self, videos: Sequence[VideoJob], signals: Sequence[SignalsJob], tick: Tick) -> Prepared:
        """Make the artefacts of all jobs, or read them; a bad recording becomes a defect, anything else a failure."""
        out = Prepared(of_trials(videos, signals))
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
        if not all(self.store.has(stage) for stage in job.stages):
            with self.store.marked(job.stage):
                run_video(job, self.store)

    def work(self, work: Scheduler, prepared: Prepared, starts: Starts) -> dict[str, str]:
        """Run all fits and searches, one after another; returns the reason of each fit that failed."""
        runner = Runner(self.store, StoreBlocks(self.store, prepared.stages, prepared.signals, starts))
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


def start(where: Where) -> InProcess:
    """Nothing has to be started."""
    return InProcess(where.store, where.execution, where.suspects)
