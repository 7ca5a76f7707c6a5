"""Trials that were left out, row by row: how many of each class, person and reason, whether that depends on the class, and what
the accuracy would be had they been predicted wrongly, or by chance.

A trial is left out of a row if a fold that was tested holds it and the row has no prediction of it. Rows that lack the same
trials are told together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from dashboards.claims import p_text, plural
from dashboards.flow import kind_of
from dashboards.results import Panel, Results
from grid.experiment.cells import SIGNALS
from grid.results.axes import AXES
from grid.results.inference import ALPHA
from grid.results.selection import needs_of

PEOPLE_AS_UNITS = 6
"""So many people must have lost unequal shares of the two classes for signs of people to be able to reach p < 0.05."""
EXACT_AT_MOST, FLIPS = 14, 20_000


@dataclass(frozen=True)
class Dependence:
    """Whether being left out depends on the class: p, by the signs of `people` persons, or (0) by shuffling within persons."""

    p: float
    people: int

    @property
    def clear(self) -> bool:
        """Whether it can be told."""
        return self.p < ALPHA


def expected(results: Results, panel: Panel, name: str) -> pd.DataFrame:
    """The trials that the tested folds of a row hold: trial_id, subject, class_name, y_true; empty where it is not recorded."""
    folds, trials = results.folds, results.trials
    folds = folds[(folds["scenario"] == panel.scenario) & (folds["protocol"] == panel.protocol)]
    tested = panel.of_row(name)[["repeat", "fold"]].drop_duplicates()
    there = folds.merge(tested, on=["repeat", "fold"])
    mine = trials[trials["subject"].isin(there["subject"])]
    counts = there.groupby(["repeat", "subject"], as_index=False)["trials"].sum()
    if (counts["trials"] != counts["subject"].map(mine.groupby("subject").size())).any():
        return trials.iloc[:0]  # a part of a person's trials is tested: which ones is not in the table
    return mine


def dependence(y_N: np.ndarray, out_N: np.ndarray, subjects_N: np.ndarray) -> Dependence:
    """Whether a trial's being left out (`out_N`) depends on its class (`y_N`, 0 or 1).

    People are the units where at least PEOPLE_AS_UNITS of them lost unequal shares of the two classes: the signs of these
    differences are flipped. Otherwise classes are shuffled within each person (exactly: the sum of hypergeometric counts), which
    takes the trials of a person for independent.
    """
    table = pd.DataFrame({"y": y_N, "out": out_N.astype(float), "subject": subjects_N})
    shares = table.groupby(["subject", "y"])["out"].mean().unstack()
    d_S = (shares[1] - shares[0]).dropna().to_numpy() if {0, 1} <= set(shares.columns) else np.zeros(0)
    d_S = d_S[d_S != 0]
    if len(d_S) >= PEOPLE_AS_UNITS:
        return Dependence(_by_signs(d_S), len(d_S))
    from scipy.stats import hypergeom  # here: it takes a second to load

    counts = [
        (len(mine), int((mine["y"] == 1).sum()), int(mine["out"].sum())) for _, mine in table.groupby("subject") if len(mine)
    ]
    share_M = np.ones(1)
    for n, n_pain, n_out in counts:
        share_M = np.convolve(share_M, hypergeom.pmf(np.arange(n_out + 1), n, n_pain, n_out))
    seen = int(table.loc[table["y"] == 1, "out"].sum())
    return Dependence(float(min(1.0, share_M[share_M <= share_M[seen] * (1 + 1e-9)].sum())), 0)


def _by_signs(d_S: np.ndarray) -> float:
    if len(d_S) <= EXACT_AT_MOST:
        signs = np.array(list(product((-1, 1), repeat=len(d_S))))
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (FLIPS, len(d_S)))
        signs[0] = 1
    return float((np.abs(signs @ d_S) >= abs(d_S.sum()) - 1e-9).mean())


def left_out(results: Results, panel: Panel) -> list[dict[str, Any]]:
    """A group of rows that lack the same trials: `rows`, `classes` (name, left out, in all), `subjects` (name, left out by
    class), `reasons` (words, left out by class), `text`, `clear`, `sensitivity` (row, accuracies in percent). None where no
    trial lacks."""
    groups: dict[frozenset[str], list[str]] = {}
    trials: dict[frozenset[str], pd.DataFrame] = {}
    for name in panel.rows:
        every = expected(results, panel, name)
        lacking = frozenset(every["trial_id"]) - set(panel.of_row(name)["sample_name"].astype(str))
        if lacking:
            groups.setdefault(lacking, []).append(name)
            trials[lacking] = every
    return [_group(results, panel, names, trials[lacking], lacking) for lacking, names in groups.items()]


def _group(
    results: Results, panel: Panel, names: Sequence[str], every: pd.DataFrame, lacking: frozenset[str]
) -> dict[str, Any]:
    out = every["trial_id"].isin(lacking)
    lost = every[out]
    classes = [(str(c), int((lost["class_name"] == c).sum()), len(mine)) for c, mine in _by_class(every)]
    said = dependence(every["y_true"].to_numpy(), out.to_numpy(), every["subject"].to_numpy())
    reasons = _reasons(results, names[0], lacking)
    fractions = panel.task.main.name == "accuracy"
    words = lost["trial_id"].map(reasons).fillna("its preparation failed, or its cell did")
    return {
        "rows": list(names),
        "classes": classes,
        "heads": [name for name, *_ in classes],
        "subjects": _crossed(lost["subject"], lost["class_name"], [name for name, *_ in classes]),
        "reasons": _crossed(words, lost["class_name"], [name for name, *_ in classes]),
        "clear": said.clear,
        "text": _text(panel, names, classes, said),
        "sensitivity": [(name, *sensitivity(results, panel, name, every)) for name in names] if fractions else [],
    }


def _by_class(every: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The classes in the order of their labels."""
    order = every.sort_values("y_true", kind="stable")["class_name"].unique()
    return [(str(name), every[every["class_name"] == name]) for name in order]


