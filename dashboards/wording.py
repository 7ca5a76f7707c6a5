"""What a report says in sentences: warnings that nobody may miss, what was run, and what its numbers are of.

What the comparisons allow one to claim is in `dashboards/claims.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboards import sensitivity
from dashboards.claims import plural
from dashboards.results import Panel, Results
from dataprep.rounding import rounded
from grid.experiment.families import is_baseline, learned_rows
from grid.protocols import caution, tested_people_train
from grid.results import unfed
from grid.results.learned import SYMBOLS, WHY_ECG
from grid.results.tables import PAPER_METRICS
from painmodels.tasks import Task

NOT_RECORDED = "not recorded"
SYNTHETIC = "The recordings were made by a program. These numbers test the software and say nothing about pain."
TRANSDUCTIVE = (
    "In {rows} a person's signals were scaled by minimum and maximum over several trials: those of a held-out person over "
    "the held-out trials, before they were predicted. A device that sees one trial at a time could not do that."
)
SCALED_APART = (
    "In {rows} a person's signals were scaled by minimum and maximum over several trials, those of the training side and those "
    "of the tested side apart: a tested trial is scaled by the person's other tested ones. A device that sees one trial at a "
    "time could not do that."
)
ADAPTED = (
    "In {scenarios} rows were adapted to the tested people: to what all of their recordings, without labels, have in common, "
    "before the first was judged. A device that sees one recording at a time could not do that."
)
RANDOM_TRUNK = (
    "The frozen layers of the face network carry random weights, not weights learnt from faces. "
    "Rows that use the video (frame, video and their combinations) cannot be compared with published ones."
)


def banners(results: Results) -> list[tuple[str, str]]:
    """(heading, sentence) of every limitation of the results, the most serious first."""
    scores = results.scores
    protocols = set(scores["protocol"].astype(str)) | {str(results.get("protocol"))}
    uses_video = any(name == "frame" or ("video" in name and ":" not in name) for name in scores["modality"].astype(str))
    empty = int(scores[results.task.main.name].isna().sum())
    synthetic, scaling = results.get("data", "synthetic"), scaling_text(results, protocols)
    cautions = " ".join(text for name in sorted(protocols) if (text := caution(name)))
    adapted = [f"{name} ({facts['adapt']})" for name, facts in results.scenarios.items() if facts.get("adapt")]
    cases = (
        (synthetic is True, "Synthetic data", SYNTHETIC),
        (results.get("data", "pain") is False, "No pain in these data", no_pain(results)),
        (
            synthetic is None,
            "Origin not recorded",
            "Whether the data are real or synthetic is not recorded in run.json.",
        ),
        (bool(cautions), "Identity leaks", cautions),
        (bool(scaling), "Transductive scaling", scaling),
        (bool(adapted), "Transductive adaptation", ADAPTED.format(scenarios=", ".join(adapted))),
        (results.get("trunk", "random") is True and uses_video, "Random face network", RANDOM_TRUNK),
        (
            bool(results.learning["verdict"].isin(list(SYMBOLS)).any()),
            "Not everything learned",
            learning_text(results),
        ),
        (
            empty > 0,
            "Incomplete grid",
            incomplete(results),
        ),
        (
            results.disagreements > 0,
            "Files disagree",
            f"scores.csv differs from the predictions in {plural(results.disagreements, 'cell')}. The latter are shown.",
        ),
    )
    found = [(heading, sentence) for holds, heading, sentence in cases if holds]
    notes = results.get("notes")
    found += [("Note", str(note)) for note in (notes if isinstance(notes, list) else [])]
    return found


def incomplete(results: Results) -> str:
    """How many cells lack, and what their rows are shown with."""
    value = results.scores[results.task.main.name]
    row = results.scores["modality"].astype(str) + " (" + results.scores["scenario"].astype(str) + ")"
    scored, cells = value.notna().groupby(row, sort=False).sum(), value.groupby(row, sort=False).size()
    none = [str(name) for name in cells.index if scored[name] == 0]
    both = learned_rows(results.scores["modality"].unique()) and any(map(is_baseline, results.scores["modality"].unique()))
    text = f"{plural(int(value.isna().sum()), 'cell')} of {len(value)} without scores"
    text += " (those of rows and of baselines together). " if both else ". "
    text += f"Nothing was tested of {', '.join(none)}. " if none else ""
    text += (
        "Means of the other rows that lack cells are over their other folds. "
        if ((scored > 0) & (scored < cells)).any()
        else ""
    )
    return text + "See Failures for why."


def kicker(results: Results) -> str:
    """What the page is about, above its title."""
    what = f"{' against '.join(results.task.names)}" if results.get("data", "pain") is False else "pain"
    return f"Automatic recognition of {what}"


def no_pain(results: Results) -> str:
    """What results on data without pain are of."""
    names = " and ".join(results.task.names)
    return f"The classes are {names}; nobody was in pain. Nothing on this page says how well pain is recognised."


def scaling_text(results: Results, protocols: set[str]) -> str:
    """Which rows were scaled by several trials of the tested side; empty if none was, in any fold."""
    rows = results.get("signals", "sees_test_side")
    if not isinstance(rows, list):  # folders of older versions know what the experiment wanted, and no search's choice
        rows = ["every row with signals"] if results.get("signals", "normalise") == "subject" else []
    text = SCALED_APART if any(map(tested_people_train, protocols)) else TRANSDUCTIVE
    return text.format(rows=", ".join(map(str, rows))) if rows else ""


def learning_text(results: Results) -> str:
    """Names the rows with fits that did not learn or collapsed, and the consequence for their results."""
    places: dict[str, list[str]] = {}
    for (row, *place), mark in results.marks.items():
        if mark.marked:
            title = next((p.title for p in results.panels if [p.scenario, p.protocol] == place), str(place[0]))
            places.setdefault(title, []).append(f"{row} {mark.symbol} ({mark.counts}{mark.in_epochs})")
    told = "; ".join(f"{title}: {', '.join(rows)}" for title, rows in places.items())
    text = (
        "Behind some rows and baselines are fits whose training loss never fell below 95 % of a constant guess's in the epochs "
        "that they had (†), or had lost more than a quarter of that gain in the last one (‡). "
        f"{told}. What more epochs or other settings would do was not measured. Their numbers are shown and nothing is claimed "
        "of them, however large the number and however many of the fits did so: what one fit did in its last epoch is in the "
        "mean, and no number here says what the row has without it. See What was learned."
    )
    ecg = any("physiological-ecg" in mark.stages for mark in results.marks.values())
    return f"{text} {WHY_ECG}" if ecg else text


def summary(results: Results) -> str:
    """One or two sentences about the run."""
    scores, task = results.scores, results.task
    title = results.get("data", "title") or results.get("data", "name") or "a data set whose name is not recorded"
    counts = [
        f"{number(results.get('data', what))} {what}"
        for what in ("subjects", "trials")
        if results.get("data", what) is not None
    ]
    is_rule = ~scores["modality"].isin(learned_rows(scores["modality"].unique()))
    baselines, scores = scores[is_rule], scores[~is_rule] if not is_rule.all() else scores
    done = int(scores[task.main.name].notna().sum())
    sizes = [
        plural(scores[axis].nunique(), word)
        for axis, word in (("modality", "modality row"), ("scenario", "scenario"), ("fold", "fold"))
    ]
    for axis, word in (("repeat", "partition"), ("seed", "fit seed")):
        if scores[axis].nunique() > 1:
            sizes[2] += f", {plural(scores[axis].nunique(), word)}"
    text = f"Models were {'' if done else 'to be '}trained to {_learnt(task)} on {title}"
    text += f" ({', '.join(counts)}): " if counts else ": "
    text += f"{sizes[0]}, {sizes[1]}, {sizes[2]}. "
    text += f"{done} of {plural(len(scores), 'cell')} have scores."
    if len(baselines) and not is_rule.all():
        there = f"{int(baselines[task.main.name].notna().sum())} of {plural(len(baselines), 'cell')}"
        text += f" Beside them {plural(baselines['modality'].nunique(), 'baseline')} ({there})."
    text += f" {more}" if (more := sensitivity.counted(results)) else ""
    text += "".join(f" {sentence}" for sentence in unfed.sentences(results.unfed))
    parts = [f"{p.title} {size_text(results.scenarios.get(p.scenario, {}), p)}" for p in results.panels]
    text += f" Tested: {'; '.join(parts)}." if any(" of " in part for part in parts) else ""
    seconds = results.get("seconds")
    return text + (f" The run took {duration(seconds)}." if isinstance(seconds, int | float) else "")


def _learnt(task: Task) -> str:
    names = task.names
    return f"tell {names[0]} from {names[1]}" if task.n_classes == 2 else f"tell {task.words} ({', '.join(names)})"


def headline(task: Task) -> str:
    """The metrics of Table 2 in words; of the paper's task those of the paper."""
    names = PAPER_METRICS if "paper" in task.sections else [m.name for m in task.metrics]
    titles = [m.title for m in task.metrics if m.name in names]
    text = f"{', '.join(titles[:-1])} and {titles[-1]}" if len(titles) > 1 else titles[0]
    return text[:1].upper() + text[1:]


