"""One hyperparameter search: what to try next, when to give up on a trial, which configuration wins.

Tune's `OptunaSearch` (multivariate TPE) proposes, Tune's ASHA stops trials that lag behind. The first trial is the experiment's
own configuration. A trial is a configuration fitted on each inner fold; it reports the mean inner-validation score when a
ninth, a third and all of its epochs are done (for `halving` = 3), and the number of epochs of the best report is the number
chosen. Held-out subjects of the outer fold are never seen. Every finished trial is an artefact, so a search that was killed
goes on from its trials: the sampler draws each trial's numbers from (search, trial number), not from a running stream.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from grid.experiment.search_spaces import distributions
from grid.plan.specs import Search
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.search_trial import RUNGS

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns where a parameter is drawn independently, as intended

STARTUP_TRIALS = 5
"""Drawn at random (the first is the experiment's own) before the model of the sampler is used."""


class NumberedTPE(optuna.samplers.BaseSampler):
    """TPE whose random numbers depend on the trial's number alone, so that a resumed search draws what it would have drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _sampler(self, trial: optuna.trial.FrozenTrial) -> optuna.samplers.TPESampler:
        seed = int(np.random.SeedSequence([self.seed, trial.number]).generate_state(1)[0]) % 2**31
        return optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            constant_liar=True,
            n_startup_trials=STARTUP_TRIALS,
        )

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """As TPESampler."""
        return self._sampler(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """As TPESampler."""
        return self._sampler(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: BaseDistribution) -> Any:
        """As TPESampler, with numbers of its own for each parameter."""
        seed = int(np.random.SeedSequence([self.seed, trial.number, *param_name.encode()]).generate_state(1)[0]) % 2**31
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        return sampler.sample_independent(study, trial, param_name, param_distribution)


class SearchState:
    """The running state of one search, made again from its finished trials in the store."""

    def __init__(self, search: Search, store: Store) -> None:
        self.search, self.store = search, store
        self.distributions = distributions(search.space, search.own)
        self.trials: dict[int, dict[str, Any]] = {}
        self.running: dict[str, dict[str, Any]] = {}
        self.again: list[dict[str, Any]] = []  # trials whose fits failed once, through no fault of their configuration
        self.tried_again: set[int] = set()
        for number in range(search.trials):
            if store.has(self._stage(number)):
                self.trials[number] = store.facts(self._stage(number))
        first = {name: search.own[name] for name in search.space}
        self.optuna = OptunaSearch(
            space=self.distributions,
            metric="rank",
            mode="max",
            sampler=NumberedTPE(search.stage.seed),
            points_to_evaluate=[] if 0 in self.trials else [first],
        )
        halving = search.options.halving
        self.asha = ASHAScheduler(
            time_attr="share", metric="rank", mode="max", max_t=halving**RUNGS, reduction_factor=halving
        )
        for number, facts in sorted(self.trials.items()):
            self.optuna.add_evaluated_point(facts["params"], facts["reports"][-1]["rank"])
            past: Any = SimpleNamespace(trial_id=f"past-{number}")
            self.asha.on_trial_add(None, past)  # type: ignore[arg-type]
            for report in facts["reports"]:
                self.asha.on_trial_result(None, past, self._shared(report))  # type: ignore[arg-type]
        self.unused = [n for n in range(search.trials) if n not in self.trials]
        if self.finished:  # killed between the last trial and the end
            self._conclude()

    def _stage(self, number: int) -> Stage:
        return Stage("search-trial", 1, {"number": number}, (self.search.stage.key,))

    @property
    def finished(self) -> bool:
        """Every trial is over."""
        return len(self.trials) == self.search.trials

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Number and parameters of the next trial, or None when all have been handed out."""
        if self.again:
            trial = self.again.pop(0)
        elif self.unused:
            params = self.optuna.suggest(trial_id)
            assert isinstance(params, dict)
            trial = {"number": self.unused.pop(0), "params": params, "reports": [], "asked_as": trial_id}
        else:
            return None
        self.running[trial_id] = trial
        self.asha.on_trial_add(None, SimpleNamespace(trial_id=trial["asked_as"]))  # type: ignore[arg-type]
        return {"number": trial["number"], "params": trial["params"]}

    def put_back(self, trial_id: str) -> bool:
        """A trial's fits failed through no fault of its configuration: it is done again, once. False if it was already."""
        trial = self.running.pop(trial_id)
        if trial["number"] in self.tried_again:
            return False
        self.tried_again.add(trial["number"])
        self.again.append(trial)
        return True

    def report(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Note a rung's result; False if the trial lags behind and is to stop."""
        trial = self.running[trial_id]
        keep = ("rung", "epochs", "score", "rank", "inner", "seconds")
        if trial["reports"] and trial["reports"][-1]["rung"] >= result["rung"]:
            return True  # said again by a worker that was restarted
        trial["reports"].append({k: result[k] for k in keep})
        self.optuna.on_trial_result(trial["asked_as"], {"rank": result["rank"], "training_iteration": result["rung"]})
        if not self.search.options.prune or result.get("last"):
            return True
        past: Any = SimpleNamespace(trial_id=trial["asked_as"])
        return self.asha.on_trial_result(None, past, self._shared(result)) != TrialScheduler.STOP  # type: ignore[arg-type]

    def _shared(self, report: dict[str, Any]) -> dict[str, Any]:
        """A report on ASHA's clock, on which each rung is `halving` times as long as the one before."""
        return {"share": self.search.options.halving ** (report["rung"] - 1), "rank": report["rank"]}

    def complete(self, trial_id: str) -> None:
        """A trial is over, at its last report; one without a report (its fits diverged) counts as the worst."""
        trial = self.running.pop(trial_id)
        if not trial["reports"]:
            trial["reports"] = [{"rung": 1, "epochs": 0, "score": -1e9, "rank": -1e9, "inner": [], "seconds": 0.0}]
        self.optuna.on_trial_complete(trial.pop("asked_as"), {"rank": trial["reports"][-1]["rank"]})
        wanted = self.search_epochs(trial["params"])
        trial["state"] = "complete" if trial["reports"][-1]["epochs"] >= wanted else "pruned"
        if trial["reports"][-1]["score"] <= -1e9:
            trial["state"] = "failed"
        self.store.write(self._stage(trial["number"]), {}, trial)
        self.trials[trial["number"]] = trial
        for file in (self.store.root / ".checkpoints").glob(
            f"{self.search.stage.name}-{self.search.stage.key}-{trial['number']}-*"
        ):
            file.unlink()  # a pruned trial does not go on
        if self.finished:
            self._conclude()

    def search_epochs(self, params: dict[str, Any]) -> int:
        """Epochs that a trial with these parameters would train in full."""
        return int(params.get("epochs", self.search.settings.epochs))

    def _conclude(self) -> None:
        """Store the winner: the best report of any trial; where two are right equally often, the likelier, then the cheaper."""
        best = max(
            ((t, r) for t in self.trials.values() for r in t["reports"]),
            key=lambda pair: (pair[1]["rank"], -pair[1]["epochs"], -pair[0]["number"]),
        )
        winner = {**best[0]["params"], "epochs": best[1]["epochs"]} if best[1]["epochs"] else {}
        spent = sum(t["reports"][-1]["epochs"] for t in self.trials.values())
        facts = {
            "label": self.search.label,
            "winner": winner,
            "winner_trial": best[0]["number"],
            "score": best[1]["score"],
            "own_score": self.trials[0]["reports"][-1]["score"],
            "metric": self.search.options.metric,
            "epochs_spent": spent,
            "epochs_full": sum(self.search_epochs(t["params"]) for t in self.trials.values()),
            "trials": [self.trials[n] for n in sorted(self.trials)],
            "seconds": round(sum(r["seconds"] for t in self.trials.values() for r in t["reports"]), 3),
        }
        self.store.write(self.search.stage, {}, facts)
