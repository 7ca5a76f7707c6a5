"""The main metric (accuracy) by sex and age, for data sets that tell them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from dashboards import wording
from dashboards.claims import p_text, plural, signed
from dashboards.results import Panel, Results
from dataprep.datasets import datasets
from grid.experiment.families import learned_rows
from grid.results.inference import ALPHA, FEW_PEOPLE, SIMULATED_PEOPLE, Estimate, estimate, training_people
from grid.results.stats import holm

GROUPS = (
    ("women", "sex == 'w'"),
    ("men", "sex == 'm'"),
    ("up to 35 years", "age <= 35"),
    ("36–50 years", "35 < age <= 50"),
    ("over 50 years", "age > 50"),
)
OF_EITHER = 5
"""How many people a side needs before the two are tested against each other, and a group before it has an interval."""


def people_of(results: Results) -> pd.DataFrame:
    """Sex and age of the subjects of whom the data set tells them, indexed by subject.

    They are in folds.csv; of a folder that has none, the reader of the data set is asked, if it is one of this project's.
    """
    if not results.folds.empty:
        told = results.folds.drop_duplicates("subject").set_index("subject")[["sex", "age"]]
        return told.rename(index=str).dropna()
    reader = datasets().get(str(results.get("data", "name")))
    found = {str(name): reader.person(str(name)) for name in results.predictions["subject_name"].unique()} if reader else {}
    rows = {name: {"sex": person.sex, "age": float(person.age)} for name, person in found.items() if person}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["sex", "age"])


def groups(panel: Panel, people: pd.DataFrame, n_people: int | None) -> dict[str, Any] | None:
    """The main metric, as it is shown, by sex and age with a 95 % interval, and what can be claimed; None without any."""
    known = people.reindex([name for name in panel.by_subject.index if name in people.index])
    members = [(label, known.query(rule).index) for label, rule in GROUPS] if len(known) else []
    members = [(label, names) for label, names in members if len(names)]
    if not members:
        return None
    n_train, scale = training_people(panel.predictions, n_people), panel.task.main.scale
    rows = [
        (row, [_of_group(scale * panel.by_subject.loc[names, row], n_train) for _, names in members]) for row in panel.rows
    ]
    return {
        "fewest": OF_EITHER,
        "heads": [(label, len(names)) for label, names in members],
        "rows": rows,
        "unknown": len(panel.by_subject) - len(known),
        "sentences": _sentences(panel, known, n_train),
    }


def _of_group(values: pd.Series, n_train: float) -> Estimate:
    """The mean of a group, without an interval where it has fewer than OF_EITHER people."""
    found = estimate(values, n_train=n_train, learned_r=0.0)
    return found if found.n >= OF_EITHER else replace(found, se=float("nan"), null_se=float("nan"))


def _sentences(panel: Panel, known: pd.DataFrame, n_train: float) -> list[str]:
    """What the tests of sex and age allow: every learned row twice, one family after Holm."""
    if len(known) < SIMULATED_PEOPLE:
        return [f"Whether {panel.task.main.title} depends on sex or age is not tested: {FEW_PEOPLE}."]
    rows = [row for row in learned_rows(panel.rows) if row in panel.by_subject]
    tests: list[tuple[str, str, Estimate]] = []
    for row in rows:
        value = panel.task.main.scale * panel.by_subject.loc[known.index, row]
        known_value = value.dropna()
        sex, age = known.loc[known_value.index, "sex"], known.loc[known_value.index, "age"]
        if min((sex == "w").sum(), (sex == "m").sum()) >= OF_EITHER:
            tests.append((row, "sex", _slope(known_value, (sex == "w").astype(float), n_train)))
        if len(age) >= 2 * OF_EITHER and age.nunique() > 2:
            tests.append((row, "age", _slope(known_value, age / 10, n_train)))
    if not tests:
        return [
            f"Too few people of either sex, or of different ages, to test whether {panel.task.main.title} depends on them."
        ]
    p_M = np.array([found.p for _, _, found in tests])
    adjusted = holm(np.where(np.isnan(p_M), 1.0, p_M))
    claimed = [(row, what, found, p) for (row, what, found), p in zip(tests, adjusted, strict=True) if p < ALPHA]
    if not claimed:
        return [
            f"Sex and age: not sure of any difference ({plural(len(tests), 'test')}, corrected after Holm; smallest corrected "
            f"{p_text(float(adjusted.min()))}). The intervals below are each for itself: that "
            "two of them do not overlap is no claim."
        ]
    main = panel.task.main
    units = {"sex": f"{main.steps} higher in women than in men", "age": f"{main.steps} for ten years more"}
    told = [
        f"{row}: {signed(found.mean, main.digits)} {units[what]} (95\u00a0% interval {signed(found.low, main.digits)} to "
        f"{signed(found.high, main.digits)}, after "
        f"allowing for {plural(len(tests), 'test')} {p_text(float(p))})"
        for row, what, found, p in claimed
    ]
    return [
        f"{main.title.capitalize()} depends on {'; '.join(told)}. Sex and age may stand for "
        "something else that differs with them."
    ]


def _slope(y: pd.Series, x: pd.Series, n_train: float) -> Estimate:
    """Slope of a straight line over people, its standard error robust to unequal spread (HC3), raised for shared training."""
    design = np.column_stack([np.ones(len(x)), x.to_numpy(dtype=np.float64)])
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ y.to_numpy(dtype=np.float64)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residual = (y.to_numpy() - design @ beta) / np.maximum(1 - leverage, 1e-9)
    meat = design.T @ (design * (residual**2)[:, None])
    variance = float((inverse @ meat @ inverse)[1, 1])
    se = float(np.sqrt(variance * (1 + len(y) / n_train))) if n_train >= 1 and variance > 1e-18 else float("nan")
    return Estimate(float(beta[1]), se, len(y) - 1, se)


def younger(panels: Sequence[Panel], panel: Panel, people: pd.DataFrame) -> str | None:
    """Says that a panel's people are younger than those it leaves out, where that is so."""
    larger = [other for other in panels if other.protocol == panel.protocol] if len(people) else []
    return next((text for other in larger if (text := wording.age_text(panel, other, people))), None)


def age_sentences(panels: Sequence[Panel], people: pd.DataFrame) -> list[str]:
    """Of every scenario that is a part of another: whether its people are younger."""
    return [text for panel in panels if (text := younger(panels, panel, people))]
