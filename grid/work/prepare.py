"""Preparation: one pass over each video, one over each subject's signals. Pure functions; executors run them anywhere.

A video becomes the kinds of recording that wanted rows take (dataprep/recordings/), such as the frozen trunk's activations, and
on the way a face track, kept as an artefact of its own so that another trunk or crop never detects again. Signals become float32
(n_steps, C) per trial on the frame clock, and what is made of each channel at its own rate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from dataprep import faces
from dataprep.recordings import recording
from dataprep.recordings.kind import Facts, Recording, Samples
from dataprep.records import DataSet, Defect, RecordingError, Trial
from grid.plan.preparation import SignalsJob, VideoJob, quarantine
from grid.store.artefacts import Store
from grid.store.identity import Stage
from grid.work.odd_recordings import OddSignals, note_track
from painmodels.training.loop import one_thread
from painmodels.trunks.backbones import backbone


@dataclass(frozen=True)
class SignalsBlock:
    """Prepared signals of one subject: x (N, n_steps, C) float32 of `trial_ids`, and what could not be used."""

    x_NTC: np.ndarray
    trial_ids: tuple[str, ...]
    defects: tuple[Defect, ...]


def run_video(job: VideoJob, store: Store, device: str = "cpu") -> np.ndarray | None:
    """Make what is wanted of one video and not stored yet. Raises RecordingError for a bad file.

    Returns the trunk's features, float16 (n_frames, F), where they are wanted. A clip that ends a step early has a row less than
    `n_steps`, in them and in every kind of recording made of the video.
    """
    if not all(store.has(stage) for stage in job.stages):
        new = {name: recording(name) for name, stage in job.made.items() if not store.has(stage)}
        _make(job, new, _read_track(store, job.track), store, device)
    return store.arrays(job.made["features"])["features"] if "features" in job.made else None


def _make(job: VideoJob, new: Mapping[str, Recording], known: faces.FaceTrack | None, store: Store, device: str) -> None:
    """The one pass over a video: each step is handed to every kind that is to be made."""
    started = time.monotonic()
    trunk = job.trunk.load() if job.trunk and any(kind.trunk for kind in new.values()) else None
    assert job.trial.video
    takers = {}
    for name, kind in new.items():
        assert kind.of_video
        takers[name] = kind.of_video((lambda crops: trunk(crops, device)) if kind.trunk and trunk else None)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in new}
    clock: dict[str, Any] = {"clock_hz": job.clock_hz, "n_steps": job.n_steps, "part": job.trial.video_part}
    followed = faces.follow(job.trial.video, job.settings, track=known, frames_hz=job.trial.frames_hz, **clock)
    for steps in followed.steps(frames=any(kind.frames for kind in new.values())) if new else ():
        with one_thread():  # rounding depends on the number of threads: the same bytes on every machine
            for name, take in takers.items():
                rows[name].append(take(steps))
    track = followed.track() if new else followed.to_the_end()
    if known is None:
        arrays = {f.name: np.asarray(getattr(track, f.name)) for f in fields(track)}
        note_track(job, track, store, followed.said)
        store.write(job.track, arrays, {"subject": job.trial.subject})
    seconds = round((time.monotonic() - started) / max(1, len(new)), 3)
    width = backbone(job.trunk.name).feature_size if job.trunk else 0
    shape_facts = Facts(clock_hz=job.clock_hz, n_steps=job.n_steps, trunk_width=width, faces=job.settings)
    for name, parts in rows.items():
        shape = (len(track), *new[name].shape(shape_facts)[1:])
        made = new[name].checked(np.concatenate(parts), shape)[: track.n_frames]
        facts = {"subject": job.trial.subject, "frames": len(made), "seconds": seconds, "device": device}
        facts["frames_detected"] = int(np.count_nonzero(track.detected_T))
        store.write(job.made[name], {name: made}, facts)


def _read_track(store: Store, stage: Stage) -> faces.FaceTrack | None:
    return faces.track_of(store.arrays(stage)) if store.has(stage) else None


def run_signals(job: SignalsJob, store: Store) -> SignalsBlock:
    """Signals of one subject, with the defects of trials that cannot be used: both are stored, under the files' content.

    What is wanted of each channel beside them is made of the same reading of the files.
    """
    if all(store.has(stage) for stage in job.stages):
        facts = store.facts(job.stage)
        return SignalsBlock(store.arrays(job.stage)["x"], tuple(facts["trial_ids"]), stored_defects(job, facts))
    from dataprep.datasets import dataset as dataset_named  # scipy's filters: 60 MB that no worker on videos needs
    from dataprep.signals.derived import with_channels
    from dataprep.signals.files import prepare_signals

    started = time.monotonic()
    odd = OddSignals()
    reader = with_channels(dataset_named(*job.dataset), job.channels)
    channels = Channels(reader, [recording(name) for name in job.made])

    def on_read(trial: Trial, read: Mapping[str, tuple[np.ndarray, float]]) -> None:
        channels(trial, read)
        recorded = {name: samples for name, samples in read.items() if name not in reader.derived}  # a made one may stand
        odd(trial, recorded)

    x_NTC, ids, defects = prepare_signals(job.trials, reader, on_read=on_read)
    facts = {"subject": job.subject, "trial_ids": list(ids), "seconds": round(time.monotonic() - started, 3)}
    for name, stage in job.made.items():
        if not store.has(stage):
            store.write(stage, channels.arrays(name, ids), facts)
    facts["quarantined"], facts["odd"] = {d.trial_id: d.reason for d in defects}, odd.found
    facts["channels"] = {d.trial_id: list(d.channels) for d in defects if d.channels}
    if not store.has(job.stage):
        store.write(job.stage, {"x": x_NTC}, facts)
    return SignalsBlock(x_NTC, tuple(ids), tuple(defects))


class Channels:
    """What is made of each channel of a subject's trials, gathered while their files are read."""

    def __init__(self, dataset: DataSet, kinds: Sequence[Recording]) -> None:
        self.dataset, self.kinds = dataset, kinds
        self.found: dict[tuple[str, str], dict[str, np.ndarray]] = {(k.name, c): {} for k in kinds for c in dataset.channels}

    def __call__(self, trial: Trial, read: Mapping[str, tuple[np.ndarray, float]]) -> None:
        clock: dict[str, Any] = {"clock_hz": self.dataset.clock_hz, "n_steps": self.dataset.n_steps}
        for channel, (values, rate_hz) in read.items() if self.kinds else ():
            said_hz = self.dataset.rates_hz.get(channel, rate_hz)
            samples, facts = (
                Samples(values=values, rate_hz=rate_hz, channel=channel, **clock),
                Facts(rate_hz=rate_hz, **clock),
            )
            for kind in self.kinds:
                if kind.along == "samples" and rate_hz != said_hz:
                    reason = f"channel {channel!r}: found {rate_hz:g} Hz, expected the data set's {said_hz:g} Hz"
                    raise RecordingError(f"{trial.signals}: {reason}, which the recording {kind.name} needs")
                assert kind.of_channel
                self.found[kind.name, channel][trial.trial_id] = kind.checked(kind.of_channel(samples), kind.shape(facts))

    def arrays(self, kind: str, trial_ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Channel -> (N, …) of these trials; zeros where the channel of a trial cannot be used."""
        out = {}
        for channel in self.dataset.channels:
            made = self.found[kind, channel]
            if made:
                nothing = np.zeros_like(next(iter(made.values())))
                out[channel] = np.stack([made.get(t, nothing) for t in trial_ids])
        return out


def stored_defects(job: SignalsJob, facts: Mapping[str, Any]) -> tuple[Defect, ...]:
    """The trials, or channels of them, that could not be used when a subject's signals were stored."""
    of = {t.trial_id: t for t in job.trials}
    reasons: Mapping[str, str] = facts.get("quarantined", {})
    channels: Mapping[str, list[str]] = facts.get("channels", {})
    known = [(of[t], reason) for t, reason in reasons.items() if t in of]
    return tuple(
        Defect(
            trial_id=t.trial_id,
            subject=t.subject,
            part="signals",
            file=str(t.signals),
            reason=reason,
            channels=tuple(channels.get(t.trial_id, ())),
        )
        for t, reason in known
    )


def video_defect(job: VideoJob, reason: str) -> Defect:
    """The defect of a video that cannot be used."""
    return Defect(
        trial_id=job.trial.trial_id, subject=job.trial.subject, part="video", file=str(job.trial.video), reason=reason
    )


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
