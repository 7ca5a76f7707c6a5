"""What the control rows see of a trial instead of a recording: facts of the data set's table, each as it is written there.

`temperature` of the stimulus (the column of that name), `order` (the position in the session: the column of that name, else the
place by start time in a long recording) and `previous` (the class of the trial before in the session; "first"
where there is none).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dataprep.records import Trial

PREFIX = "column:"
"""Before the name of a control among the parts of a trial."""


def controls(trials: Iterable[Trial]) -> Mapping[str, Mapping[str, str]]:
    """Control -> trial id -> value, of the trials that have one. Trials of classes that are not learnt count as previous ones."""
    sessions: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    found: dict[str, dict[str, str]] = {f"{PREFIX}{name}": {} for name in ("temperature", "order", "previous")}
    for trial in trials:
        sessions[trial.subject, trial.columns.get("session", "")].append(trial)
        if value := trial.columns.get("temperature"):
            found[f"{PREFIX}temperature"][trial.trial_id] = value
    for session in sessions.values():
        place = _places(session)
        if place is None:
            continue
        previous = "first"
        for trial in sorted(session, key=lambda t: place[t.trial_id]):
            found[f"{PREFIX}order"][trial.trial_id] = f"{place[trial.trial_id]:g}"
            found[f"{PREFIX}previous"][trial.trial_id] = previous
            previous = trial.class_name
    return found


def _places(session: list[Trial]) -> dict[str, float] | None:
    """Trial id -> position in the session, None where the data do not say it."""
    try:
        place = {t.trial_id: float(t.columns["order"].replace(",", ".")) for t in session}
    except (KeyError, ValueError):
        in_time = sorted(session, key=lambda t: t.start_s)
        if len({t.signals for t in session}) > 1 or len({t.start_s for t in session}) < len(session):
            return None
        place = {t.trial_id: float(n) for n, t in enumerate(in_time, start=1)}
    return place if len(set(place.values())) == len(place) else None
