"""What separates the people who train from those who are tested in this run, a sentence each; from its settings and counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.claims import plural
from dashboards.results import Results
from dashboards.searches import read_searches
from grid.experiment.cells import is_further
from grid.protocols import in_words, tested_people_train
from grid.results.axes import with_axes
from grid.results.selection import needs_of
from painmodels.training.normalise import BY_TRIAL, FITTED


def sentences_on_leakage(results: Results) -> list[str]:
    """Sentences for the section on leakage; what the folder does not say is left out, or said to be not recorded."""
    told = [_folds(results), _checked(results), _scaling(results), _choices(results), _epochs(results), _threshold(results)]
    return [text for text in [*told, _trunk(results), _adapted(results)] if text]


def _folds(results: Results) -> str:
    protocols = list(dict.fromkeys(results.scores["protocol"].astype(str)))
    text = f"Folds: {'; '.join(in_words(name) for name in protocols)}. "
    table = with_axes(results.predictions)[["scenario", "protocol", "repeat", "fold", "subject_name"]].drop_duplicates()
    twice = int(table.duplicated(["scenario", "protocol", "repeat", "subject_name"]).sum())
    if table.empty:
        return text.strip()
    if twice == 0:
        return f"{text}Checked in the predictions: in every partition each person is tested in one fold alone."
    return f"{text}In the predictions {plural(twice, 'person')} (counted by partition) are tested in more than one fold."


def _checked(results: Results) -> str:
    """What was counted over the plan that was run (grid/results/overlap.py)."""
    found = results.get("separation")
    if not isinstance(found, Mapping):
        return "Whether tested people are in the training sets was not counted by the version that made this folder."
    counts: Mapping[str, Any] = found
    sides = plural(int(counts["training_sets"]), "training set")
    where = {"trials": int(counts["trials_on_both_sides"]), "people": int(counts["people_on_both_sides"])}
    cells = plural(int(counts["cells"]), "cell")
    text = f"Checked by name in {sides} behind {cells}, those of networks that feed others included: "
    text += "; ".join(
        f"{what} both tested and trained with: in {n or 'no'} cell{'s' * (n != 1)}" for what, n in where.items()
    )
    protocols = set(results.scores["protocol"].astype(str))
    if where["people"] and any(map(tested_people_train, protocols)):
        text += ", as the protocol has it"
    return f"{text}."


def _scaling(results: Results) -> str:
    fits = results.get("signals", "fits")
    kinds = list(fits) if isinstance(fits, Mapping) else []
    if not kinds:
        return ""
    parts = []
    for kind in kinds:
        if kind in BY_TRIAL:
            parts.append(f"{kind}: each trial by itself, so nothing is fitted")
        elif kind in FITTED:
            parts.append(f"{kind}: limits are fitted on the training side of each fold and applied to the tested trials")
        else:
            parts.append(f"{kind}: over several trials of a person, on each side by itself (see the banner above)")
    return f"Scaling of signals ({'; '.join(parts)})."


def _choices(results: Results) -> str:
    chosen_on = results.get("experiment", "claims", "chosen_on")
    searches = read_searches(results.folder)
    if searches:
        whole = any(search.get("scope") == "scenario" for search in searches)
        whom = (
            "all people, the tested ones among them"
            if whole
            else "the people of the training side of each fold, in inner folds"
        )
        text = f"Hyperparameters that were searched were chosen on {whom}"
        found = results.get("separation", "searched_on_tested")
        text += (
            f"; counted: a search saw a tested person in {found or 'no'} cell{'s' * (found != 1)}"
            if isinstance(found, int)
            else ""
        )
        return f"{text}. All others were fixed before the run."
    text = "Hyperparameters were fixed in the experiment before the run: none was chosen in it"
    names = ", ".join(map(str, chosen_on)) if isinstance(chosen_on, list) else ""
    if names:
        return f"{text}. They had been chosen on results of: {names}."
    return f"{text}; on whom they were chosen before is not known."


def _epochs(results: Results) -> str:
    if results.learning.empty:
        return ""
    return (
        "Every network trains a number of epochs that is fixed beforehand, and the weights after the last one are used: no "
        "epoch is "
        "chosen by what held-out people gave."
    )


def _threshold(results: Results) -> str:
    text = "Decisions are at 0.5, fixed beforehand. " if "roc" in results.task.sections else ""
    if results.get("experiment", "fit", "calibrate") in ("platt", "isotonic"):
        text += "Probabilities are recalibrated on what inner folds of the training side predict of people left out there."
    return text.strip()


def _trunk(results: Results) -> str:
    rows = results.scores["modality"].astype(str).unique()
    if not any("video" in needs_of(row) for row in rows):
        return ""
    if results.get("trunk", "random") is True:
        return "The frozen face network has random weights: nobody trained it."
    return (
        "The frozen face network was trained elsewhere and is the same in every fold; whether people of these data were among "
        "its pictures is not known here."
    )


def _adapted(results: Results) -> str:
    names = [name for name, facts in results.scenarios.items() if facts.get("adapt") and not is_further(name)]
    if not names:
        return ""
    return f"In {', '.join(names)} rows were adapted to the recordings of the tested people, without their labels."
