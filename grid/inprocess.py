"""The in-process executor: everything in this process, one thing after another. The debugger, and the oracle of the tests.

It runs the same functions as the Ray executor (grid/cluster.py, grid/schedule.py) and gives the same bytes.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataprep.records import Defect
from grid.inner import search_trial
from grid.jobs import Fit
from grid.prepare import SignalsBlock, SignalsJob, VideoJob, reason_of, run_signals, run_video
from grid.stages import Blocks, Runner, StoreBlocks
from grid.store import Store
from grid.worklist import Item, Worklist

Tick = Callable[..., None]


@dataclass
class Prepared:
    """The outcome of preparation: signals of each usable trial, the trials with usable video, and the defects met."""

    signals: dict[str, np.ndarray] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)
    defects: list[Defect] = field(default_factory=list)


def video_defect(job: VideoJob, reason: str) -> Defect:
    """The defect of a video that could not be prepared."""
    return Defect(job.trial.trial_id, job.trial.subject, "video", str(job.trial.video), reason)


class InProcess:
    """Prepares and fits in this process, on the CPU."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def prepare(self, videos: Sequence[VideoJob], signals: Sequence[SignalsJob], tick: Tick) -> Prepared:
        """Make the artefacts of all jobs, or read them; a bad recording becomes a defect."""
        out = Prepared()
        for job in signals:
            take_signals(out, run_signals(job, self.store))
            tick()
        for video in videos:
            try:
                run_video(video, self.store)
                out.videos.add(video.trial.trial_id)
            except Exception as error:
                out.defects.append(video_defect(video, reason_of(error)))
            tick(failed=video.trial.trial_id not in out.videos)
        return out

    def blocks(self, prepared: Prepared, videos: Sequence[VideoJob]) -> Blocks:
        """Access to what was prepared."""
        features = {v.trial.trial_id: v.stage for v in videos}
        return StoreBlocks(self.store, features, prepared.signals, {v.trial.trial_id: v.track for v in videos})

    def work(self, work: Worklist, blocks: Blocks) -> dict[str, str]:
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
                work.finish(worker, reason_of(error))
            else:
                work.finish(worker)
        return work.failed

    def close(self) -> None:
        """Nothing to give back."""


def take_signals(out: Prepared, block: SignalsBlock) -> None:
    """Add a subject's signals to the outcome."""
    out.signals.update(zip(block.trial_ids, block.x_NTC, strict=True))
    out.defects.extend(block.defects)
