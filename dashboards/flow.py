"""From what was found to what was used: people and trials, with the reasons of those that were left out."""

from __future__ import annotations

import re

from dashboards.claims import plural
from dashboards.results import Results

NAMED_AT_MOST, REASONS_AT_MOST = 10, 3


def flow(results: Results) -> str:
    """How many people were found, how many were left out and why, and what was used; what a trial is, where that is known."""
    lost, used = people_without_trials(results), _used(results)
    in_all = results.get("data", "subjects")
    others = max(0, in_all - len(lost) - len(used)) if isinstance(in_all, int) else 0
    found = len(lost) + len(used) + others
    text = f"Found: {plural(found, 'person')}. "
    if lost:
        more = f" and {len(lost) - NAMED_AT_MOST} more" if len(lost) > NAMED_AT_MOST else ""
        text += (
            f"Left out altogether: {len(lost)} ({', '.join(lost[:NAMED_AT_MOST])}{more}; {_reasons(results, lost)}): no number "
            "here speaks of such people. "
        )
    text += f"Tested: {plural(len(used), 'person')}, {used_trials(results)}. "
    if others:
        text += f"The other {others} are tested in no scenario and fold that was run; they may have trained. "
    ids = results.quarantine["trial_id"].astype(str)
    partly = ids[(ids != "") & ~results.quarantine["subject"].isin(lost)].nunique()
    if partly:
        text += f"Of {plural(partly, 'trial')} a recording or a channel was left out (see Quarantine). "
    elif not lost:
        text += "No recording was left out. "
    trial = results.get("data", "trial")
    return text + (f"A trial is {trial}." if trial else "")


def people_without_trials(results: Results) -> list[str]:
    """Who is in quarantine and has no prediction."""
    return sorted(set(results.quarantine["subject"].astype(str)) - _used(results) - {""})


def used_trials(results: Results) -> str:
    """How many trials were predicted in any row, and of what class they are."""
    trials = results.predictions.drop_duplicates("sample_name")
    text = plural(len(trials), "trial")
    if not results.task.n_classes or trials.empty:
        return text
    labels = sorted(set(trials["y_true"]))
    counts = trials["y_true"].value_counts()
    return f"{text} ({', '.join(f'{results.task.name_of(y)} {int(counts[y]):,}' for y in labels)})"


def tested_people(results: Results) -> str:
    """The people and trials of each panel; empty where there is none."""
    parts = []
    for panel in results.panels:
        trials = panel.predictions.drop_duplicates("sample_name")
        each = [f"{results.task.name_of(y)} {(trials['y_true'] == y).sum()}" for y in sorted(set(trials["y_true"]))]
        told = ", ".join(each) if results.task.n_classes else str(len(trials))
        parts.append(f"{panel.title}: {plural(len(panel.by_subject), 'person')}, trials {told}")
    return "; ".join(parts)


def _used(results: Results) -> set[str]:
    return set(results.predictions["subject_name"].astype(str))


def _reasons(results: Results, lost: list[str]) -> str:
    """Why, without names of files, and without numbers where they differ, so that like cases are counted together."""
    mine = results.quarantine[results.quarantine["subject"].isin(lost)].drop_duplicates("subject")
    groups: dict[str, list[str]] = {}
    for entry in mine.to_dict("records"):
        reason, file = str(entry["reason"]), str(entry["file"])
        groups.setdefault(kind_of(str(entry["part"]), reason, file), []).append(reason.rpartition("expected ")[2])
    told = []
    for kind, ends in sorted(groups.items(), key=lambda group: -len(group[1])):
        found, expected = re.sub(r", that is [^;]*;", ",", kind.partition(": ")[2]).rpartition("expected ")[::2]
        told.append(
            f"{len(ends)} × {found}{'expected ' if found else ''}{ends[0] if found and len(set(ends)) == 1 else expected}"
        )
    more = len(told) - REASONS_AT_MOST
    return "; ".join(told[:REASONS_AT_MOST]) + (f"; and {more} other reasons" if more > 0 else "")


def kind_of(part: str, reason: str, file: str) -> str:
    """A reason without names of files and with N for numbers: 'signals: found N rows, expected N'."""
    text = (reason.replace(file, "") if "/" in file else reason).lstrip(": ").strip()
    text = re.sub(r"^\S*/\S*: ", "", text)
    text = re.sub(r"-?[0-9]+([.][0-9]+)?", "N", text)
    return f"{part}: {re.sub(r'N(, N)+', 'N …', text)[:300]}"
