"""What the comparisons of a panel allow one to claim, as tables and as sentences.

Three families of tests are fixed before there are results (grid/results/stats.py), each corrected by itself. A claim needs an
interval that leaves out zero and a corrected p below 0.05; of all other pairs of rows there are numbers and no claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboards.results import Panel, Results
from dataprep.rounding import rounded
from grid.experiment import families
from grid.results import learned, stats
from grid.results.inference import FEW_PEOPLE
from painmodels.tasks import PAIN, Task
from painmodels.tasks.task import Metric

PLURALS = {"person": "people"}
FAMILIES = ("chance", "trivial", "named")
Record = dict[str, Any]


def claims(results: Results, panel: Panel) -> dict[str, list[Record]]:
    """Family -> its comparisons, each with its sentence as `text`; and `others`: the pairs that nothing is claimed of."""
    p = panel.predictions
    what: dict[str, Any] = {"marked": results.marked(panel), "people": results.people(panel), "task": panel.task}
    named = [(a, b) for a, b in _named(results, panel) if a in panel.rows and b in panel.rows]
    rules = [(_rule(row, panel.task), row) for row in families.learned_rows(panel.rows)]
    tables = {
        "chance": stats.against_chance(p, **what),
        "trivial": stats.compare(p, rules, **what),
        "named": stats.compare(p, named, **what),
    }
    known = {frozenset(pair) for pair in [*rules, *named]}
    every = [pair for pair in stats.every_pair(p) if frozenset(pair) not in known]
    found = {name: [{**row, "text": sentence(row, panel.task)} for row in records(table)] for name, table in tables.items()}
    others = records(stats.compare(p, every, **what))
    return {**found, "others": [{**row, "claim": False, "p_holm": float("nan")} for row in others]}


def _rule(row: str, task: Task) -> str:
    """The trivial rule of a row: where the task is no choice of two classes, that which does every task."""
    return families.trivial_rule(row) if task.n_classes == 2 else "majority"


def no_rule(rows: Iterable[str]) -> str:
    """Why no row has its trivial rule beside it."""
    return "it was not run" if any(map(families.is_baseline, rows)) else "the baselines were not run"


def rule_text(task: Task) -> str:
    """The trivial rules of a task, as HTML."""
    if task.n_classes == 2:
        return "<code>eda:argmax</code> where it sees the EDA, else <code>majority</code>"
    return "<code>majority</code>"


def _named(results: Results, panel: Panel) -> list[tuple[str, str]]:
    """The pairs that the experiment names; in a folder that does not say them, those that add one recording."""
    pairs = results.get("experiment", "claims", "pairs")
    if isinstance(pairs, list):
        return [(str(pair[0]), str(pair[1])) for pair in pairs]
    return families.added_pairs(panel.rows)


def records(table: pd.DataFrame) -> list[Record]:
    """The rows of a table as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def sentence(pair: Mapping[str, Any], task: Task = PAIN) -> str:
    """One comparison: what is claimed, by how much, how sure; or that one cannot be sure, and of what one could be."""
    main = task.main
    scale, steps = main.scale, main.steps

    def told(value: float) -> str:
        return signed(value, main.digits)

    a = task.guess if pair["a"] == "chance" else str(pair["a"])
    b, points = str(pair["b"]), scale * pair["difference"]
    if pair["n_subjects"] == 0:
        return f"{a} and {b} tested no trial in common."
    if pair["marked"]:
        which = "the row" if pair["a"] == "chance" else "one of the two"
        return f"{b} against {a}: nothing is claimed ({told(points)} {steps}): a fit behind {which} has the mark † or ‡."
    if pair["few"] and not pair["same"]:
        people = plural(pair["n_subjects"], "person")
        return f"{b} against {a}: nothing is claimed ({told(points)} {steps} over {people}): {FEW_PEOPLE}."
    if pair["same"]:
        if pair["a"] == "chance" or families.learned_rows([str(pair["a"])]) == []:
            return f"{b} decides as {a} does in every trial."
        return f"{b} decides as {a} does in every one of {pair['n_trials']:,} trials{_nothing_changed(a, b)}."
    if pd.isna(pair["low"]):
        return (
            f"{b} against {a}: {told(points)} {steps} over {plural(pair['n_subjects'], 'subject')}; too few, or too much "
            "alike, to say how sure that is."
        )
    low, high = (scale * pair[end] for end in ("low", "high"))
    people = f"{plural(pair['n_subjects'], 'subject')}, {pair['n_trials']:,} trials"
    allowed = f"after allowing for {plural(pair['tests'], 'comparison')} {p_text(pair['p_holm'])}"
    if pair["claim"]:
        better, worse = (b, a) if points > 0 else (a, b)
        ends = sorted((abs(low), abs(high)))
        return (
            f"{better} {_better(main)} {worse} by {rounded(abs(points), main.digits)} {steps} (95\u00a0% interval "
            f"{rounded(ends[0], main.digits)} to {rounded(ends[1], main.digits)}; {allowed}; {people})."
        )
    return (
        f"{b} against {a}, not sure: {told(points)} {steps}; for this comparison alone the interval is {told(low)} to "
        f"{told(high)}; {allowed}; {people}. {_findable(pair, main)}"
    )


def _nothing_changed(a: str, b: str) -> str:
    """What made no difference between two rows that decide alike, where the second sees more than the first."""
    if a == families.FRAME_MEAN:
        return ": reading the frames as a sequence changed nothing in these decisions (probabilities may differ)"
    if (a, b) not in families.added_pairs([a, b]):
        return ""
    added = "video" if set(b.split("+")) - set(a.split("+")) == {"video"} else "signal"
    return f": the added {added} changed nothing in these decisions (probabilities may differ)"


def _findable(pair: Mapping[str, Any], main: Metric) -> str:
    """The difference that would be claimed with a probability of 80 %, where there can be one that large."""
    if np.isinf(pair["detectable"]):
        return "With so few people, and so unlike, no difference could be claimed with a probability of 80\u00a0%."
    value = f"{rounded(main.scale * pair['detectable'], main.digits)} {main.steps}"
    return f"A difference of {value} would be found with a probability of 80\u00a0%."


def why_not(results: Results, panel: Panel, pair: Mapping[str, Any]) -> str:
    """Why nothing is claimed of a row whatever its value, short, for its line of a table; empty if something could be."""
    fitted = "frame" if pair["b"] == families.FRAME_MEAN else str(pair["b"])
    mark = results.marks.get((fitted, panel.scenario, panel.protocol), learned.Mark())
    return mark.counts or (plural(pair["n_subjects"], "person") if pair["few"] else "")


def _better(main: Metric) -> str:
    if main.name == "accuracy":
        return "was more accurate than"
    return f"had a {'higher' if main.higher_is_better else 'lower'} {main.title} than"


def p_text(p: float) -> str:
    """A p value in a sentence."""
    return "p is not defined" if pd.isna(p) else "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0=\u00a0{rounded(p, 3)}"


def p_value(p: float | None) -> str:
    """A p value for a table: four digits, and never zero."""
    if p is None or pd.isna(p):
        return "–"
    return "< 0.0001" if p < 0.0001 else rounded(p, 4)


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, a true minus, and no sign for what rounds to zero."""
    if pd.isna(value):
        return "–"
    text = rounded(value, digits)
    return text if float(text) == 0 else text.replace("-", "−") if value < 0 else f"+{text}"


def plural(count: int, word: str) -> str:
    """A count with its word."""
    return f"{count:,} {word if count == 1 else PLURALS.get(word, f'{word}s')}"
