"""What a reader should know first: one paragraph a panel, of nothing but what the tests of the report carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.claims import no_rule, plural, signed
from dashboards.flow import flow
from dashboards.results import Results
from dataprep.rounding import rounded
from grid.experiment.families import learned_rows
from painmodels.tasks.task import Metric

NAMED_AT_MOST = 10

ALONE = "The row is not shown to be above chance. "


def findings(results: Results, panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was found and used, a paragraph of each panel, and the cells that lack."""
    paragraphs = [flow(results), *(_of_panel(panel, results.task.main) for panel in panels)]
    lacking = int(results.scores[results.task.main.name].isna().sum())
    return [*paragraphs, f"Without a score: {plural(lacking, 'cell')} (see Failures)."] if lacking else paragraphs


def _of_panel(panel: Mapping[str, Any], main: Metric) -> str:
    families, marks = panel["families"], panel["marks"]
    text = f"{panel['title']} ({plural(panel['n_subjects'], 'subject')}): "
    chance = families["chance"]
    above = [pair["b"] for pair in chance if pair["claim"]]
    if not chance:
        text += "there are baselines alone, and these are not tested. "
    elif above:
        are = "is" if len(above) == 1 else "are"
        text += f"{len(above)} of {plural(len(chance), 'row')} {are} shown to be above chance{_names(above)}. "
    else:
        text += f"None of {plural(len(chance), 'row')} is shown to be above chance. " if len(chance) > 1 else ALONE
    text += _below_chance(panel, main)
    mean, low, high = (f"{main.name}_{what}" for what in ("mean", "low", "high"))
    side = [row for row in panel["table2"] if row["modality"] in _unmarked(panel) and row[mean] == row[mean]]
    best = max(side, key=lambda row: main.sign * row[mean], default=None)
    if best and len(side) > 1:
        alike = [row["modality"] for row in side if abs(row[mean] - best[mean]) < 1e-9]
        most = "highest" if main.sign > 0 else "lowest"
        text += (
            f"Of the {len(side)} rows{' without † or ‡' if any(marks.values()) else ''} "
            f"(baselines{' and the row frame' if 'frame' in panel['rows'] and len(panel['rows']) > 1 else ''} apart), the {most} "
            f"{main.title} "
            f"is {rounded(best[mean], main.digits)}\u00a0{main.unit} ({', '.join(alike[:NAMED_AT_MOST])}; "
            f"{_interval(best[low], best[high], main)}); the best of {len(side)} is rather too "
            f"{'high' if main.sign > 0 else 'low'}. "
        )
        most = max(row["n_trials"] for row in panel["table2"])
        if best["n_trials"] < most:
            text += (
                f"It was tested on {best['n_trials']:,} of the {most:,} trials of other rows: lines of Table 2 are of different "
                "trials, and only the comparisons are of the same ones. "
            )
    text += _baselines(panel, best, main)
    trivial = families["trivial"]
    if trivial:
        better = [pair["b"] for pair in trivial if pair["claim"] and pair["difference"] > 0]
        worse = [pair["b"] for pair in trivial if pair["claim"] and pair["difference"] < 0]
        if better:
            text += f"Better than the trivial rule for its recordings: {len(better)} of {len(trivial)}{_names(better)}"
            by_chance = all(pair["a"] == "majority" for pair in trivial if pair["b"] in better)
            text += "; their rule is naming the more frequent class, so this is chance once more. " if by_chance else ". "
        else:
            text += f"None of {len(trivial)} is shown to be better than the trivial rule for its recordings. "
        text += f"Worse than it: {len(worse)}{_names(worse)}. " if worse else ""
    elif chance:
        text += f"Whether a row is better than a trivial rule was not tested: {no_rule(panel['rows'])}. "
    named = families["named"]
    if named:
        apart = [pair for pair in named if pair["claim"]]
        told = [
            f"{pair['b']} against {pair['a']} {signed(main.scale * pair['difference'], main.digits)} {main.steps}"
            for pair in apart
        ]
        verb = "are" if len(apart) > 1 else "is"
        text += f"Of the {plural(len(named), 'pair')} that the experiment names "
        text += f"{len(apart) or 'none'} {verb} shown to differ{_names(told)}"
        untaught = sum(bool(pair["marked"]) for pair in named)
        unsure = len(named) - len(apart) - untaught
        text += f"; {unsure} cannot be told apart" if unsure else ""
        are = "is" if untaught == 1 else "are"
        text += f"; {untaught} {are} not compared, since a row has the mark † or ‡" if untaught else ""
        text += ". "
    bad = [f"{row}\u00a0{symbol}" for row, symbol in marks.items() if symbol]
    if bad:
        text += (
            f"In the fits behind {plural(len(bad), 'row')}{_names(bad)} the training loss stayed near a constant guess's in all "
            "epochs (†), or went back towards it in the last one (‡): nothing is claimed of them. "
        )
    elif learned_rows(panel["rows"]) and panel["learned"]:
        text += "The training loss of every fit fell clearly below a constant guess's, and stayed there. "
    return text.strip()


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
        return f"{text}; no interval lies wholly below it. "
    return (
        f"{text}. The interval of {', '.join(clear)} lies wholly below it. Only “above” is tested, so that is no claim; luck "
        "alone seldom does it, and nothing on this page explains it: labels, folds of few people, or a training side in which "
        "the other class was more frequent can. "
    )


def _baselines(panel: Mapping[str, Any], best: Mapping[str, Any] | None, main: Metric) -> str:
    """The best baseline, where no row of the grid reaches it."""
    mean = f"{main.name}_mean"
    rules = [row for row in panel["table2"] if row["modality"] not in learned_rows(panel["rows"]) and row[mean] == row[mean]]
    top = max(rules, key=lambda row: main.sign * row[mean], default=None)
    if top is None or (best is not None and main.sign * (top[mean] - best[mean]) <= 0):
        return ""
    value = f"{rounded(top[mean], main.digits)}\u00a0{main.unit}".strip()
    return f"The baseline {top['modality']} ({value}, not tested) has a better value than all of them. "


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
