"""Statistics over subjects: trials of one person are no independent evidence, so they are collapsed to a mean first.

What is averaged is the task's main metric, of pain or no pain the accuracy (painmodels/tasks). A difference between rows is
that of the metric, with the sign that makes better positive.

Legend: S subjects, R partitions, M tests. Accuracies are fractions. Nothing is drawn at random. How sure a mean over people is:
inference.py beside this file. Several predictions of a trial, on other partitions or from other fit seeds, are no further
evidence about people either.

What is tested is fixed before there are results, as three families, each with its own correction (Holm 1979): every row against
chance, every row against the trivial rule for its recordings, and the pairs that the experiment names. All other pairs of rows
are numbers, of which nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from grid.experiment.families import learned_rows
from grid.results.axes import AXES, with_axes
from grid.results.calibration import ece_of_people, line_of_people
from grid.results.inference import (
    ALPHA,
    SIMULATED_PEOPLE,
    Estimate,
    chance_of_everybody,
    estimate,
    learned,
    of_everybody,
    training_people,
)
from grid.results.people import of_column, of_metrics
from painmodels.tasks import PAIN, Task
from painmodels.tasks.task import Metric

COLUMNS = [
    *("a", "b", "n_subjects", "n_trials", "difference", "low", "high", "p", "p_holm", "tests", "marked", "few", "same"),
    *("effect_size", "detectable", "claim"),
]
"""Of every table of comparisons: see `compare`."""
BY_PERSON = ("accuracy", "sensitivity", "specificity", "balanced_accuracy")
"""Metrics that are means over a person's trials, from 0 to 1: of these there is an interval where everybody is at an end."""


def mean_by(predictions: pd.DataFrame, *, unit: str | Sequence[str] = "subject_name", task: Task = PAIN) -> pd.DataFrame:
    """The main metric of each `unit` (rows) in each modality row (columns, first seen first); NaN where there is none.

    `predictions` needs modality, y_true, the task's columns and `unit`, a column or several, of one scenario and one protocol.
    A trial that was predicted on several partitions or from several fit seeds counts as the mean of these: they are no further
    trials, and a subject is one subject however often it was tested.
    """
    units = [unit] if isinstance(unit, str) else list(unit)
    order = predictions["modality"].unique().tolist()
    frame = predictions[[*units, "modality"]].assign(merit=task.merit(*task.of(predictions)))
    table = frame.groupby([*units, "modality"], observed=True)["merit"].mean().unstack()
    table.columns = pd.Index(table.columns.tolist(), name="modality")
    if isinstance(unit, str):  # no categories
        table.index = pd.Index(table.index.tolist(), name=unit)
    return table.reindex(columns=order)


def over_people(predictions: pd.DataFrame, *, people: int | None = None, task: Task = PAIN) -> Estimate:
    """The mean over folds of the main metric of the predictions of one row, with its interval over people.

    `people`: how many subjects the scenario has, where not all were tested.
    """
    return intervals(predictions, [task.main.name], people=people, task=task)[task.main.name]


def intervals(
    predictions: pd.DataFrame, names: Collection[str], *, people: int | None = None, task: Task = PAIN
) -> dict[str, Estimate]:
    """Of one row, the mean of each metric over folds with its interval over people.

    `ece`, of tasks with a calibration, pools the folds, most of its bias removed.
    """
    main, n_train = task.main, training_people(predictions, people)
    values = of_metrics(predictions, {main.name, *names} - {"ece"}, task)
    if "ece" in names:
        values["ece"] = ece_of_people(predictions, task)
    merits, r = values[main.name].to_numpy(), 0.0
    if main.name == "accuracy" and len(merits):
        y_N = predictions["y_true"].to_numpy()
        guessed_N = task.merit(y_N, np.tile(task.constant(y_N), (len(y_N), 1)))
        r = float(learned(merits, n_train=n_train, chance=float(guessed_N.mean())))
    found = {name: estimate(values[name], n_train=n_train, learned_r=r) for name in names}
    if "modality" in predictions and all(map(_is_guess, predictions["modality"].astype(str).unique())):
        return found  # what it calls is no finding about people
    return {name: _at_an_end(one, values[name]) if name in BY_PERSON else one for name, one in found.items()}


def _at_an_end(found: Estimate, by_person: pd.DataFrame) -> Estimate:
    """The estimate with an exact interval, if every person has the value 0, or every person 1."""
    x_S = by_person.mean(axis=1).round(12)
    same = x_S.iloc[0] if len(x_S) and x_S.nunique() == 1 else float("nan")
    low, high = of_everybody(float(same), len(x_S))
    return found if np.isnan(low) else replace(found, exact=(low, high))


