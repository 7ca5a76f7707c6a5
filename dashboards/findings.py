"""What a reader should know first: one paragraph a panel, of nothing but what the tests of the report carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.claims import no_rule, plural, signed
from dashboards.flow import flow
from dashboards.results import Results
from dataprep.rounding import rounded
from grid.experiment.families import is_baseline, learned_rows
from grid.results.inference import FEW_PEOPLE, SIMULATED_PEOPLE
from painmodels.tasks.task import Metric

NAMED_AT_MOST = 10


def findings(results: Results, panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was found and used, a paragraph of each panel. Rows and cells that lack are told by the banners alone."""
    return [flow(results), *(_of_panel(panel, results.task.main) for panel in panels)]


def _of_panel(panel: Mapping[str, Any], main: Metric) -> str:
    """Every count of rows in it is of the rows that are tested against chance, or a part of them that it names."""
    families = panel["families"]
    n = len(families["chance"])
    text = f"{panel['title']} ({plural(panel['n_subjects'], 'subject')}"
    if not families["chance"]:
        return f"{text}): there are baselines alone, and these are not tested."
    text += f", {plural(n, 'row')} beside baselines): " if _rules(panel) else f", {plural(n, 'row')}): "
    best = _best(panel, main)
    all_few = all(pair["few"] for pair in families["chance"])
    parts = [_against_chance(panel), _below_chance(panel, main), _highest(panel, best, main), _baselines(panel, best, main)]
    if not all_few:
        parts += [_trivial(panel), _pairs(panel, main)]
    return text + " ".join(part for part in [*parts, _learning(panel)] if part)


def _against_chance(panel: Mapping[str, Any]) -> str:
    """Every row once: shown to be above chance, not shown to be, or not tested and why."""
    chance, marks = panel["families"]["chance"], panel["marks"]
    if all(pair["few"] for pair in chance):
        most = max(pair["n_subjects"] for pair in chance)
        return f"nothing is claimed of {plural(most, 'person')}: {FEW_PEOPLE}. The numbers describe these people."
    above = [pair["b"] for pair in chance if pair["claim"]]
    untaught = [pair["b"] for pair in chance if pair["marked"]]
    few = [f"{pair['b']} ({plural(pair['n_subjects'], 'person')})" for pair in chance if pair["few"] and not pair["marked"]]
    rest = [pair["b"] for pair in chance if not (pair["claim"] or pair["marked"] or pair["few"])]
    verb = "are" if len(above) > 1 else "is"
    text = f"{len(above) or 'none'} of {plural(len(chance), 'row')} {verb} shown to be above chance{_names(above)}"
    text += f"; {len(rest)} not{_names(rest)}" if rest else ""
    if untaught:
        told = [f"{row}\u00a0{marks.get(row, '')}" for row in untaught]
        text += f"; {len(untaught)} not tested, since a fit behind {'it' if len(untaught) == 1 else 'them'} did not learn (†) or "
        text += f"collapsed (‡){_names(told)}"
    text += f"; {len(few)} not tested, since {FEW_PEOPLE}{_names(few)}" if few else ""
    return f"{text}."


def _best(panel: Mapping[str, Any], main: Metric) -> Mapping[str, Any] | None:
    """The line of Table 2 with the best value, of the rows that learned and are scored per trial."""
    rows, mean = _unmarked(panel), f"{main.name}_mean"
    side = [row for row in panel["table2"] if row["modality"] in rows and row[mean] == row[mean]]
    return max(side, key=lambda row: main.sign * row[mean], default=None) if len(side) > 1 else None


def _highest(panel: Mapping[str, Any], best: Mapping[str, Any] | None, main: Metric) -> str:
    if best is None:
        return ""
    mean, low, high = (f"{main.name}_{what}" for what in ("mean", "low", "high"))
    alike = [
        r["modality"] for r in panel["table2"] if r["modality"] in _unmarked(panel) and abs(r[mean] - best[mean]) < 1e-9
    ]
    most, too = ("highest", "high") if main.sign > 0 else ("lowest", "low")
    text = f"The {most} {main.title}"
    text += " of a row without † or ‡" if any(panel["marks"].values()) else ""
    text += f" is {rounded(best[mean], main.digits)}\u00a0{main.unit} ({', '.join(alike[:NAMED_AT_MOST])}; "
    text += f"{_interval(best[low], best[high], main)}); as the best of several it is rather too {too}."
    tested = max(row["n_trials"] for row in panel["table2"])
    if best["n_trials"] < tested:
        text += (
            f" It was tested on {best['n_trials']:,} of the {tested:,} trials of other rows: lines of Table 2 are of different "
            "trials, and only the comparisons are of the same ones."
        )
    return text


