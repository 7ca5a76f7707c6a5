"""One Ray Tune run that works through a graph of fits and hyperparameter searches.

Tune asks its searcher for the next trial: `PlanSearcher` answers with the most urgent item whose inputs are stored, None while
there is none, and FINISHED at the end. So Tune's resources, retries and worker reuse serve a graph, without barriers, and a
search's trials run beside other folds' fits.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Tune's own tables are for flat searches; the grid has its own display.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")  # the store is what a restart reads, not Tune's state

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from grid.config import Execution
from grid.inner import search_trial
from grid.inprocess import reason_of
from grid.jobs import Fit
from grid.limits import death, out_of_memory, time_limit
from grid.stages import Blocks, Runner
from grid.store import Store
from grid.worklist import Item, Worklist


class WorkTrial(tune.Trainable):
    """A fit with the predictions made with it, or a trial of a search. The process is reused for the next."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], blocks: Blocks, store: Store, logs: Path, limit_s: float
    ) -> None:
        """Called once per process; `config` is {"item": Item, "predicts": [Predict]}."""
        import torch

        self.logs, self.limit_s = logs, limit_s
        self.runner = Runner(store, blocks, "cuda" if torch.cuda.is_available() else "cpu")
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another item in the same process."""
        item = new_config["item"]
        self.rungs = search_trial(self.runner, item.job, item.trial) if item.trial else None
        return True

    def step(self) -> dict[str, Any]:
        """The whole fit, or the next rung of a search trial. An error is a result, not retried, unlike a process's death."""
        item = self.config["item"]
        stage = item.job.stage
        try:
            with time_limit(self.limit_s, hung_log(self.logs, item)):
                if self.rungs is not None:
                    report = next(self.rungs)
                    return {**report, "done": report["last"], "failed": "", "crowded": False}
                self.runner.fit(item.job)
                for predict in self.config["predicts"]:
                    self.runner.predict(predict)
                return {"done": True, "failed": "", "crowded": False, "score": 0.0}
        except Exception as error:
            self.logs.mkdir(parents=True, exist_ok=True)
            (self.logs / f"{stage.name}-{stage.key}.txt").write_text(traceback.format_exc(), encoding="utf-8")
            return {"done": True, "failed": reason_of(error), "crowded": out_of_memory(error), "score": 0.0}


def hung_log(logs: Path, item: Item) -> Path:
    """Where an item that exceeds its time limit leaves word of where it stood."""
    number = f"-{item.trial['number']}" if item.trial else ""
    return logs / f"{item.job.stage.name}-{item.job.stage.key}{number}.hung.txt"


class PlanSearcher(Searcher):
    """The worklist as Tune asks for it: one item a trial."""

    def __init__(self, work: Worklist, execution: Execution, logs: Path) -> None:
        super().__init__()
        self.work, self.execution, self.logs = work, execution, logs

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next item, None to be asked again, or FINISHED."""
        item = self.work.take(trial_id)
        if item is None:
            return None
        if isinstance(item, str):
            return Searcher.FINISHED
        predicts = self.work.planner.plan.predicts_of(item.job.stage.key) if isinstance(item.job, Fit) else []
        return {"item": item, "predicts": predicts}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """An item is over."""
        if error or not result:
            log = hung_log(self.logs, self.work.running[trial_id])
            reason, in_time = death(log, self.execution.fit_limit_s, self.execution.retries + 1)
            self.work.finish(trial_id, reason, crowded=not in_time)
        else:
            self.work.finish(trial_id, result["failed"], crowded=result["crowded"])

    def save(self, checkpoint_path: str) -> None:
        """Nothing: after a crash the plan is made again from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy of its set-up; the worklist, with its display, cannot be part of it."""
        return {**self.__dict__, "work": None}


class RungScheduler(FIFOScheduler):
    """Fits run to their end; trials of a search stop where their search's ASHA says so."""

    def __init__(self, work: Worklist) -> None:
        super().__init__()
        self.work = work

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Called for results that do not end a trial."""
        return self.CONTINUE if self.work.report(trial.trial_id, result) else self.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Called for the result that ends a trial: the last rung of a search trial is noted too."""
        if trial.config["item"].trial and "rung" in result and trial.trial_id in self.work.running:
            self.work.report(trial.trial_id, result)

    def __getstate__(self) -> dict[str, Any]:
        """See PlanSearcher."""
        return {**self.__dict__, "work": None}


def run_work(
    work: Worklist,
    blocks: Blocks,
    store: Store,
    *,
    shares: tuple[Mapping[str, float], Mapping[str, float]],
    execution: Execution,
    logs: Path,
) -> dict[str, str]:
    """Work through the list on the connected cluster; returns the reason of each fit that failed.

    `shares`: the resources of an item, and those of a fit that gets a machine to itself because memory ran out beside others.
    """
    if work.total == 0:
        return {}
    trainable = tune.with_parameters(WorkTrial, blocks=blocks, store=store, logs=logs, limit_s=execution.fit_limit_s)
    _tune(tune.with_resources(trainable, dict(shares[0])), work, store, execution, logs)
    again = work.postponed_again()
    if again:
        print(f"{again} fits ran out of memory or died: once more, each with a machine to itself", flush=True)
        _tune(tune.with_resources(trainable, dict(shares[1])), work, store, execution, logs)
    for key in [*work.queue, *(item.job.stage.key for item in work.running.values())]:  # interrupted from outside
        work.failed.setdefault(key, "not run: the schedule was stopped")
    return work.failed


def _tune(trainable: Any, work: Worklist, store: Store, execution: Execution, logs: Path) -> None:
    with store.scratch() as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=PlanSearcher(work, execution, logs),
                scheduler=RungScheduler(work),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="fits",
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=execution.retries),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )
        tuner.fit()