def size_text(facts: Mapping[str, Any], panel: Panel) -> str:
    """How much of a scenario was tested: '2 of 10 people tested, 2 of 10 folds', and how many the paper has, if more."""
    tested, folds = len(panel.by_subject), int(panel.predictions["fold"].nunique())
    people, in_all, papers = (facts.get(name) for name in ("subjects", "folds", "subset_size"))
    people = people if isinstance(people, int) and people > tested else None
    in_all = in_all if isinstance(in_all, int) and in_all > folds else None
    text = f"{tested} of {people} people tested" if people else plural(tested, "subject")
    text += f", {folds} of {in_all} folds" if in_all else ""
    here = people or tested
    return f"{text}; {papers} in the paper" if isinstance(papers, int) and papers > here else text


def age_text(panel: Panel, larger: Panel, people: pd.DataFrame) -> str | None:
    """Says that the subjects of `panel`, a part of those of `larger`, are also younger, where that is so; else None.

    `people` is indexed by subject and has the column age. No sentence where fewer than two subjects on a side have one.
    """
    mine, all_of_them = set(panel.by_subject.index), set(larger.by_subject.index)
    ages, left_out = (people["age"].reindex(sorted(group)).dropna() for group in (mine, all_of_them - mine))
    if not mine < all_of_them or min(len(ages), len(left_out)) < 2 or ages.mean() >= left_out.mean():
        return None
    return (
        f"The subjects of {panel.title} are also younger: {rounded(ages.mean(), 1)} years on average, against "
        f"{rounded(left_out.mean(), 1)} for the {len(left_out)} whom it leaves out of {larger.title} (youngest of them: "
        f"{rounded(left_out.min())}). A difference between the two scenarios may come from age as well as from expressiveness."
    )


def number(value: Any) -> str:
    """A count with thousands separated, yes or no, not recorded for None; anything else as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else NOT_RECORDED if value is None else str(value)


def duration(seconds: Any) -> str:
    """Seconds in the unit a person would use."""
    if not isinstance(seconds, int | float):
        return NOT_RECORDED
    if seconds < 90:
        return f"{rounded(seconds, 1 if seconds < 10 else 0)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def makers(found: Any) -> list[tuple[str, str]]:
    """How many artefacts of which stage were made with which versions, commit and device."""
    if not isinstance(found, list) or not found:
        return [("", NOT_RECORDED)]
    rows = []
    for maker in found:
        counts = ", ".join(f"{n} {stage}" for stage, n in maker.get("artefacts", {}).items())
        rows.append((counts, ", ".join(f"{name} {value}" for name, value in maker.items() if name != "artefacts")))
    return rows
