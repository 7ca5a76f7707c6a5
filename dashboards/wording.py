"""The sentences of a report: warnings, and claims that the statistics allow.

A claim needs both an interval that leaves out zero and a Holm-corrected p below ALPHA; all else is said to be undecided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboards.results import Panel, Results
from grid.protocols import ONE_PARTITION
from grid.results.learned import SYMBOLS, WHY_ECG

ALPHA = 0.05
NOT_RECORDED = "not recorded"
SYNTHETIC = "The recordings were made by a program. These numbers test the software and say nothing about pain."
SAMPLE = (
    "Protocol “sample” puts trials of one subject on both sides of a fold: a network can recognise the person instead of "
    "the pain. These accuracies are too high for people it has never seen."
)
TRANSDUCTIVE = (
    "Signals were scaled by each subject's own minimum and maximum over all trials, the tested ones included. "
    "A device that sees one trial at a time could not do that."
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
    empty = int(scores["accuracy"].isna().sum())
    synthetic = results.get("data", "synthetic")
    cases = (
        (synthetic is True, "Synthetic data", SYNTHETIC),
        (
            synthetic is None,
            "Origin not recorded",
            "Whether the data are real or synthetic is not recorded in run.json.",
        ),
        ("sample" in protocols, "Identity leaks", SAMPLE),
        (results.get("signals", "normalise") == "subject", "Transductive scaling", TRANSDUCTIVE),
        (results.get("trunk", "random") is True and uses_video, "Random face network", RANDOM_TRUNK),
        (
            bool(results.learning["verdict"].isin(list(SYMBOLS)).any()),
            "Not everything learned",
            learning_text(results),
        ),
        (
            empty > 0,
            "Incomplete grid",
            f"{plural(empty, 'cell')} of {len(scores)} without scores. Means are over the other folds; see Failures for why.",
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


def learning_text(results: Results) -> str:
    """Names the rows with fits that did not learn or collapsed, and the consequence for their results."""
    rows = [f"{row} ({scenario}) {mark.symbol}" for (row, scenario, *_), mark in results.marks.items() if mark.marked]
    text = (
        f"{plural(len(rows), 'row')} of {len(results.marks)} rest on sub-networks that did not learn their training side, or "
        f"lost what they had learned by their last epoch: {', '.join(rows)}. Their numbers are shown; no comparison is claimed "
        "with them. See What was learned."
    )
    ecg = any("physiological-ecg" in mark.stages for mark in results.marks.values())
    return f"{text} {WHY_ECG}" if ecg else text


def summary(results: Results) -> str:
    """One or two sentences about the run."""
    scores, (negative, positive) = results.scores, results.class_names
    title = results.get("data", "title") or results.get("data", "name") or "a data set whose name is not recorded"
    counts = [
        f"{number(results.get('data', what))} {what}"
        for what in ("subjects", "trials")
        if results.get("data", what) is not None
    ]
    done = int(scores["accuracy"].notna().sum())
    sizes = [
        plural(scores[axis].nunique(), word)
        for axis, word in (("modality", "modality row"), ("scenario", "scenario"), ("fold", "fold"))
    ]
    for axis, word in (("repeat", "partition"), ("seed", "fit seed")):
        if scores[axis].nunique() > 1:
            sizes[2] += f", {plural(scores[axis].nunique(), word)}"
    text = f"Networks were trained to tell {negative} from {positive} on {title}"
    text += f" ({', '.join(counts)}): " if counts else ": "
    text += f"{sizes[0]}, {sizes[1]}, {sizes[2]}. {done} of {plural(len(scores), 'cell')} have scores."
    seconds = results.get("seconds")
    return text + (f" The run took {duration(seconds)}." if isinstance(seconds, int | float) else "")


def inference(results: Results) -> str:
    """Explains the intervals and p values, and whether they hold for the method or for one partition and one seed."""
    repeats, seeds = (results.scores[axis].nunique() for axis in ("repeat", "seed"))
    text = (
        "Intervals and p values are inference about people: subjects are resampled, each with the mean accuracy over all "
        "predictions of its trials. "
    )
    if repeats > 1 or seeds > 1:
        text += (
            f"Every trial was predicted {repeats * seeds} times ({plural(repeats, 'partition')}, {plural(seeds, 'fit seed')}); "
            "this adds no subject and narrows no interval by itself. The t test over folds counts the folds of every partition, "
            "averaged over seeds. "
        )
    drawn = set(results.scores["protocol"].astype(str)) - set(ONE_PARTITION)
    one = ["one partition into folds"] * (repeats == 1) + ["one fit seed (initial weights)"] * (seeds == 1)
    more = ["[protocol] repeats"] * (repeats == 1 and bool(drawn)) + ["[fit] seeds"] * (seeds == 1)
    if one:
        text += f"All numbers are of {' and '.join(one)}: they do not say how much another would change them"
        text += (
            f"; to speak about the method rather than about this choice, set {' and '.join(more)} higher." if more else "."
        )
    return text.strip()


def protocol_text(protocol: str) -> str:
    """A fold protocol in plain words."""
    known = {
        "subject": "no subject on two sides of a fold",
        "sample": "trials of a subject may be on both sides of a fold",
        "loso": "one subject left out at a time",
        "holdout": "one fixed split by subject",
    }
    return known.get(protocol, f"protocol {protocol}")


def comparison_text(pair: Mapping[str, Any]) -> str:
    """A sentence about one pair of rows: which one is more accurate, the difference and its interval; or that it is undecided."""
    difference, low, high = (100 * pair[name] for name in ("difference", "low", "high"))
    better, worse = (pair["b"], pair["a"]) if difference > 0 else (pair["a"], pair["b"])
    ends = sorted((abs(low), abs(high)))
    sure = f"{p_text(pair['p_holm'])} after Holm's correction"
    people = plural(pair["n_subjects"], "subject")
    if pd.isna(low):
        return f"{pair['a']} and {pair['b']} share too few subjects ({pair['n_subjects']}) to be compared."
    if pair.get("marked"):
        return (
            f"Between {pair['a']} and {pair['b']} nothing is claimed ({signed(difference)} points): sub-networks of one of them "
            "did not learn, or collapsed."
        )
    if claimable(pair):
        return (
            f"{better} was more accurate than {worse} by {abs(difference):.1f} points (95\u00a0% interval "
            f"{ends[0]:.1f} to {ends[1]:.1f}; {sure}; d\u00a0=\u00a0{signless(pair['effect_size'])}; {people})."
        )
    return (
        f"Between {pair['a']} and {pair['b']} no difference can be claimed ({signed(difference)} points, "
        f"95\u00a0% interval {signed(low)} to {signed(high)}; {sure}; {people})."
    )


def claimable(pair: Mapping[str, Any]) -> bool:
    """True if the interval leaves out zero, the corrected p is below ALPHA and no row is marked. NaN makes it False."""
    return not pair.get("marked") and bool((pair["low"] > 0 or pair["high"] < 0) and pair["p_holm"] < ALPHA)


def is_nested(pair: Mapping[str, Any]) -> bool:
    """True if one row has all inputs of the other and more, or the pair is frame and video."""
    if ":" in f"{pair['a']}{pair['b']}":
        return False
    a, b = (set(str(pair[side]).split("+")) for side in ("a", "b"))
    return a < b or b < a or {str(pair["a"]), str(pair["b"])} == {"frame", "video"}


def is_against_baseline(pair: Mapping[str, Any]) -> bool:
    """True if a learned row meets a baseline on the same recordings (`eda` and `eda:argmax`), or the majority."""
    a, b = str(pair["a"]), str(pair["b"])
    names = {a.partition(":")[0], b.partition(":")[0]}
    return "majority" in (a, b) or (len(names) == 1 and (":" in a) != (":" in b))


def age_text(panel: Panel, larger: Panel, people: pd.DataFrame) -> str | None:
    """Says that the subjects of `panel`, a part of those of `larger`, are also younger, where that is so; else None.

    `people` is indexed by subject and has the column age. No sentence where fewer than two subjects on a side have one.
    """
    mine, all_of_them = set(panel.by_subject.index), set(larger.by_subject.index)
    ages, left_out = (people["age"].reindex(sorted(group)).dropna() for group in (mine, all_of_them - mine))
    if not mine < all_of_them or min(len(ages), len(left_out)) < 2 or ages.mean() >= left_out.mean():
        return None
    return (
        f"The subjects of {panel.title} are also younger: {ages.mean():.1f} years on average, against {left_out.mean():.1f} "
        f"for the {len(left_out)} whom it leaves out of {larger.title} (youngest of them: {left_out.min():.0f}). "
        "A difference between the two scenarios may come from age as well as from expressiveness."
    )


def p_text(p: float) -> str:
    return "p not defined" if pd.isna(p) else "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0=\u00a0{p:.3f}"


def p_value(p: float | None) -> str:
    """A p value for a table: four digits, and never zero."""
    if p is None or pd.isna(p):
        return "–"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign (the minus sign, not a hyphen); no sign if it rounds to zero."""
    text = f"{value:+.{digits}f}"
    return "–" if pd.isna(value) else text[1:] if float(text) == 0 else text.replace("-", "−")


def signless(value: float) -> str:
    return "not defined" if pd.isna(value) else f"{abs(value):.2f}"


def number(value: Any) -> str:
    """A count with thousands separated, yes or no, not recorded for None; anything else as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else NOT_RECORDED if value is None else str(value)


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def duration(seconds: Any) -> str:
    """Seconds in the unit a person would use."""
    if not isinstance(seconds, int | float):
        return NOT_RECORDED
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
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
