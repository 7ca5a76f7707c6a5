"""Recordings that are used although something is odd: noted when they are prepared, listed beside those left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dataprep.check import oddities
from dataprep.records import Defect, Trial
from dataprep.video.face_tracking import FaceTrack
from grid.store.artefacts import Store
from grid.store.identity import Stage

if TYPE_CHECKING:
    from grid.plan.preparation import SignalsJob, VideoJob

ODD_VERSION = 1  # raise when the same track may be odd in another way


def _stage(job: VideoJob) -> Stage:
    return Stage(name="odd", version=ODD_VERSION, params={}, inputs=(job.track.key,))


def note_track(job: VideoJob, track: FaceTrack, store: Store, said: Iterable[str] = ()) -> None:
    """Keep what is odd about a face's track, and what was `said` of its file: the rare artefact costs nothing where none is."""
    found = [*said, *(sentence for _, sentence in oddities.of_track(track, job.clock_hz))]
    if found:
        store.write(_stage(job), {}, {"subject": job.trial.subject, "trial_id": job.trial.trial_id, "odd": found})


class OddSignals:
    """What is odd in each trial's channels, gathered while a subject's signals are read: `found`, trial id -> sentences."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def __call__(self, trial: Trial, read: Mapping[str, tuple[np.ndarray, float]]) -> None:
        said = [f"channel {name!r}: {s}" for name, (x, hz) in read.items() for _, s in oddities.of_channel(x, hz)]
        if said:
            self.found[trial.trial_id] = said


def known(
    videos: Iterable[VideoJob], signals: Iterable[SignalsJob], store: Store, defects: Iterable[Defect]
) -> list[Defect]:
    """The odd recordings that were not left out, each with all that was noted of it."""
    there, blocks = store.keys("odd"), store.keys("signals")
    out = {(d.part, d.trial_id) for d in defects if not d.channels}
    found = []
    for job in videos:
        if there and ("video", job.trial.trial_id) not in out and _stage(job).key in there:
            found += [_odd(job.trial, "video", str(job.trial.video), s) for s in store.facts(_stage(job))["odd"]]
    for block in signals:
        facts: Mapping[str, Any] = store.facts(block.stage) if block.stage.key in blocks else {}
        for trial in block.trials:
            if ("signals", trial.trial_id) not in out:
                sentences = facts.get("odd", {}).get(trial.trial_id, [])
                found += [_odd(trial, "signals", str(trial.signals), s) for s in sentences]
    return found


def _odd(trial: Trial, part: str, file: str, sentence: str) -> Defect:
    return Defect(trial_id=trial.trial_id, subject=trial.subject, part=part, file=file, reason=f"{file}: {sentence}")
