"""What a model card tells of a row: held-out metrics with intervals, calibration, people and limits. cards.json has every row's.

A card itself is written where a model is (painmodels/use/card.py): with an export, and with a registered model.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from grid.experiment.cells import is_further
from grid.protocols import tested_people_train
from grid.results.axes import AXES, spread, with_axes
from grid.results.inference import FEW_PEOPLE, SIMULATED_PEOPLE, WIDER, people_of
from grid.results.learned import Mark
from grid.results.selection import selected_by, sentence
from grid.results.stats import against_chance, calibration_line, intervals
from painmodels.tasks import Task

FILE = "cards.json"
N_BINS = 5
TOO_FEW = f"Slope and intercept: too few people (fewer than {SIMULATED_PEOPLE})"


def cards(
    run: Mapping[str, Any],
    task: Task,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    marks: Mapping[tuple[str, ...], Mark],
) -> dict[str, dict[str, Any]]:
    """Of every row with scores, what `card_facts` says, by `row/scenario/protocol`. `marks`: by the same three."""
    found = {}
    key = ["modality", "scenario", "protocol"]
    for group, part in with_axes(predictions).groupby(key, observed=True, sort=False):
        row, scenario, protocol = map(str, group)
        if not is_further(scenario):
            mine = scores[(scores[key].astype(str) == [row, scenario, protocol]).all(axis=1)]
            mark = marks.get((row, scenario, protocol), Mark())
            found[f"{row}/{scenario}/{protocol}"] = card_facts(run, task, mine, part, mark)
    return found


def card_facts(run: Mapping[str, Any], task: Task, scores: pd.DataFrame, part: pd.DataFrame, mark: Mark) -> dict[str, Any]:
    """Of one row of a scenario and protocol, `scores` of its cells and its predictions `part`; plain JSON types."""
    first, scores = scores.iloc[0], with_axes(scores)
    row, scenario = str(first["modality"]), str(first["scenario"])
    facts = run.get("scenarios", {}).get(scenario, {})
    people = people_of(facts, [str(first["protocol"])])
    found = intervals(
        part,
        [*(m.name for m in task.metrics), *(["ece"] if "calibration" in task.sections else [])],
        people=people,
        task=task,
    )
    units = part.drop_duplicates(["sample_name"])["y_true"]
    by = selected_by(facts, row)
    rows = run.get("signals", {}).get("sees_test_side", [])
    tested = against_chance(part, people=people, task=task)
    no_claim = without_claim(int(part["subject_name"].nunique()), mark) if len(tested) else ""
    return {
        "people": int(part["subject_name"].nunique()),
        "people_in_all": people,
        "trials": {task.name_of(y): int((units == y).sum()) for y in sorted(set(units))} if task.n_classes else {},
        "n_trials": len(units),
        "axes": {axis: int(scores[axis].nunique()) for axis in AXES},
        "metrics": [_metric(metric, scores, found[metric.name]) for metric in task.metrics if metric.name in scores],
        "own": {"/".join(str(cell[a]) for a in AXES): _own(task, cell) for cell in scores.to_dict("records")},
        "above_chance": _above_chance(tested.iloc[0], told=not no_claim) if len(tested) else None,
        "no_claim": no_claim,
        "p_rests_on": WIDER,
        "calibration": _calibration(task, part, found, people) if "calibration" in task.sections else None,
        "learned": _learned(mark),
        "tested_people_train": tested_people_train(str(first["protocol"])),
        "selected": sentence(scenario, by) if by else "",
        "sees_test_side": f"{row} ({scenario})" in rows,
    }


def without_claim(people: int, mark: Mark) -> str:
    """Why nothing is claimed of a row whatever its value is; empty if something could be."""
    return mark.text or (FEW_PEOPLE if people < SIMULATED_PEOPLE else "")


def _above_chance(tested: pd.Series, *, told: bool) -> list[float | None]:
    """Difference, its interval, and p, which is not there where nothing can be claimed."""
    difference, low, high, p = (_number(tested[name]) for name in ("difference", "low", "high", "p"))
    return [difference, low, high, p if told else None]


def _metric(metric: Any, scores: pd.DataFrame, estimate: Any) -> dict[str, Any]:
    known = spread(scores, metric.name)
    values = [known["mean"], known["sd"], max(estimate.low, metric.low), min(estimate.high, metric.high)]
    return {
        "name": metric.name,
        "title": metric.title,
        **dict(zip(("mean", "sd", "low", "high"), map(_number, values), strict=True)),
    }


def _own(task: Task, cell: Mapping[Any, Any]) -> dict[str, float | None]:
    return {metric.name: _number(cell[metric.name]) for metric in task.metrics if metric.name in cell}


def _calibration(task: Task, part: pd.DataFrame, found: Mapping[str, Any], people: int | None) -> dict[str, Any]:
    line = calibration_line(part, people=people) if "roc" in task.sections else {}
    estimates = {"ece": found["ece"], **line}
    y_N, p_NC = task.of(part)
    said_N, edges = task.expected(p_NC), np.linspace(*task.expects.span, N_BINS + 1)
    bins = []
    for low, high in pairwise(edges):
        inside = (said_N >= low) & ((said_N < high) | (high == edges[-1]))
        means = [_number(x[inside].mean()) if inside.any() else None for x in (said_N, y_N)]
        bins.append([float(low), float(high), int(inside.sum()), *means])
    words = {"predicted": task.expects.predicted, "observed": task.expects.observed}
    least = {"ece": 0.0}  # taking away what chance adds can leave less
    told = {
        name: [None if (x := _number(end)) is None else max(x, least.get(name, x)) for end in (e.mean, e.low, e.high)]
        for name, e in estimates.items()
    }
    too_few = TOO_FEW if "roc" in task.sections and not line else ""
    return {**told, "bins": bins, **words, "too_few": too_few}


def _learned(mark: Mark) -> str:
    said = {
        "true": f"the training loss of all {mark.fits} fits behind the row fell below 95 % of a constant guess's, and "
        "stayed there.",
        "false": f"not all fits got below 95 % of a constant guess's training loss and stayed there: {mark.text}.",
    }
    return said.get(mark.learned, "it is not known, or nothing is trained in epochs.")


def _number(x: Any) -> float | None:
    """JSON has no NaN."""
    return float(x) if x is not None and np.isfinite(x) else None
