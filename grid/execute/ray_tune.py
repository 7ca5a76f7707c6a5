"""One Ray Tune run that works through a graph of fits and hyperparameter searches.

A Tune trial is a worker: it holds a share of a node and goes through items, which it asks the driver's scheduler for
(ray_dispatcher.py), until nothing is left to do. Tune's searcher asks for one more worker as long as something is ready and
FINISHED at the end. So Tune's resources and worker reuse serve a graph, without barriers; a search's trials run beside other
folds' fits; and what is handed out costs milliseconds.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Tune's own tables are for flat searches; the grid has its own display.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")  # the store is what a restart reads, not Tune's state
# At Ctrl-C Tune would end its loop and let the run go on to its report, as if every open fit had failed.
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from dataprep.faults import Failure, failure
from grid.execute.ray_dispatcher import Dispatcher, Order, Outcome, Part, Said, hung_log
from grid.execute.ray_mailbox import ask, mailbox
from grid.execute.scheduler import Scheduler
from grid.experiment.config_tables import Execution
from grid.plan.specs import Fit, Search
from grid.store.artefacts import Store
from grid.work.fit_predict import Blocks, Runner
from grid.work.limits import out_of_memory, time_limit
from grid.work.search_trial import search_trial

logging.getLogger("ray.tune").setLevel(logging.ERROR)  # of where it keeps results, and that a worker had none

STEP_SECONDS = 2.0
"""A worker says to Tune that it lives after the first item that ends so long after the last time."""


class Worker(tune.Trainable):
    """Goes through fits, with the predictions made with each, and trials of searches. The process is reused."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], blocks: Blocks, store: Store, logs: Path, execution: Execution, box: Any
    ) -> None:
        """Called once per process; `config` is {"worker": name}."""
        self.logs, self.limit_s, self.box, self.broken = logs, execution.fit_limit_s, box, Failure()
        self.reset_config(config)
        try:
            self._set_up(blocks, store, execution)
        except Exception as error:  # told to the driver, which asks for a bounded number of workers
            self.broken = failure(error)
            logs.mkdir(parents=True, exist_ok=True)
            (logs / "worker-start.txt").write_text(traceback.format_exc(), encoding="utf-8")

    def _set_up(self, blocks: Blocks, store: Store, execution: Execution) -> None:
        import torch

        _warnings_to(self.logs / "warnings.txt")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.runner = Runner(store, blocks, device, execution.packed_fits)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse this process for another Tune trial, under its name."""
        self.name, self.items = new_config["worker"], 0
        self.order: Order = ()
        return True

    def step(self) -> dict[str, Any]:
        """Work on items for a while, or until none is left."""
        if self.broken.kind:
            self._ask(Said(broken=self.broken))
            return {"done": True, "items": 0}
        until = time.monotonic() + STEP_SECONDS
        self.order = self.order or self._ask(Said(packs=self.runner.packs))
        while self.order:
            self.items += len(self.order)
            self.order = self._ask(Said(over=self._do(self.order), packs=self.runner.packs))
            if time.monotonic() > until:
                break
        return {"done": not self.order, "items": self.items}

    def _ask(self, said: Said) -> Any:
        return ask(self.box, self.name, said)

    def _do(self, order: Order) -> tuple[Outcome, ...]:
        """The outcome of each part. An error is an outcome and is not retried; the death of a process is."""
        if len(order) > 1:
            try:
                with time_limit(self.limit_s, hung_log(self.logs, order[0].item)):
                    self.runner.fit_together([part.item.job for part in order if isinstance(part.item.job, Fit)])
            except Exception:
                self._note(order[0])  # those that are not stored are made one by one, and say why where they cannot be
        return tuple(self._do_part(part) for part in order)

    def _do_part(self, part: Part) -> Outcome:
        job = part.item.job
        try:
            with time_limit(self.limit_s, hung_log(self.logs, part.item)):
                if isinstance(job, Search):
                    for report in search_trial(self.runner, job, part.item.trial):
                        if not self._ask(Said(report=(part.ticket, report))):
                            break
                else:
                    self.runner.fit(job)
                    for predict in part.predicts:
                        self.runner.predict(predict)
            return Outcome(part.ticket)
        except Exception as error:
            self._note(part)
            return Outcome(part.ticket, failure(error), out_of_memory(error))

    def _note(self, part: Part) -> None:
        """The place where the current error was raised."""
        stage = part.item.job.stage
        self.logs.mkdir(parents=True, exist_ok=True)
        (self.logs / f"{stage.name}-{stage.key}.txt").write_text(traceback.format_exc(), encoding="utf-8")


def _warnings_to(path: Path) -> None:
    """Write warnings of the packages in this process to the log too: Ray does not show the output of workers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger("painmodels").addHandler(handler)


