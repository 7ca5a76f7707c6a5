"""One Ray Tune run that works through a graph of fits.

Tune asks its searcher for the next trial: `PlanSearcher` answers with the most urgent fit whose inputs are stored, None while
there is none, and FINISHED at the end. So Tune's resources, retries and worker reuse serve a graph, without barriers.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Tune's own tables are for flat searches; the grid has its own display.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")  # the store is what a restart reads, not Tune's state

from ray import tune
from ray.tune.search import Searcher

from grid.inprocess import Tick, reason_of
from grid.plan import Plan
from grid.stages import Blocks, Runner
from grid.store import Store


class FitTrial(tune.Trainable):
    """One fit and the predictions made with it. The process is reused for the next fit."""

    def setup(self, config: dict[str, Any], plan: Plan, blocks: Blocks, store: Store, logs: Path) -> None:  # type: ignore[override]
        """Called once per process; `config` is {"key": the fit's key}."""
        import torch

        self.plan, self.logs = plan, logs
        self.runner = Runner(store, blocks, "cuda" if torch.cuda.is_available() else "cpu")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another fit in the same process."""
        return True

    def step(self) -> dict[str, Any]:
        """The whole fit. An error is a result: it is not retried, unlike the death of the process."""
        key = self.config["key"]
        reason = ""
        try:
            self.runner.fit(self.plan.fits[key])
            for predict in self.plan.predicts_of(key):
                self.runner.predict(predict)
        except Exception as error:
            reason = reason_of(error)
            self.logs.mkdir(parents=True, exist_ok=True)
            (self.logs / f"{self.plan.fits[key].stage.name}-{key}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return {"done": True, "key": key, "failed": reason}


class PlanSearcher(Searcher):
    """Hands out the fits of a plan in dependency order, the start of the longest remaining path first."""

    def __init__(self, plan: Plan, keys: Sequence[str], tick: Tick) -> None:
        super().__init__()
        self.plan, self.tick = plan, tick
        todo = set(keys)
        self.needs = {k: {u.stage.key for u in plan.fits[k].upstream} & todo for k in keys}
        self.urgency = _path_costs(plan, keys)
        self.running: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next fit, None to be asked again, or FINISHED."""
        ready = [k for k, needs in self.needs.items() if not needs]
        if not ready:
            return None if self.needs else Searcher.FINISHED
        key = max(ready, key=lambda k: self.urgency[k])
        del self.needs[key]
        self.running[trial_id] = key
        return {"key": key}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A fit is over: those that waited for it alone become ready, or fail with it."""
        key = self.running.pop(trial_id)
        reason = "the worker process died again and again" if error or not result else result["failed"]
        if reason:
            self._fail(key, reason)
        else:
            for needs in self.needs.values():
                needs.discard(key)
            self.tick(running=len(self.running))

    def _fail(self, key: str, reason: str) -> None:
        self.failed[key] = reason
        self.tick(failed=True, running=len(self.running))
        for waiting in [k for k, needs in self.needs.items() if key in needs]:
            if waiting in self.needs:
                del self.needs[waiting]
                self._fail(waiting, f"needs {self.plan.fits[key].label}, which failed")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: after a crash the plan is made again from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy of its set-up; a terminal display cannot be part of it."""
        return {**self.__dict__, "tick": None, "plan": None}


def _path_costs(plan: Plan, keys: Sequence[str]) -> dict[str, float]:
    """Per fit, its own rough cost (epochs x trials x steps) plus that of the most expensive chain that waits for it."""
    costs: dict[str, float] = {}
    after: dict[str, list[str]] = {k: [] for k in keys}
    for k in keys:
        for u in plan.fits[k].upstream:
            if u.stage.key in after:
                after[u.stage.key].append(k)
    for k in reversed(keys):
        fit = plan.fits[k]
        own = fit.epochs * len(fit.train.trial_ids) * (fit.steps[1] - fit.steps[0])
        costs[k] = own + max((costs[a] for a in after[k]), default=0.0)
    return costs


def run_fits(
    plan: Plan,
    keys: Sequence[str],
    blocks: Blocks,
    store: Store,
    *,
    resources: Mapping[str, float],
    retries: int,
    logs: Path,
    tick: Tick,
) -> dict[str, str]:
    """Run these fits (`keys` in dependency order) on the connected cluster; returns the reason of each that failed."""
    if not keys:
        return {}
    searcher = PlanSearcher(plan, keys, tick)
    trainable = tune.with_parameters(FitTrial, plan=plan, blocks=blocks, store=store, logs=logs)
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tune-", dir=store.root) as scratch:  # beside the store: every node reaches it
        tuner = tune.Tuner(
            tune.with_resources(trainable, dict(resources)),
            tune_config=tune.TuneConfig(
                search_alg=searcher, num_samples=len(keys), reuse_actors=True, metric="key", mode="max"
            ),
            run_config=tune.RunConfig(
                name="fits",
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=retries),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    for key in [*searcher.running.values(), *searcher.needs]:  # Tune stopped early (interrupted from outside)
        searcher.failed.setdefault(key, "not run: the schedule was stopped")
    return searcher.failed
