"""What the check finds in the table of a data set that describes itself."""

from __future__ import annotations

from collections.abc import Sequence

from dataprep.check.recordings import Finding
from dataprep.manifest.channel_files import said, two_of_a_trial
from dataprep.records import DataSet, Trial
from dataprep.storage import Place


def of_channel_files(trials: Sequence[Trial], dataset: DataSet, *, within: Place) -> list[Finding]:
    """A finding if rows name files that seem to be channels of one trial: all files are read as holding the same channels."""
    if not dataset.description:
        return []
    root = f"{within.absolute()}/"
    of = {t.signals.removeprefix(root): t for t in trials if t.signals}
    two = two_of_a_trial(of)
    if not two:
        return []
    trial = of[two[1]]
    return [
        Finding(
            trial_id=trial.trial_id,
            subject=trial.subject,
            part="signals",
            kind="channels",
            unusable=False,
            file=str(trial.signals),
            reason=f"{within}: {said(two)}",
        )
    ]
