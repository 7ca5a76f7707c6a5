"""What the check finds in the table of a data set that describes itself."""

from __future__ import annotations

from collections.abc import Sequence

from dataprep.check.recordings import Finding, TrialFacts
from dataprep.manifest.channel_files import said, two_of_a_trial
from dataprep.manifest.other_signals import paired, unlike_people
from dataprep.manifest.other_signals import said as said_of_values
from dataprep.records import DataSet, Trial
from dataprep.storage import Place


def of_channel_files(trials: Sequence[Trial], dataset: DataSet, *, within: Place) -> list[Finding]:
    """A finding if rows name files that seem to be channels of one trial: all files are read as holding the same channels."""
    if not dataset.description:
        return []
    root = f"{within.absolute()}/"
    of = {t.signals.removeprefix(root): t for t in trials if t.signals}
    two = two_of_a_trial(of)
    return [_finding(of[two[1]], f"{within}: {said(two)}")] if two else []


def of_values(measured: Sequence[TrialFacts], dataset: DataSet, *, within: Place) -> list[Finding]:
    """Findings if files hold another signal in the same channel: by a part of their names, or all those of a person."""
    root = f"{within.absolute()}/"
    known = {m.trial.signals.removeprefix(root): m for m in measured if m.trial.signals and m.looks}
    if not dataset.description:
        return []
    subjects = {file: m.trial.subject for file, m in known.items()}
    labels = {file: m.trial.class_name for file, m in known.items()}
    found = []
    for channel in dataset.channels:
        looks = {file: m.looks[channel] for file, m in known.items() if channel in m.looks}
        for person, (kind, usual) in unlike_people(looks, subjects).items():
            first = next(file for file in looks if subjects[file] == person)
            seen = f"found {kind or 'no signal that is known'} by its values in all files of {person}, {usual} in those of others"
            reason = (
                f"{known[first].trial.signals}: channel {channel!r}: {seen}; look whether the columns are in another order"
            )
            found.append(_finding(known[first].trial, reason))
        if pair := paired(looks, subjects=subjects, labels=labels):
            same = labels[pair.first] == labels[pair.second]
            return [
                _finding(known[pair.second].trial, f"{within}: channel {channel!r}: {said_of_values(pair, one_label=same)}")
            ]
    return found


def _finding(trial: Trial, reason: str) -> Finding:
    return Finding(
        trial_id=trial.trial_id,
        subject=trial.subject,
        part="signals",
        kind="channels",
        unusable=False,
        file=str(trial.signals),
        reason=reason,
    )