def calibration_line(predictions: pd.DataFrame, *, people: int | None = None) -> dict[str, Estimate]:
    """`slope` and `intercept` of the calibration line of one row of pain or no pain, with their intervals over people.

    Nothing of fewer people than SIMULATED_PEOPLE: a line through so few is the people's own.
    """
    if predictions["subject_name"].nunique() < SIMULATED_PEOPLE:
        return {}
    n_train = training_people(predictions, people)
    return {name: estimate(v, n_train=n_train, learned_r=0.0) for name, v in line_of_people(predictions).items()}


def effect_size(differences_S: Sequence[float] | np.ndarray) -> float:
    """Cohen's d of paired values: mean difference over the SD of differences. NaN where they do not vary."""
    d_S = np.asarray(differences_S, dtype=np.float64).ravel()
    d_S = d_S[~np.isnan(d_S)]
    sd = float(d_S.std(ddof=1)) if len(d_S) > 1 else 0.0
    return float(d_S.mean()) / sd if sd > 1e-12 else float("nan")


def holm(p_M: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p values, in the order given. NaN stays NaN and is not counted as a test."""
    p_M = np.asarray(p_M, dtype=np.float64)
    adjusted = np.full(p_M.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p_M))
    order = tested[np.argsort(p_M[tested], kind="stable")]
    steps = p_M[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def against_chance(
    predictions: pd.DataFrame, *, marked: Collection[str] = (), people: int | None = None, task: Task = PAIN
) -> pd.DataFrame:
    """Every learned row against the best constant guess for its trials, such as always the more frequent class (a: 'chance').

    The columns are those of `compare`; a row is claimed to be above chance or nothing is claimed. `low` and `high` are the row's
    own interval (`intervals`, Table 2) less what the guess has, ending where the metric does; p takes the whole correction.
    """
    rows, main = [], task.main
    for row in learned_rows(predictions["modality"].unique()):
        part = with_axes(predictions[predictions["modality"] == row])
        y_N, p_NC = task.of(part)
        guess_NC = np.tile(task.constant(y_N), (len(y_N), 1))
        guess_N = task.merit(y_N, guess_NC)
        table = part[["subject_name", *AXES]].assign(d=main.sign * (task.merit(y_N, p_NC) - guess_N))
        one = _compared("chance", row, table, part, people, marked, learns=main.name == "accuracy")
        rows.append(_against_guess(one, main, table.assign(guess=main.sign * guess_N), training_people(part, people)))
    found = family(rows)
    return found.assign(claim=found["claim"] & (found["difference"] > 0))


def compare(
    predictions: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    *,
    marked: Collection[str] = (),
    people: int | None = None,
    task: Task = PAIN,
) -> pd.DataFrame:
    """These pairs of modality rows of one scenario and protocol as one family, paired over the trials that both rows tested.

    A pair of which a row is not there, or of which one is scored per frame and the other per trial, is left out.
    Columns: a, b, n_subjects, n_trials (tested by both), difference (b - a, or a - b where less is better,
    the mean over folds), low, high (95 %, inference.py), p (two-sided), p_holm, tests (how many p_holm allows for), marked
    (one of the two is in `marked`: a row with fits that did not learn, with which nothing is claimed; it counts with p =
    1), few (fewer people than SIMULATED_PEOPLE, of whom nothing is claimed either; p = 1, too), same (both decide alike in
    every trial), effect_size, detectable (the difference that would be claimed with a probability of 80 %; infinite if it
    is larger than what lies between chance and the best value), claim.
    """
    table, wanted = with_axes(predictions), list(pairs)
    per_frame = table["frame"].notna() if "frame" in table else pd.Series(False, index=table.index)
    kinds = (table[~per_frame], table[per_frame])
    rows = [row for mine in kinds if len(mine) for row in _of_one_kind(mine, wanted, marked, people, task)]
    return family(sorted(rows, key=lambda row: wanted.index((str(row["a"]), str(row["b"])))))


def every_pair(predictions: pd.DataFrame) -> list[tuple[str, str]]:
    """All pairs of the rows that are there."""
    return list(combinations(predictions["modality"].unique().tolist(), 2))


def _of_one_kind(
    table: pd.DataFrame, pairs: list[tuple[str, str]], marked: Collection[str], people: int | None, task: Task
) -> list[dict[str, object]]:
    there = set(table["modality"].unique())
    unit = ["subject_name", "repeat", "fold", "seed", "sample_name"]
    unit += ["frame"] if "frame" in table and table["frame"].notna().all() else []
    wanted = [(a, b) for a, b in pairs if a in there and b in there]
    used = {row for pair in wanted for row in pair}
    mine = table[table["modality"].isin(used)]
    y_N, p_NC = task.of(mine)
    gain_N = task.main.sign * task.merit(y_N, p_NC)
    gains = mine[unit].assign(modality=mine["modality"].astype(str), gain=gain_N)
    wide = gains.set_index([*unit, "modality"])["gain"].unstack("modality") if wanted else pd.DataFrame()
    room = _room(task.main, task.main.sign * task.merit(y_N, np.tile(task.constant(y_N), (len(y_N), 1)))) if wanted else 0.0
    rows = []
    for a, b in wanted:
        both = wide[[a, b]].dropna().assign(d=wide[b] - wide[a]).reset_index()
        row = _compared(a, b, both, both, people, marked, learns=_is_guess(a) and task.main.name == "accuracy")
        row["room"] = room
        if _is_guess(a) and len(both):
            row = _against_guess(row, task.main, both.assign(guess=both[a]), training_people(both, people))
        rows.append(row)
    return rows


def _is_guess(row: str) -> bool:
    """Whether a row names one class without looking at anything, as chance does."""
    return row == "majority"


def _room(main: Metric, guess_N: np.ndarray) -> float:
    """What lies between the mean gain of a guess (better is more) and the best value that there is."""
    return max(main.sign * main.low, main.sign * main.high) - float(guess_N.mean())


def _against_guess(row: dict[str, Any], main: Metric, table: pd.DataFrame, n_train: float) -> dict[str, Any]:
    """A comparison with a guess, its interval cut where the metric ends; `guess`: its gain (better is more) in each
    prediction. Where every decision is right, or every one wrong, the interval is the exact one, and so is p."""
    guess = float(of_column(table, "guess").mean(axis=1).mean())
    row, n = {**row, "room": _room(main, table["guess"].to_numpy())}, row["n_subjects"]
    value_N = (table["d"] + table["guess"]).round(12)
    if main.name in BY_PERSON and value_N.nunique() == 1 and value_N.iloc[0] in (0, 1):
        right = value_N.iloc[0] == 1
        p = chance_of_everybody(guess if right else 1 - guess, n, n_train)
        low, high = (end - guess for end in of_everybody(float(right), n))
        return {**row, "low": low, "high": high, "p": 1.0 if row["marked"] or row["few"] else p}
    least, most = sorted(main.sign * end - guess for end in (main.low, main.high))
    return {**row, "low": max(row["low"], least), "high": min(row["high"], most)}


def _compared(
    a: str,
    b: str,
    table: pd.DataFrame,
    tested: pd.DataFrame,
    people: int | None,
    marked: Collection[str],
    *,
    learns: bool = False,
) -> dict[str, Any]:
    """One comparison, from a table with a difference `d` of each prediction. `learns`: see `comparison`."""
    n_train = training_people(tested, people) if len(table) else float("nan")
    row = comparison(a, b, of_column(table, "d"), n_train=n_train, marked=a in marked or b in marked, learns=learns)
    return {**row, "n_trials": tested["sample_name"].nunique(), "same": bool(len(table)) and not table["d"].any()}


def comparison(
    a: str, b: str, by_person: pd.DataFrame | pd.Series, *, n_train: float, marked: bool, learns: bool = False
) -> dict[str, Any]:
    """One comparison of a family, from each person's difference (b - a) on each partition.

    `learns`: they are how much more accurate a row is than a guess, so that its interval may take less of the correction.
    """
    sure: Any = {"chance": 0.0} if learns else {"learned_r": 0.0 if a == "chance" else None}
    found = estimate(by_person, n_train=n_train, **sure)
    mean_S = by_person.mean(axis=1) if isinstance(by_person, pd.DataFrame) else by_person
    few = found.n < SIMULATED_PEOPLE
    return {
        "a": a,
        "b": b,
        "n_subjects": found.n,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "p": 1.0 if marked or few else found.p,
        "marked": marked,
        "few": few,
        "room": float("inf"),
        "effect_size": effect_size(mean_S.to_numpy()),
        "estimate": found,
    }


def family(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Comparisons as a table with COLUMNS, corrected as one family. What cannot be tested counts as a test with p = 1."""
    known = [c for c in COLUMNS if c not in ("p_holm", "tests", "detectable", "claim")]
    table = pd.DataFrame(rows, columns=[*known, "estimate", "room"])
    p_M = table["p"].to_numpy(dtype=np.float64)
    adjusted = holm(np.where(np.isnan(p_M), 1.0, p_M))
    low, high = (table[end].to_numpy(dtype=np.float64) for end in ("low", "high"))
    clear = (low > 0) | (high < 0)
    return table.assign(
        p_holm=np.where(np.isnan(p_M), np.nan, adjusted),
        tests=len(table),
        detectable=[
            _possible(e.detectable(len(table)), most) for e, most in zip(table["estimate"], table["room"], strict=True)
        ],
        claim=clear & (adjusted < ALPHA) & ~table[["marked", "few"]].to_numpy(dtype=bool).any(axis=1),
    )[COLUMNS]


def _possible(difference: float, most: float) -> float:
    return float("inf") if difference > most else difference