class NothingLeft(Stopper):
    """Ends the run once nothing is left: workers that still wait for a place are not started to be sent home."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher: Dispatcher | None = dispatcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single worker is stopped."""
        return False

    def stop_all(self) -> bool:
        """Whether everything has been done."""
        return self.dispatcher is not None and self.dispatcher.over

    def __getstate__(self) -> dict[str, Any]:
        """As of the searcher."""
        return {"dispatcher": None}


class WorkerSearcher(Searcher):
    """Tune requests trials here: it gets a worker while work is ready, None for now, or FINISHED."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self.dispatcher: Dispatcher | None = dispatcher

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The configuration of one more worker, None to be asked again, or FINISHED."""
        assert self.dispatcher is not None
        wanted = self.dispatcher.expects(trial_id)
        if wanted is None:
            return Searcher.FINISHED
        return {"worker": trial_id} if wanted else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A worker ended or died."""
        if error:
            assert self.dispatcher is not None
            self.dispatcher.lost(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: after a crash the plan is made again from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune copies its set-up; the thread and the scheduler with its display cannot be copied."""
        return {**self.__dict__, "dispatcher": None}


def run_work(
    work: Scheduler,
    blocks: Blocks,
    store: Store,
    *,
    shares: tuple[Mapping[str, float], Mapping[str, float]],
    execution: Execution,
    logs: Path,
    box: Any = None,
    places: int = 1,
) -> dict[str, str]:
    """Work through the list on the connected cluster; returns the reason of each fit that failed.

    `shares`: the resources of a worker, and those of one that gets a machine to itself, for fits that ran out of memory
    beside others. `box`: the mailbox that was started for them, if one was. `places`: how many may wait for a place at once:
    all places that there are, so that no worker starts after another, and those of nodes that are yet to come.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(places)
    if work.total == 0:
        return {}
    _tune(shares[0], work, blocks, store, execution=execution, logs=logs, box=box or mailbox())
    again = work.postponed_again()
    if again:
        print(f"{again} fits ran out of memory or died: once more, each with a machine to itself", flush=True)
        _tune(shares[1], work, blocks, store, execution=execution, logs=logs, box=mailbox())
    for key in [*work.queue, *(item.job.stage.key for item in work.running.values())]:  # interrupted from outside
        work.failed.setdefault(key, "not run: the schedule was stopped before it")
    return work.failed


def _tune(
    share: Mapping[str, float],
    work: Scheduler,
    blocks: Blocks,
    store: Store,
    *,
    execution: Execution,
    logs: Path,
    box: Any,
) -> None:
    with store.scratch() as scratch, Dispatcher(work, execution, logs, box) as dispatcher:
        trainable = tune.with_parameters(Worker, blocks=blocks, store=store, logs=logs, execution=execution, box=box)
        tuner = tune.Tuner(
            tune.with_resources(trainable, dict(share)),
            tune_config=tune.TuneConfig(
                search_alg=WorkerSearcher(dispatcher), scheduler=FIFOScheduler(), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="fits",
                storage_path=scratch,
                stop=NothingLeft(dispatcher),
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    if dispatcher.error:
        raise RuntimeError("the scheduler could not go on") from dispatcher.error
