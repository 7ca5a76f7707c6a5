"""The report's section on people and trials: who was tested in which fold, who has few trials, what was left out, and in which
order trials came; and the mark of rows whose people were selected by what the row sees.
"""

from __future__ import annotations

from typing import Any

from dashboards import confounds, exclusions
from dashboards.claims import plural
from dashboards.results import Panel, Results
from dataprep.rounding import rounded
from grid.results import selection

FEWEST_TRIALS = 10
"""Where the experiment says nothing ([claims] fewest_trials)."""
NAMED_AT_MOST = 10


def section(results: Results) -> list[dict[str, Any]]:
    """A panel each: `title`, `folds`, `few`, `left_out` (and whether it could be `counted`) and `order`.

    Empty for folders that do not have the tables.
    """
    if results.folds.empty or results.trials.empty:
        return []
    return [
        {
            "title": panel.title,
            "folds": folds(results, panel),
            "few": few_trials(results, panel),
            "left_out": exclusions.left_out(results, panel) if results.task.n_classes else [],
            "counted": any(len(exclusions.expected(results, panel, name)) for name in panel.rows),
            "order": confounds.order_checks(results, panel) if results.task.n_classes else [],
        }
        for panel in results.panels
    ]


def banners(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What of the section nobody may miss."""
    lost = exclusions.banner({panel["title"]: panel["left_out"] for panel in found})
    order = " ".join(check["text"] for panel in found for check in panel["order"] if check["clear"])
    cases = (("What was left out depends on the class", lost), ("The order tells the class", order))
    return [(heading, text) for heading, text in cases if text]


def folds(results: Results, panel: Panel) -> dict[str, Any] | None:
    """The folds of the first partition: (fold, people, women, mean age, trials), and how even they are."""
    table = results.folds[(results.folds["scenario"] == panel.scenario) & (results.folds["protocol"] == panel.protocol)]
    table = table[table["repeat"] == 0]
    if table.empty or table["fold"].nunique() > 30:  # leaving one person out: a fold is a person
        return None
    told = bool(table["age"].notna().all())
    rows = [
        (number, len(mine), int((mine["sex"] == "w").sum()), float(mine["age"].mean()), int(mine["trials"].sum()))
        for number in sorted(table["fold"].unique().tolist())
        for mine in [table[table["fold"] == number]]
    ]
    return {"rows": rows, "told": told, "text": folds_text(results, panel, [row[3] for row in rows] if told else [])}


def folds_text(results: Results, panel: Panel, ages: list[float]) -> str:
    """How the folds came about, what would move people, and the range of mean ages."""
    protocol = results.get("experiment", "protocol") or {}
    spread = (
        f" The mean age of a fold's people runs from {rounded(min(ages))} to {rounded(max(ages))} years." if ages else ""
    )
    if protocol.get("folds_from"):
        return "The folds are those of a file ([protocol] folds_from): a person who is absent moves nobody." + spread
    if panel.protocol != "subject":
        return spread.strip()
    how = "The folds were drawn among the people at hand"
    if protocol.get("stratify"):
        how += f" and dealt evenly by {', '.join(protocol['stratify'])}"
    if protocol.get("inherit"):
        how += "; those of a part of the people are those of the whole data set"
    return (
        f"{how}. With one person more or less, about half of the others are tested in another fold: to keep the folds, give "
        f"folds.csv of this run to --folds-from.{spread}"
    )


def few_trials(results: Results, panel: Panel) -> str:
    """Names people of whom a row tested fewer trials than the experiment asks for; empty where there is nobody."""
    found = results.get("experiment", "claims", "fewest_trials")
    least = found if isinstance(found, int) else FEWEST_TRIALS
    tested = panel.predictions.drop_duplicates(["modality", "sample_name"])
    counts = tested.groupby(["subject_name", "modality"], observed=True).size().unstack().fillna(0).min(axis=1)
    few = counts[counts < least].astype(int).sort_values(kind="stable")
    if few.empty:
        return ""
    names = ", ".join(f"{name} ({n})" for name, n in few.head(NAMED_AT_MOST).items())
    more = f" and {len(few) - NAMED_AT_MOST} more" if len(few) > NAMED_AT_MOST else ""
    lowest = max(int(few.min()), 1)
    return (
        f"{len(few)} of {plural(len(counts), 'subject')} have fewer than {least} tested trials in some row: {names}{more}. The "
        f"accuracy of one with {plural(lowest, 'trial')} moves in steps of {rounded(100 / lowest)} points."
    )


def selected_rows(results: Results, panel: Panel) -> set[str]:
    """The rows that see the video, where a scenario's people were selected by what is to be seen there."""
    facts = results.scenarios.get(panel.scenario, {})
    return {name for name in panel.rows if selection.selected_by(facts, name)}


def selection_text(results: Results, panel: Panel, age: str | None) -> str:
    """What has to be said at every row that sees the video, where the people were selected by it; empty elsewhere."""
    by = results.scenarios.get(panel.scenario, {}).get("selected")
    if not by or not selected_rows(results, panel):
        return ""
    text = selection.sentence(panel.scenario, by)
    return f"{text} {age}" if age else text
