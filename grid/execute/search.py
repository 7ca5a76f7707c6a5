"""One hyperparameter search: what to try next, when to give up on a trial, which configuration wins.

The experiment's search algorithm proposes and says when a trial that lags behind stops (grid/search_algorithms/; as shipped,
Optuna's multivariate TPE and asynchronous successive halving). The first trial is the experiment's own configuration. A trial is
a configuration fitted on each inner fold; it reports the mean inner-validation score when a ninth, a third and all of its epochs
are done (for `halving` = 3), and the number of epochs of the best report is the number chosen. Held-out subjects of the outer
fold are never seen.

The store is the truth: a trial's number and parameters are stored before it is handed out (`search-asked`), its reports when it
is over (`search-trial`), and the algorithm is given these for every draw, whose random numbers depend on the search and the
trial's number alone. So a search that was killed hands out the same configurations again, whatever was running when.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna

from grid.experiment.search_spaces import distributions
from grid.plan.specs import Search
from grid.search_algorithms import Tried, algorithm
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.search_trial import checkpoints_of, trial_epochs

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns where a parameter is drawn independently, as intended

WORST = -1e9
"""The score of a trial whose fits diverged."""
REPORTED = ("rung", "epochs", "score", "rank", "inner", "seconds")


class SearchState:
    """The running state of one search, made again from what the store has of it.

    `trials` are those that are over, by number; `open` those that were handed out, now or by a run that was killed.
    """

    def __init__(self, search: Search, store: Store) -> None:
        self.search, self.store, self.algorithm = search, store, algorithm(search.options.algorithm)
        self.trials: dict[int, dict[str, Any]] = {}
        self.open: dict[int, dict[str, Any]] = {}
        self.running: dict[str, int] = {}
        self.again: set[int] = set()  # whose fits failed once, through no fault of their configuration
        for number in range(search.trials):
            if not self._take_over(number) and store.has(self._asked(number)):
                self._open(number, store.facts(self._asked(number))["params"])
        if self.finished:  # killed between the last trial and the end
            self._conclude()

    def _asked(self, number: int) -> Stage:
        return Stage("search-asked", 1, {"number": number}, (self.search.stage.key,))

    def _over(self, number: int) -> Stage:
        return Stage("search-trial", 1, {"number": number}, (self.search.stage.key,))

    def _open(self, number: int, params: dict[str, Any]) -> None:
        self.open[number] = {"number": number, "params": params, "reports": [], "state": "running"}

    def _take_over(self, number: int) -> bool:
        """Take what the store has of a trial that is over, whichever driver finished it."""
        if number not in self.trials and self.store.has(self._over(number)):
            self.trials[number] = self.store.facts(self._over(number))
            self.open.pop(number, None)
        return number in self.trials

    @property
    def finished(self) -> bool:
        """Every trial is over."""
        return len(self.trials) == self.search.trials

    def suggest(self, ticket: str) -> dict[str, Any] | None:
        """Number and parameters of the next trial, or None when all have been handed out.

        First what an earlier run handed out and did not finish, as it was handed out.
        """
        at_work = set(self.running.values())
        for number in range(self.search.trials):
            if number in at_work or self._take_over(number):
                continue
            if number not in self.open:
                self.store.write(self._asked(number), {}, {"number": number, "params": self._draw(number)})
                self._open(number, self.store.facts(self._asked(number))["params"])  # another driver may have been first
            self.running[ticket] = number
            return {"number": number, "params": self.open[number]["params"]}
        if self.finished:
            self._conclude()
        return None

    def _draw(self, number: int) -> dict[str, Any]:
        """The parameters of a trial that was never handed out."""
        space = distributions(self.search.space, self.search.own)
        if not number:
            return {name: self.search.own[name] for name in space}
        seed = int(np.random.SeedSequence([self.search.stage.seed, number]).generate_state(1)[0]) % 2**31
        before = {**self.trials, **self.open}
        found = self.algorithm.propose(space, [_tried(before[n]) for n in range(number)], seed)
        if set(found) != set(space):
            name = self.search.options.algorithm
            raise ValueError(f"search algorithm {name}: found values of {sorted(found)}, expected those of {sorted(space)}")
        return dict(found)

    def put_back(self, ticket: str) -> bool:
        """A trial's fits failed through no fault of its configuration: it is done again, once. False if it was already."""
        number = self.running.pop(ticket)
        if number in self.again:
            return False
        self.again.add(number)
        return True

    def report(self, ticket: str, result: dict[str, Any]) -> bool:
        """Note a rung's result; False if the trial lags behind and is to stop."""
        trial = self.open[self.running[ticket]]
        if any(r["rung"] == result["rung"] for r in trial["reports"]):
            return True  # said again by a worker that was restarted
        others = [t for t in (*self.trials.values(), *self.open.values()) if t is not trial]
        ranks = [r["rank"] for t in others for r in t["reports"] if r["rung"] == result["rung"]]
        trial["reports"].append({k: result[k] for k in REPORTED})
        asked = self.search.options.prune and not result.get("last") and not result.get("passed")
        return not (asked and self.algorithm.stop(result["rank"], ranks, self.search.options.halving))

    def complete(self, ticket: str) -> None:
        """A trial is over, at its last report; one without a report (its fits diverged) counts as the worst."""
        number = self.running.pop(ticket)
        trial = self.open[number]
        if not trial["reports"]:
            trial["reports"] = [{"rung": 1, "epochs": 0, "score": WORST, "rank": WORST, "inner": [], "seconds": 0.0}]
        whole = trial["reports"][-1]["epochs"] >= trial_epochs(self.search, trial["params"])
        trial["state"] = "failed" if trial["reports"][-1]["score"] <= WORST else "complete" if whole else "pruned"
        self.store.write(self._over(number), {}, trial)
        self._take_over(number)  # another driver may have been first
        folder, name = checkpoints_of(self.store, self.search, trial)
        for file in folder.glob(f"{name}-*"):
            file.unlink(missing_ok=True)
        if self.finished:
            self._conclude()

    def _conclude(self) -> None:
        """Store the winner: the best report of any trial; where two are right equally often, the likelier, then the cheaper."""
        best = max(
            ((t, r) for t in self.trials.values() for r in t["reports"]),
            key=lambda pair: (pair[1]["rank"], -pair[1]["epochs"], -pair[0]["number"]),
        )
        epochs = {"epochs": best[1]["epochs"]} if "epochs" in self.search.own else {}  # an estimator has none
        winner = {**best[0]["params"], **epochs} if best[1]["epochs"] else {}
        spent = sum(t["reports"][-1]["epochs"] for t in self.trials.values())
        facts = {
            "label": self.search.label,
            "winner": winner,
            "winner_trial": best[0]["number"],
            "score": best[1]["score"],
            "own_score": self.trials[0]["reports"][-1]["score"],
            "metric": self.search.options.metric,
            "epochs_spent": spent,
            "epochs_full": sum(trial_epochs(self.search, t["params"]) for t in self.trials.values()),
            "trials": [self.trials[n] for n in sorted(self.trials)],
            "seconds": round(sum(r["seconds"] for t in self.trials.values() for r in t["reports"]), 3),
        }
        self.store.write(self.search.stage, {}, facts)


def _tried(trial: dict[str, Any]) -> Tried:
    """A trial as an algorithm is told of it."""
    return Tried(params=trial["params"], state=trial["state"], ranks={r["rung"]: r["rank"] for r in trial["reports"]})
