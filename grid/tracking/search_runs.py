"""Hyperparameter searches in MLflow: a parent run per search, a child per trial with its reports as metric histories.

The step of a trial's metrics is the number of epochs after which it reported. The tag `state` is complete, pruned or failed, and
`best` marks the trial that won. A search is found by its key, a trial by the search's key and its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grid.store.identity import digest
from grid.tracking.runs import Entry, Runs
from grid.tracking.work_times import Span


def mirror_search(runs: Runs, search: Mapping[str, Any], common: Mapping[str, str], ended_s: float) -> None:
    """Make or complete the runs of a search, as searches.json records it; `common` are facts of the whole grid.

    A search has its seconds and no clock times: its runs end with the file, `ended_s`.
    """
    facts = {
        "role": search["role"],
        "signals": "+".join(search["signals"]),
        "scenario": search["scenario"],
        "fold": "all" if search["fold"] < 0 else str(search["fold"]),
        "repeat": str(search.get("repeat", 0)),
        "scope": search["scope"],
        "metric": search["metric"],
        **common,
    }
    params = {**facts, "best_score": f"{search['score']:.6g}", "epochs_spent": str(search["epochs_spent"])}
    params |= {"epochs_full": str(search["epochs_full"]), "trials": str(len(search["trials"]))}
    params |= {f"winner.{name}": str(value) for name, value in sorted(search["winner"].items())}
    tags = {**facts, "kind": "search", "search": search["key"], "mlflow.runName": search["label"]}
    numbers = ("score", "own_score", "epochs_spent", "epochs_full", "seconds")
    metrics = [(f"best_{n}" if n == "score" else n, float(search[n]), 0) for n in numbers if search[n] > -1e9]
    failed, span = not search["winner"], _span(ended_s, float(search["seconds"]))
    parent = runs.write(Entry(digest(["search", search["key"]]), tags, params, metrics, failed=failed, span=span))
    for trial in search["trials"]:
        _trial(runs, search, trial, {**facts, "mlflow.parentRunId": parent}, ended_s)


def _span(ended_s: float, seconds: float) -> Span:
    return int(1000 * (ended_s - max(0.0, seconds))), int(1000 * ended_s)


def _trial(
    runs: Runs, search: Mapping[str, Any], trial: Mapping[str, Any], facts: Mapping[str, str], ended_s: float
) -> None:
    number, state = trial["number"], trial["state"]
    best = bool(search["winner"]) and number == search["winner_trial"]
    tags = {**facts, "kind": "trial", "search": search["key"], "state": state, "best": str(best).lower()}
    tags |= {"mlflow.runName": f"{search['label']} · trial {number}"}
    params = {
        **{k: v for k, v in facts.items() if not k.startswith("mlflow.")},
        "trial": str(number),
        **{name: str(value) for name, value in sorted(trial["params"].items())},
    }
    metrics = []
    for report in (r for r in trial["reports"] if r["epochs"]):  # a failed trial has a report that says nothing
        values = {"score": report["score"], "seconds": report["seconds"]}
        values |= {f"score/inner{i}": score for i, score in enumerate(report["inner"])}
        metrics += [(name, float(value), int(report["epochs"])) for name, value in values.items()]
    span = _span(ended_s, max((float(report["seconds"]) for report in trial["reports"]), default=0.0))
    key = digest(["trial", search["key"], number])
    runs.write(Entry(key, tags, params, metrics, failed=state == "failed", span=span))
