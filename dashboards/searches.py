"""The report's section on hyperparameter search: what each search tried, spent, chose and gained on its inner folds.

Reads searches.json (`grid.results.files.search_record`). Searches of one sub-network and scenario, one an outer fold, are a
group and stand in one row. The winner is the best of all that was tried, so its inner score is too high and can hardly lie
below that of the experiment's own values: whether a search is worth its epochs is decided by the held-out folds, not here.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from dashboards import search_figures as figures
from dashboards.drawings import drawing
from dataprep.records import InputError
from grid.experiment.config_tables import Range
from painmodels.tasks import PAIN, Task

Record = Mapping[str, Any]
NEEDED = ("key", "role", "signals", "scenario", "fold", "space", "own", "winner", "score", "own_score", "trials")


def read_searches(folder: Path) -> list[dict[str, Any]]:
    """The searches of a result folder, none where it has no searches.json. Raises InputError where the file is something else."""
    path = folder / "searches.json"
    if not path.is_file():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(found, list):
        raise InputError(f"{path}: holds a {type(found).__name__}; expected a list of searches")
    for search in found:
        lacking = [name for name in NEEDED if not isinstance(search, dict) or name not in search]
        if lacking:
            raise InputError(f"{path}: a search has no {', '.join(lacking)}")
    return found


def section(searches: Sequence[Record], task: Task = PAIN) -> dict[str, Any] | None:
    """Rows of the table and figures, a group after the other; None where nothing was searched."""
    if not searches:
        return None
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for search in searches:
        name = search["role"] + (f" ({'+'.join(search['signals'])})" if search["signals"] else "")
        groups[name, str(search["scenario"])].append(search)
    one_scenario = len({scenario for _, scenario in groups}) == 1
    titled = {name if one_scenario else f"{name}, {scenario}": found for (name, scenario), found in groups.items()}
    return {
        "rows": [_row(title, group) for title, group in titled.items()],
        "metric": task.searched.get(searches[0].get("metric", ""), "score"),
        "groups": [_figures(title, group, i) for i, (title, group) in enumerate(titled.items())],
    }


def _row(title: str, group: Sequence[Record]) -> dict[str, Any]:
    states = Counter(trial["state"] for search in group for trial in search["trials"])
    spent, full = (sum(search[name] for search in group) for name in ("epochs_spent", "epochs_full"))
    return {
        "title": title,
        "searches": len(group),
        "trials": states.total(),
        "pruned": states["pruned"],
        "failed": states["failed"],
        "spent": spent,
        "share": spent / full if full else float("nan"),
        "chosen": [(name, _chosen(name, group)) for name in [*group[0]["space"], *_epochs(group)]],
        **_gain(group),
    }


def _epochs(group: Sequence[Record]) -> list[str]:
    """Epochs are chosen in every search, searched or not: the winner's best report says how many."""
    return [] if "epochs" in group[0]["space"] else ["epochs"]


def _chosen(name: str, group: Sequence[Record]) -> str:
    """The median of numbers from a range with the least and the greatest, or the most frequent choice and how often."""
    values = [search["winner"][name] for search in group if name in search["winner"]]
    if not values:
        return "none: every trial failed"
    if isinstance(group[0]["space"].get(name), list):
        value, n = Counter(map(str, values)).most_common(1)[0]
        return value if len(values) == 1 else f"{value} ({n} of {len(values)})"
    middle, low, high = f"{median(values):.3g}", f"{min(values):.3g}", f"{max(values):.3g}"
    return middle if low == high else f"{middle} ({low} to {high})"


def _gain(group: Sequence[Record]) -> dict[str, Any]:
    """Mean inner scores of the winner and of the experiment's own values. Nothing is claimed: the winner is the best of all."""
    both = [(s["score"], s["own_score"]) for s in group if s["winner"] and s["own_score"] > -1e9]
    winner, own = (np.array(values) for values in zip(*both, strict=True)) if both else (np.array([np.nan]),) * 2
    return {"score": float(winner.mean()), "own": float(own.mean())}


def _figures(title: str, group: Sequence[Record], place: int) -> dict[str, Any]:
    rows = pd.DataFrame(
        [
            {"search": i, "trial": t["number"], "state": t["state"], "score": max(r["score"] for r in t["reports"])}
            | {f"param.{name}": value for name, value in t["params"].items()}
            | {"winner": t["number"] == search.get("winner_trial")}
            for i, search in enumerate(group)
            for t in search["trials"]
            if t["state"] != "failed"
        ]
    )
    if rows.empty:
        return {"title": title, "figures": [], "notes": ["Every trial failed: there is nothing to draw."]}
    shares, reasons = importances(group)
    logs = [name for name, values in group[0]["space"].items() if isinstance(values, dict) and values.get("log")]
    drawn = [
        ("best score so far", figures.history_figure(title, rows), rows),
        ("all trials", figures.parallel_figure(title, rows, logs), rows),
    ]
    if not shares.empty:
        drawn.insert(1, ("importance", figures.importance_figure(title, shares), shares))
    pictures = [
        drawing(figure, f"search-{place}-{i}", label=f"{title}: {what}", numbers=numbers)
        for i, (what, figure, numbers) in enumerate(drawn)
    ]
    notes = [f"Importance cannot be told for {n} of {len(group)} searches: {why}." for why, n in reasons.items()]
    return {"title": title, "figures": pictures, "notes": notes}


def importances(group: Sequence[Record]) -> tuple[pd.DataFrame, Counter[str]]:
    """Share of the scores' variance that each hyperparameter explains (fANOVA over complete trials): a row per search.

    Searches for which it cannot be told are counted by the reason instead.
    """
    import optuna

    from grid.experiment.search_spaces import distributions

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows, reasons = [], Counter[str]()
    for search in group:
        complete = [t for t in search["trials"] if t["state"] == "complete"]
        values = [t["reports"][-1]["score"] for t in complete]
        if len(complete) < 2:
            reasons["fewer than two trials ran to the end"] += 1
            continue
        if np.ptp(values) < 1e-9:  # means of the same inner scores may differ in their last digit
            reasons["all trials that ran to the end score the same"] += 1
            continue
        if all(t["params"] == complete[0]["params"] for t in complete):  # their scores differ by the seed alone
            reasons["all trials that ran to the end have the same settings"] += 1
            continue
        space = {k: v if isinstance(v, list) else Range(**v) for k, v in search["space"].items()}
        known = distributions(space, search["own"])
        study = optuna.create_study(direction="maximize")
        for trial, value in zip(complete, values, strict=True):
            study.add_trial(optuna.trial.create_trial(params=trial["params"], distributions=known, value=value))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        rows.append(optuna.importance.get_param_importances(study, evaluator=evaluator))
    return pd.DataFrame(rows), reasons
