"""The model card of an exported or registered model: what it is for, what it was made of, how good it is, and what it is not for.

Written from model.json, run.json, the record of the cell and the facts of its row (cards.json, which the grid writes); what these
do not say is "not measured" or "not recorded". Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataprep.rounding import rounded
from painmodels.use.model_files import taken

CARD = "model_card.md"
NEVER = (
    "Research software, not a medical device: no diagnosis, no triage, no dose of an analgesic, no monitoring of a patient.",
    "Not for people, stimuli, cameras or electrodes unlike those of the data: nothing was measured there.",
    "Not to deny that somebody is in pain: a low value does not show that there is none.",
    "Not without the consent of the person who is recorded, and not to watch people at work or in custody.",
)
Facts = Mapping[str, Any]


def card(about: Facts, run: Facts, cell: Facts, facts: Facts | None, *, gives: str, chosen: str = "") -> str:
    """The card, Markdown. `facts` of the row: None where the result folder is of an older version. `gives`: what a prediction is.

    `chosen`: a sentence on how the model was chosen among others, if it was.
    """
    facts = facts or {}
    sections = {
        "Intended use": _use(about, run, gives),
        "Data and people": _data(about, run, cell, facts),
        "How it was made": _made(about, run, cell, facts),
        "Held-out metrics": _metrics(about, cell, facts, chosen),
        "Calibration": _calibration(about, facts.get("calibration")),
        "Limits": _limits(about, run, cell, facts),
        "What it must not be used for": [f"- {sentence}" for sentence in NEVER],
        "Licence": _licence(about),
        "Versions": _versions(run),
    }
    head = [f"# {about['cell']}", ""]
    if about["synthetic"]:
        head += ["**Trained on synthetic data: it tests the software and says nothing about pain.**", ""]
    elif run["data"].get("pain") is False:
        head += [f"**Trained on {' and '.join(about['classes'])}, not on pain: it says nothing about pain.**", ""]
    return "\n".join(head + [line for title, lines in sections.items() for line in (f"## {title}", "", *lines, "")])


def _use(about: Facts, run: Facts, gives: str) -> list[str]:
    takes = ", ".join(taken(about)) or "nothing"
    seconds = about["n_steps"] / about["clock_hz"]
    no_pain = run["data"].get("pain") is False
    what = f"telling {' from '.join(about['classes'][:2])}" if no_pain else "automatic pain recognition"
    lines = [
        f"- Research on {what}: to compare methods, and to look at recordings that are already there.",
        f"- Takes {takes}, {seconds:g} s at {about['clock_hz']:g} steps a second; gives {gives}, or the reason why there is none "
        "(a channel that is flat or not finite, a face that is not seen).",
    ]
    if len(about["classes"]) == 2:
        lines.append(
            f"- The metrics below call {about['classes'][1]} above 0.5. This threshold was fixed beforehand; it weighs both "
            "errors alike."
        )
    if how := about.get("calibration"):
        lines.append(f"- Its probabilities are recalibrated ({how}).")
    return lines


def _data(about: Facts, run: Facts, cell: Facts, facts: Facts) -> list[str]:
    data = run["data"]
    many = facts.get("people_in_all") or "an unrecorded number of"
    trials = ", ".join(f"{n} of {name}" for name, n in facts.get("trials", {}).items()) or facts.get(
        "n_trials", "not recorded"
    )
    return [
        f"- {data.get('title') or data['name']} ({data['name']}), fingerprint {data.get('fingerprint', 'not recorded')}; "
        f"scenario {cell['scenario']}, {many} people.",
        *([f"- Source: {data['source']}"] if data.get("source") else []),
        *([f"- A trial is {data['trial']}."] if data.get("trial") else []),
        f"- Tested in this row: {facts.get('people', 'not recorded')} people; trials: {trials}.",
        f"- {_trained(about, cell)} Sex and age of its people: folds.csv and Subjects in the report, where the data set tells "
        "them.",
    ]


def _trained(about: Facts, cell: Facts) -> str:
    """On how many trials, and how many were held out."""
    n_train, n_test = cell.get("n_train", "an unrecorded number of"), cell.get("n_test", "an unrecorded number")
    if members := about.get("members"):
        return f"This is the mean of {len(members)} models, one of each fold; the first was trained on {n_train} trials."
    return f"This model was trained on {n_train} trials; {n_test} were held out."


def _made(about: Facts, run: Facts, cell: Facts, facts: Facts) -> list[str]:
    axes = facts.get("axes", {})
    sizes = ", ".join(
        f"{n} {word if n != 1 else word[:-1]}"
        for word, n in (("folds", axes.get("fold")), ("partitions", axes.get("repeat")), ("fit seeds", axes.get("seed")))
        if n
    )
    lines = [
        f"- Experiment {run['experiment']['name']}, method {about['method']}, protocol {cell['protocol']}"
        f"{f' ({sizes})' if sizes else ''}.",
        *(f"- {table['role']}: {table['network']}, {_settings(table['settings'])}" for table in about["networks"]),
        f"- Training: {facts.get('learned', 'not recorded')}",
    ]
    return lines + ([f"- Trunk: {about['trunk']['provenance']}"] if about["trunk"] else [])


def _settings(table: Facts) -> str:
    return ", ".join(f"{name} {value}" for name, value in table.items()) or "nothing to set"


def _metrics(about: Facts, cell: Facts, facts: Facts, chosen: str) -> list[str]:
    if not facts.get("metrics"):
        return ["Not measured: the result folder has no predictions, or an older version wrote it."]
    own = facts["own"].get("/".join(str(cell.get(a, 0)) for a in ("fold", "repeat", "seed")), {})
    if about.get("members"):
        own = {}
    n = facts["people"]
    lines = [
        f"Of the row, on {n} people who trained no model that judged them: mean and SD over folds, and the 95 % interval over "
        "people (corrected t) of the mean.",
        "",
        "| metric | mean | SD | 95 % interval | this model |",
        "|---|---|---|---|---|",
    ]
    for m in facts["metrics"]:
        between = (
            f"{_n(m['low'])} to {_n(m['high'])}" if m["low"] is not None and m["high"] is not None else "cannot be told"
        )
        title = m["title"][:1].upper() + m["title"][1:]
        lines.append(f"| {title} | {_n(m['mean'])} | {_n(m['sd'])} | {between} | {_n(own.get(m['name']))} |")
    if facts.get("tested_people_train", cell["protocol"] == "sample"):  # older folders do not say it
        lines[0] = f"Of the row, on new trials of {n} people who also trained it: too high for people it has never seen."
    if facts.get("above_chance"):
        difference, low, high, p = facts["above_chance"]
        why, rests = facts.get("no_claim") or "it cannot be told how sure that is", facts.get("p_rests_on", "")
        told = f"{_n(difference)} ({_n(low)} to {_n(high)}"
        told += f"); nothing is claimed: {why}." if p is None else f"; p = {_n(p)} for this row by itself{rests})."
        lines += ["", f"Against chance: {told}"]
    if about.get("members"):
        lines += ["", "The figures are of its members. The ensemble was tested on nobody: each person trained some of them."]
    return lines + (["", chosen] if chosen else [])


def _calibration(about: Facts, found: Facts | None) -> list[str]:
    if not found:
        return ["Not measured."]
    lines = []
    for name, title in (("ece", "ECE"), ("slope", "Slope (1 is right)"), ("intercept", "Intercept (0 is right)")):
        if name in found:
            mean, low, high = found[name]
            lines.append(
                f"- {title}: {_n(mean)}" + (f" ({_n(low)} to {_n(high)})" if low is not None and high is not None else "")
            )
    lines += [f"- {found['too_few']}."] if found.get("too_few") else []
    lines += ["", f"| {found['predicted']} | held-out predictions | mean said | {found['observed']} |", "|---|---|---|---|"]
    for low, high, n, said, true in found["bins"]:
        lines.append(
            f"| {rounded(low, 1)} to {rounded(high, 1)} | {n} | {_n(said) if n else ''} | {_n(true) if n else ''} |"
        )
    return lines


def _limits(about: Facts, run: Facts, cell: Facts, facts: Facts) -> list[str]:
    found = [
        "Trials of an experiment, as frequent as the experiment made them: in other places every predictive value is another."
    ]
    seconds = about["n_steps"] / about["clock_hz"]
    found.append(
        f"Windows of {seconds:g} s, cut at a known moment of the stimulus; how it does elsewhere in time was not measured."
    )
    if facts.get("selected"):
        found.append(facts["selected"])
    if facts.get("sees_test_side"):
        found.append(
            "Signals of a held-out person were scaled over several of their trials, which one trial at a time cannot be."
        )
    if run.get("trunk", {}).get("random") and about["trunk"]:
        found.append("The frozen layers of its face network are random.")
    if facts.get("axes", {}).get("repeat") == 1:
        found.append("One partition into folds: how much another would change was not measured.")
    found.append("It was not tested on another data set, device, skin colour or age than those of its data.")
    return [f"- {sentence}" for sentence in found]


def _licence(about: Facts) -> list[str]:
    lines = ["- Code: Apache-2.0. The data set's terms hold for what was trained on it; they are not known to this program."]
    return lines + (
        ["- Weights of others that it holds: NOTICE of the program names them with their licences."]
        if about["trunk"]
        else []
    )


def _versions(run: Facts) -> list[str]:
    told = ", ".join(f"{name} {value}" for name, value in run.get("versions", {}).items()) or "not recorded"
    return [
        f"- pain-grid {run.get('commit', 'not recorded')}; {told}.",
        f"- Run begun {run.get('started', 'not recorded')}.",
    ]


def _n(x: Any) -> str:
    return "not measured" if x is None else rounded(x, 3)


def chosen_among(rows: Sequence[str]) -> str:
    """That the best row of several was chosen by the numbers that are shown."""
    return f"The row was chosen among {len(rows)} by these numbers, so they are optimistic." if len(rows) > 1 else ""
