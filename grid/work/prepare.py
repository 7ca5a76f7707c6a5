"""Preparation: one pass over each video, one over each subject's signals. Pure functions; executors run them anywhere.

A video becomes the frozen trunk's activations, float16 (n_frames, F), and on the way a face track, kept as an artefact of its
own so that another trunk or crop never detects again. Signals become float32 (n_steps, C) per trial on the frame clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from dataprep import faces
from dataprep.records import Defect
from grid.plan.preparation import SignalsJob, VideoJob, quarantine
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.odd_recordings import OddSignals, note_track
from painmodels.training.loop import one_thread


@dataclass(frozen=True)
class SignalsBlock:
    """Prepared signals of one subject: x (N, n_steps, C) float32 of `trial_ids`, and what could not be used."""

    x_NTC: np.ndarray
    trial_ids: tuple[str, ...]
    defects: tuple[Defect, ...]


def run_video(job: VideoJob, store: Store, device: str = "cpu") -> np.ndarray:
    """Features of one video, float16 (n_frames, F), from the store or made now. Raises InputError for a bad file.

    A clip that ends a step early has a row less than `n_steps`.
    """
    if store.has(job.stage):
        return store.arrays(job.stage)["features"]
    started = time.monotonic()
    trunk = job.trunk.load()
    assert job.trial.video
    chunks: list[np.ndarray] = []

    def features_of(crops: np.ndarray) -> None:
        with one_thread():  # rounding depends on the number of threads: the same bytes on every machine
            chunks.append(trunk(crops, device))

    known = _read_track(store, job.track)
    track = faces.prepare_video(
        job.trial.video,
        job.settings,
        clock_hz=job.clock_hz,
        n_steps=job.n_steps,
        on_crops=features_of,
        track=known,
    )
    if known is None:
        arrays = {f.name: np.asarray(getattr(track, f.name)) for f in fields(track)}
        note_track(job, track, store)
        store.write(job.track, arrays, {"subject": job.trial.subject})
    features = np.concatenate(chunks)[: track.n_frames]
    seconds = time.monotonic() - started
    facts = {"subject": job.trial.subject, "frames": len(features), "seconds": round(seconds, 3), "device": device}
    facts["frames_detected"] = int(np.count_nonzero(track.detected_T))
    store.write(job.stage, {"features": features}, facts)
    return features


def _read_track(store: Store, stage: Stage) -> faces.FaceTrack | None:
    if not store.has(stage):
        return None
    arrays: dict[str, Any] = store.arrays(stage)
    return faces.FaceTrack(**{name: a.item() if a.ndim == 0 else a for name, a in arrays.items()})


def run_signals(job: SignalsJob, store: Store) -> SignalsBlock:
    """Signals of one subject, with the defects of trials that cannot be used: both are stored, under the files' content."""
    if store.has(job.stage):
        facts = store.facts(job.stage)
        return SignalsBlock(store.arrays(job.stage)["x"], tuple(facts["trial_ids"]), stored_defects(job, facts))
    from dataprep.datasets import dataset as dataset_named  # scipy's filters: 60 MB that no worker on videos needs
    from dataprep.signals.files import prepare_signals

    started = time.monotonic()
    odd = OddSignals()
    reader = replace(dataset_named(*job.dataset), channels=job.channels)
    x_NTC, ids, defects = prepare_signals(job.trials, reader, on_read=odd)
    facts = {"subject": job.subject, "trial_ids": list(ids), "seconds": round(time.monotonic() - started, 3)}
    facts["quarantined"], facts["odd"] = {d.trial_id: d.reason for d in defects}, odd.found
    facts["channels"] = {d.trial_id: list(d.channels) for d in defects if d.channels}
    store.write(job.stage, {"x": x_NTC}, facts)
    return SignalsBlock(x_NTC, tuple(ids), tuple(defects))


def stored_defects(job: SignalsJob, facts: Mapping[str, Any]) -> tuple[Defect, ...]:
    """The trials, or channels of them, that could not be used when a subject's signals were stored."""
    of = {t.trial_id: t for t in job.trials}
    reasons: Mapping[str, str] = facts.get("quarantined", {})
    channels: Mapping[str, list[str]] = facts.get("channels", {})
    known = [(of[t], reason) for t, reason in reasons.items() if t in of]
    return tuple(
        Defect(t.trial_id, t.subject, "signals", str(t.signals), reason, tuple(channels.get(t.trial_id, ())))
        for t, reason in known
    )


def video_defect(job: VideoJob, reason: str) -> Defect:
    """The defect of a video that cannot be used."""
    return Defect(job.trial.trial_id, job.trial.subject, "video", str(job.trial.video), reason)


def quarantine_video(job: VideoJob, store: Store, reason: str) -> Defect:
    """Store that a video cannot be used, so that no later run decodes it again."""
    facts = {"subject": job.trial.subject, "trial_id": job.trial.trial_id, "reason": reason}
    store.write(quarantine(job), {}, facts)
    return video_defect(job, reason)


def known_defects(videos: Iterable[VideoJob], signals: Iterable[SignalsJob], store: Store) -> list[Defect]:
    """The recordings that earlier runs put into quarantine, from manifests only."""
    there, blocks = store.keys("quarantine"), store.keys("signals")
    found = [video_defect(v, store.facts(quarantine(v))["reason"]) for v in videos if there and quarantine(v).key in there]
    for job in signals:
        if job.stage.key in blocks:
            found += stored_defects(job, store.facts(job.stage))
    return found
