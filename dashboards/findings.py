"""What a reader should know first: one paragraph a panel, of nothing but what the tests of the report carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.claims import no_rule, plural, signed
from dashboards.results import Results
from grid.experiment.families import learned_rows
from painmodels.tasks.task import Metric

NAMED_AT_MOST = 10

ALONE = "The row is not shown to be above chance. "


def findings(results: Results, panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """A paragraph of each panel, and what was left out of all."""
    paragraphs = [_of_panel(panel, results.task.main) for panel in panels]
    left_out = [(len(results.quarantine), "recording"), (int(results.scores[results.task.main.name].isna().sum()), "cell")]
    told = [
        f"{plural(n, word)} {'(see Quarantine)' if word == 'recording' else '(see Failures)'}" for n, word in left_out if n
    ]
    return [*paragraphs, (f"Left out: {' and '.join(told)}." if told else "Nothing was left out.") + _nobody_left(results)]


def _nobody_left(results: Results) -> str:
    """Who of those in quarantine has no prediction at all: the people of the results are a choice then."""
    tested = set(results.predictions["subject_name"].astype(str))
    lost = sorted(set(results.quarantine["subject"].astype(str)) - tested - {""})
    if not lost:
        return ""
    more = f" and {len(lost) - NAMED_AT_MOST} more" if len(lost) > NAMED_AT_MOST else ""
    return (
        f" {plural(len(lost), 'person')} of whom recordings were left out {'has' if len(lost) == 1 else 'have'} no prediction at "
        f"all ({', '.join(lost[:NAMED_AT_MOST])}{more}): no number here speaks of such people."
    )


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
    mean, low, high = (f"{main.name}_{what}" for what in ("mean", "low", "high"))
    side = [row for row in panel["table2"] if row["modality"] in _unmarked(panel) and row[mean] == row[mean]]
    best = max(side, key=lambda row: main.sign * row[mean], default=None)
    if best and len(side) > 1:
        alike = [row["modality"] for row in side if abs(row[mean] - best[mean]) < 1e-9]
        most = "highest" if main.sign > 0 else "lowest"
        text += (
            f"Of the {len(side)} rows that learned (baselines apart), the {most} {main.title} "
            f"is {best[mean]:.{main.digits}f}\u00a0{main.unit} ({', '.join(alike[:NAMED_AT_MOST])}; "
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
        text += f"; {untaught} {are} not compared, since a row did not learn" if untaught else ""
        text += ". "
    bad = [f"{row}\u00a0{symbol}" for row, symbol in marks.items() if symbol]
    if bad:
        text += f"Did not learn, or lost what was learned: {len(bad)}{_names(bad)}; nothing is claimed of them. "
    elif learned_rows(panel["rows"]) and panel["learned"]:
        text += "Every sub-network learned its training side. "
    return text.strip()


def _baselines(panel: Mapping[str, Any], best: Mapping[str, Any] | None, main: Metric) -> str:
    """The best baseline, where no row of the grid reaches it."""
    mean = f"{main.name}_mean"
    rules = [row for row in panel["table2"] if row["modality"] not in learned_rows(panel["rows"]) and row[mean] == row[mean]]
    top = max(rules, key=lambda row: main.sign * row[mean], default=None)
    if top is None or (best is not None and main.sign * (top[mean] - best[mean]) <= 0):
        return ""
    value = f"{top[mean]:.{main.digits}f}\u00a0{main.unit}".strip()
    return f"The baseline {top['modality']} ({value}, not tested) has a better value than all of them. "


def _unmarked(panel: Mapping[str, Any]) -> list[str]:
    """The rows whose values may be set side by side: they learned, and are scored per trial where any row is."""
    rows = [row for row in learned_rows(panel["rows"]) if not panel["marks"].get(row)]
    return [row for row in rows if row != "frame"] or rows


def _interval(low: float, high: float, main: Metric) -> str:
    if low != low:
        return "how sure that is cannot be told, since people do not differ"
    return f"95\u00a0% interval {low:.{main.digits}f} to {high:.{main.digits}f}"


def _names(names: Sequence[str]) -> str:
    """' (a, b and 3 more)', or nothing."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f" ({', '.join(names[:NAMED_AT_MOST])}{more})"