def _crossed(what: pd.Series, classes: pd.Series, heads: Sequence[str]) -> list[tuple[str, list[int]]]:
    table = pd.crosstab(what, classes).reindex(columns=list(heads), fill_value=0)
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    return [(str(name), [int(n) for n in counts]) for name, counts in zip(table.index, table.to_numpy(), strict=True)]


def _reasons(results: Results, name: str, lacking: frozenset[str]) -> dict[str, str]:
    """Trial -> why it was left out of a row, with file names and numbers taken out, so that like cases are counted together."""
    needs = needs_of(name)
    channels = {channel for word in needs if word != "video" for channel in (word, SIGNALS.get(word, word))}
    found: dict[str, str] = {}
    for entry in results.quarantine.to_dict("records"):
        trial, part, own = str(entry["trial_id"]), entry["part"], set(str(entry["channels"]).split())
        concerned = (part == "video" and "video" in needs) or (part == "signals" and bool(channels))
        if trial in lacking and concerned and (not own or own & channels):
            found.setdefault(trial, kind_of(str(part), str(entry["reason"]), str(entry["file"])))
    return found


def sensitivity(results: Results, panel: Panel, name: str, every: pd.DataFrame) -> tuple[float, float, float]:
    """Accuracy in percent, the mean over folds: of what was predicted, and with the rest decided wrongly, and by chance."""
    p = panel.of_row(name)
    right = pd.Series(panel.task.merit(*panel.task.of(p)), index=p.index, name="right")
    by_trial = right.groupby([p[axis] for axis in AXES] + [p["sample_name"].astype(str).rename("trial_id")]).mean()
    there = results.folds[(results.folds["scenario"] == panel.scenario) & (results.folds["protocol"] == panel.protocol)]
    held = there[["repeat", "fold", "subject"]].merge(p[list(AXES)].drop_duplicates(), on=["repeat", "fold"])
    found = held.merge(every[["trial_id", "subject"]], on="subject").join(by_trial, on=[*AXES, "trial_id"])
    values = [found["right"], found["right"].fillna(0.0), found["right"].fillna(1 / panel.task.n_classes)]
    cells = [found[axis] for axis in AXES]
    means = [100 * float(x.groupby(cells).mean().mean()) for x in values]
    return means[0], means[1], means[2]


def _text(panel: Panel, names: Sequence[str], classes: Sequence[tuple[str, int, int]], said: Dependence) -> str:
    counts = " and ".join(f"{n} of {of} trials of {name}" for name, n, of in classes)
    how = (
        f"tested with the signs of the {plural(said.people, 'person')} who lost unequal shares of the classes"
        if said.people
        else "tested by shuffling the classes within each person, since too few people lost unequal shares of the classes to use "
        "people as units; this takes a person's trials for independent"
    )
    verdict = (
        "Whether a trial was left out depends on its class"
        if said.clear
        else "That this depends on the class cannot be told"
    )
    return f"{panel.title}, {', '.join(names)}: {counts} were left out. {verdict} ({p_text(said.p)}; {how})."


def banner(groups: Mapping[str, list[dict[str, Any]]]) -> str:
    """The sentences of all groups in which being left out clearly depends on the class; empty where there is none."""
    return " ".join(group["text"] for found in groups.values() for group in found if group["clear"])
