"""Two grids side by side: another protocol, another backbone, another scaling; a row a modality row that both have.

Rows are paired over the trials that both grids tested. A difference is claimed by the same rule as within one grid: its
interval leaves out zero and its p, corrected over all rows of the scenario, is below 0.05. The protocols `sample` against
`subject` give the leak: what it is worth to have seen the person before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboards.claims import plural, records, signed
from dashboards.marks import symbols
from dashboards.results import Panel, Results
from grid.results.inference import FEW_PEOPLE, training_people
from grid.results.stats import comparison, family
from painmodels.tasks import PAIN
from painmodels.tasks.task import Metric

DIFFERS = (
    ("protocol", ("protocol",)),
    ("seed of partitions", ("experiment", "protocol", "seed")),
    ("partitions", ("experiment", "protocol", "repeats")),
    ("fit seeds", ("experiment", "fit", "seeds")),
    ("face network", ("trunk", "name")),
    ("scaling of signals", ("signals", "normalise")),
    ("experiment", ("experiment", "name")),
    ("data", ("data", "fingerprint")),
    ("code", ("commit",)),
)
UNSAID: Mapping[str, Any] = {"seed of partitions": 0, "partitions": 1, "fit seeds": [0]}


def side_by_side(mine: Results, other: Results) -> dict[str, Any]:
    """What differs between the grids, and a table a scenario. `heads`: the two columns; `leak`: whether they measure it."""
    values = [("task", mine.task.kind, other.task.kind)]
    values += [(what, _value(mine, what, at), _value(other, what, at)) for what, at in DIFFERS]
    differences = [(what, here, there) for what, here, there in values if here != there]
    protocols = (str(mine.get("protocol")), str(other.get("protocol")))
    leak = set(protocols) == {"subject", "sample"}
    heads = [_head(results, differences, which) for which, results in enumerate((mine, other))]
    panels = []
    for a in mine.panels:
        for b in other.panels:
            if a.scenario == b.scenario and a.task.metrics == b.task.metrics:
                sign = -1 if leak and protocols[0] == "sample" else 1
                marked = mine.marked(a) | other.marked(b)
                rows = _rows(a, b, sign=sign, marked=marked, people=mine.people(a))
                for row in rows:
                    name = row["modality"]
                    row["marks"] = "".join(dict.fromkeys(symbols(mine, a, name) + symbols(other, b, name)))
                panels.append({"title": a.scenario, "rows": rows})
    return {
        "heads": heads,
        "differences": differences,
        "leak": leak,
        "main": mine.task.main,
        "panels": [p for p in panels if p["rows"]],
    }


def _value(results: Results, what: str, at: tuple[str, ...]) -> str:
    """The facts of a run as text; runs of older versions have one partition and one seed."""
    found = results.get(*at)
    found = UNSAID.get(what) if found is None else found
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


def _head(results: Results, differences: list[tuple[str, str, str]], which: int) -> str:
    told = [f"{what} {values[which]}" for what, *values in differences if what not in ("data", "code")]
    return f"{results.folder.name}" + (f" ({', '.join(told[:2])})" if told else "")


def _rows(a: Panel, b: Panel, *, sign: int, marked: set[str], people: int | None) -> list[dict[str, Any]]:
    """A row per modality row of both: means over people (percent) of the trials of both, their difference (points), p, p_holm.

    Not means over folds, as Table 2 has them: the folds of two grids may be others.

    With a row of `marked`, whose sub-networks did not all learn, nothing is claimed: it counts with p = 1.
    """
    shared, main = [m for m in a.rows if m in b.rows], a.task.main
    scale = main.sign * main.scale
    n_train = min(training_people(panel.predictions, people) for panel in (a, b))
    rows = []
    for modality in shared:
        both = pd.concat([_merit(a, modality), _merit(b, modality)], axis=1, keys=["mine", "other"], join="inner")
        d = sign * scale * (both["other"] - both["mine"])
        people_SK = both.groupby(level="subject_name").mean()
        by_person = sign * scale * (people_SK["other"] - people_SK["mine"])
        row = comparison("", modality, by_person, n_train=n_train, marked=modality in marked)
        means = dict(main.scale * people_SK.mean())
        rows.append({**row, **means, "n_trials": len(d), "same": not d.any()})
    means_of = {str(row["b"]): {name: row[name] for name in ("mine", "other")} for row in rows}
    found: list[dict[str, Any]] = records(
        family(rows).rename(columns={"b": "modality", "n_subjects": "n", "effect_size": "d"})
    )
    return [{**row, **means_of[row["modality"]]} for row in found]


def _merit(panel: Panel, modality: str) -> pd.Series:
    """The main metric of each trial (or frame), accuracy: how often it was decided rightly, over all partitions and fit seeds."""
    predictions = panel.of_row(modality)
    unit = [*("subject_name", "sample_name"), *(["frame"] if predictions["frame"].notna().all() else [])]
    merit = pd.Series(panel.task.merit(*panel.task.of(predictions)), index=predictions.index)
    return merit.groupby([predictions[name].astype(str) for name in unit]).mean()


def sentence(panel: Mapping[str, Any], main: Metric = PAIN.main, *, leak: bool) -> str:
    """The finding in plain words; nothing is claimed where the interval covers zero."""
    claimed = [row for row in panel["rows"] if row["claim"]]
    what = "The leak" if leak else "The difference (other grid minus this one)"
    if not claimed:
        few = "; " + FEW_PEOPLE if all(row["few"] for row in panel["rows"]) else ""
        return f"{panel['title']}: no difference can be claimed ({plural(len(panel['rows']), 'row')} compared{few})."
    told = ", ".join(f"{row['modality']} {signed(row['difference'], main.digits)} {main.steps}" for row in claimed)
    return f"{panel['title']}: {what} can be claimed for {len(claimed)} of {plural(len(panel['rows']), 'row')}: {told}."


def attention_series(results: Results) -> dict[str, dict[str, pd.DataFrame]]:
    """Panel title -> class name -> mean attention over folds by second (columns second, mean, low, high over folds)."""
    table = results.attention
    rate_hz = results.get("data", "clock_hz")
    out: dict[str, dict[str, pd.DataFrame]] = {}
    for panel in results.panels:
        mine = table[(table["scenario"] == panel.scenario) & (table["protocol"] == panel.protocol)]
        if mine.empty or not rate_hz:
            continue
        by_class = {}
        for value in sorted(mine["y_true"].unique()):
            part = mine[mine["y_true"] == value]
            course = part.groupby("step")["weight"].agg(mean="mean", low="min", high="max").reset_index()
            by_class[results.task.name_of(value)] = course.assign(second=course["step"] / float(rate_hz))
        out[panel.title] = by_class
    return out
