"""One Ray Tune run that works through a graph of fits.

Tune asks its searcher for the next trial: `PlanSearcher` answers with the most urgent fit whose inputs are stored, None while
there is none, and FINISHED at the end. So Tune's resources, retries and worker reuse serve a graph, without barriers.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Tune's own tables are for flat searches; the grid has its own display.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")  # the store is what a restart reads, not Tune's state

from ray import tune
from ray.tune.search import Searcher

from grid.config import Execution
from grid.inprocess import Tick, reason_of
from grid.limits import death, out_of_memory, time_limit
from grid.plan import Plan
from grid.queue import ReadyQueue, path_costs
from grid.stages import Blocks, Runner
from grid.store import Store

Died = Callable[[str], tuple[str, bool]]


class FitTrial(tune.Trainable):
    """One fit and the predictions made with it. The process is reused for the next fit."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], plan: Plan, blocks: Blocks, store: Store, logs: Path, limit_s: float
    ) -> None:
        """Called once per process; `config` is {"key": the fit's key}."""
        import torch

        self.plan, self.logs, self.limit_s = plan, logs, limit_s
        self.runner = Runner(store, blocks, "cuda" if torch.cuda.is_available() else "cpu")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another fit in the same process."""
        return True

    def step(self) -> dict[str, Any]:
        """The whole fit. An error is a result: it is not retried, unlike the death of the process."""
        key = self.config["key"]
        reason, crowded = "", False
        try:
            with time_limit(self.limit_s, hung_log(self.plan, key, self.logs)):
                self.runner.fit(self.plan.fits[key])
                for predict in self.plan.predicts_of(key):
                    self.runner.predict(predict)
        except Exception as error:
            reason, crowded = reason_of(error), out_of_memory(error)
            self.logs.mkdir(parents=True, exist_ok=True)
            (self.logs / f"{self.plan.fits[key].stage.name}-{key}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return {"done": True, "key": key, "failed": reason, "crowded": crowded}


def hung_log(plan: Plan, key: str, logs: Path) -> Path:
    """Where a fit that exceeds its time limit leaves word of where it stood."""
    return logs / f"{plan.fits[key].stage.name}-{key}.hung.txt"


class PlanSearcher(Searcher):
    """Hands out the fits of a plan in dependency order, the start of the longest remaining path first.

    `died(key)` says why a process died, and whether the time limit did it. With `postpone`, fits for which memory ran out,
    and those that need them, end up in `postponed` instead of `failed`.
    """

    def __init__(self, plan: Plan, keys: Sequence[str], tick: Tick, *, died: Died, postpone: bool) -> None:
        super().__init__()
        self.plan, self.tick, self.died, self.postpone = plan, tick, died, postpone
        self.queue = order(plan, keys)
        self.running: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.postponed: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next fit, None to be asked again, or FINISHED."""
        key = self.queue.pop()
        if key is None:
            return None if len(self.queue) else Searcher.FINISHED
        self.running[trial_id] = key
        return {"key": key}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A fit is over: those that waited for it alone become ready, or fail with it."""
        key = self.running.pop(trial_id)
        if error or not result:
            reason, in_time = self.died(key)
            crowded = not in_time
        else:
            reason, crowded = result["failed"], result["crowded"]
        if not reason:
            self.queue.done(key)
            self.tick(running=len(self.running))
        elif crowded and self.postpone:
            self.postponed |= {key, *(waiting for waiting, _ in self.queue.drop(key))}
        else:
            self._fail(key, reason)
            for waiting, needed in self.queue.drop(key):
                self._fail(waiting, f"needs {self.plan.fits[needed].label}, which failed")

    def _fail(self, key: str, reason: str) -> None:
        self.failed[key] = reason
        self.tick(failed=True, running=len(self.running))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: after a crash the plan is made again from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy of its set-up; a terminal display cannot be part of it."""
        return {**self.__dict__, "tick": None, "plan": None, "died": None}


def order(plan: Plan, keys: Sequence[str]) -> ReadyQueue:
    """The queue of these fits (in dependency order), urgent by rough cost: epochs x trials x steps along a path."""
    fits = [plan.fits[k] for k in keys]
    needs = {f.stage.key: [u.stage.key for u in f.upstream] for f in fits}
    costs = {f.stage.key: float(f.settings.epochs * len(f.train.trial_ids) * (f.steps[1] - f.steps[0])) for f in fits}
    return ReadyQueue(needs, path_costs(needs, costs))


def run_fits(
    plan: Plan,
    keys: Sequence[str],
    blocks: Blocks,
    store: Store,
    *,
    shares: tuple[Mapping[str, float], Mapping[str, float]],
    execution: Execution,
    logs: Path,
    tick: Tick,
) -> dict[str, str]:
    """Run these fits (`keys` in dependency order) on the connected cluster; returns the reason of each that failed.

    `shares`: the resources of a fit, and those of one that gets a machine to itself because it ran out of memory beside others.
    """
    trainable = tune.with_parameters(
        FitTrial, plan=plan, blocks=blocks, store=store, logs=logs, limit_s=execution.fit_limit_s
    )

    def died(key: str) -> tuple[str, bool]:
        return death(hung_log(plan, key, logs), execution.fit_limit_s, execution.retries + 1)

    failed: dict[str, str] = {}
    for share in shares:
        if keys:
            if share is not shares[0]:
                print(
                    f"{len(keys)} fits ran out of memory or died, or wait for one that did: "
                    "once more, each with a machine to itself",
                    flush=True,
                )
            searcher = PlanSearcher(plan, keys, tick, died=died, postpone=share is shares[0])
            _tune(tune.with_resources(trainable, dict(share)), searcher, len(keys), execution.retries, store)
            for key in [*searcher.running.values(), *searcher.queue]:  # Tune stopped early (interrupted from outside)
                searcher.failed.setdefault(key, "not run: the schedule was stopped")
            failed |= searcher.failed
            keys = [k for k in keys if k in searcher.postponed]
    return failed


def _tune(trainable: Any, searcher: PlanSearcher, n: int, retries: int, store: Store) -> None:
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tune-", dir=store.root) as scratch:  # beside the store: every node reaches it
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=n, reuse_actors=True, metric="key", mode="max"),
            run_config=tune.RunConfig(
                name="fits",
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=retries),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )
        tuner.fit()