def _trivial(panel: Mapping[str, Any]) -> str:
    """The rows against their trivial rules."""
    trivial = panel["families"]["trivial"]
    if not trivial:
        return f"Whether a row is better than a trivial rule was not tested: {no_rule(panel['rows'])}."
    better = [pair["b"] for pair in trivial if pair["claim"] and pair["difference"] > 0]
    worse = [pair["b"] for pair in trivial if pair["claim"] and pair["difference"] < 0]
    rows = plural(len(trivial), "row")
    rows += "" if len(trivial) == len(panel["families"]["chance"]) else " whose rule was run"
    text = f"None of {rows} is shown to be better than the trivial rule for its recordings."
    if better:
        text = f"Better than the trivial rule for its recordings: {len(better)} of {rows}{_names(better)}"
        by_chance = all(pair["a"] == "majority" for pair in trivial if pair["b"] in better)
        text += "; their rule is naming the more frequent class, so this is chance once more." if by_chance else "."
    return text + (f" Worse than it: {len(worse)}{_names(worse)}." if worse else "")


def _pairs(panel: Mapping[str, Any], main: Metric) -> str:
    """The pairs that the experiment names, each counted once."""
    named = panel["families"]["named"]
    if not named:
        return ""
    apart = [pair for pair in named if pair["claim"]]
    told = [f"{p['b']} against {p['a']} {signed(main.scale * p['difference'], main.digits)} {main.steps}" for p in apart]
    verb = "are" if len(apart) > 1 else "is"
    text = f"Of the {plural(len(named), 'pair')} that the experiment names "
    text += f"{len(apart) or 'none'} {verb} shown to differ{_names(told)}"
    untaught = sum(bool(pair["marked"]) for pair in named)
    few = sum(bool(pair["few"] and not pair["marked"]) for pair in named)
    unsure = len(named) - len(apart) - untaught - few
    text += f"; {unsure} cannot be told apart" if unsure else ""
    for count, why in (
        (untaught, "a row has the mark † or ‡"),
        (few, f"both rows tested fewer than {SIMULATED_PEOPLE} people"),
    ):
        text += f"; {count} {'is' if count == 1 else 'are'} not compared, since {why}" if count else ""
    return f"{text}."


def _learning(panel: Mapping[str, Any]) -> str:
    if learned_rows(panel["rows"]) and panel["learned"] and not any(panel["marks"].values()):
        return "The training loss of every fit fell clearly below a constant guess's, and stayed there."
    return ""


def _below_chance(panel: Mapping[str, Any], main: Metric) -> str:
    """The rows that did worse than a constant guess: no claim, and nothing to pass over."""

    def points(pair: Mapping[str, Any]) -> str:
        symbol = panel["marks"].get(pair["b"], "")
        return f"{pair['b']}{symbol} {signed(main.scale * pair['difference'], main.digits)} {main.steps}"

    below = [pair for pair in panel["families"]["chance"] if pair["difference"] < -1e-9]
    if not below:
        return ""
    text = f"Below chance: {plural(len(below), 'row')}{_names([points(pair) for pair in below])}"
    clear = [str(pair["b"]) for pair in below if pair["high"] < 0]
    if not clear:
        return f"{text}; no interval lies wholly below it."
    return (
        f"{text}. The interval of {', '.join(clear)} lies wholly below it. Only “above” is tested, so that is no claim. "
        f"{panel['against_the_tested']}"
    )


def _baselines(panel: Mapping[str, Any], best: Mapping[str, Any] | None, main: Metric) -> str:
    """The best baseline, where no row of the grid reaches it."""
    mean = f"{main.name}_mean"
    rules = [row for row in panel["table2"] if row["modality"] in _rules(panel) and row[mean] == row[mean]]
    top = max(rules, key=lambda row: main.sign * row[mean], default=None)
    if top is None or (best is not None and main.sign * (top[mean] - best[mean]) <= 0):
        return ""
    value = f"{rounded(top[mean], main.digits)}\u00a0{main.unit}".strip()
    return f"The baseline {top['modality']} ({value}, not tested) has a better value than all of them."


def _rules(panel: Mapping[str, Any]) -> list[str]:
    """The baselines."""
    return [row for row in panel["rows"] if is_baseline(row)]


def _unmarked(panel: Mapping[str, Any]) -> list[str]:
    """The rows whose values may be set side by side: they learned, and are scored per trial where any row is."""
    rows = [row for row in learned_rows(panel["rows"]) if not panel["marks"].get(row)]
    return [row for row in rows if row != "frame"] or rows


def _interval(low: float, high: float, main: Metric) -> str:
    if low != low:
        return "how sure that is cannot be told, since people do not differ"
    return f"95\u00a0% interval {rounded(low, main.digits)} to {rounded(high, main.digits)}"


def _names(names: Sequence[str]) -> str:
    """' (a, b and 3 more)', or nothing."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f" ({', '.join(names[:NAMED_AT_MOST])}{more})"
