"""Preparation: one pass over each video, one over each subject's signals. Pure functions; executors run them anywhere.

A video becomes the frozen trunk's activations, float16 (n_frames, F), and on the way a face track, kept as an artefact of its
own so that another trunk or crop never detects again. Signals become float32 (n_steps, C) per trial on the frame clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataprep import faces
from dataprep.records import DataSet, Defect, Trial
from grid.store.artefacts import Store
from grid.store.identity import Stage, digest
from grid.work.odd_recordings import OddSignals, note_track
from painmodels.training.loop import one_thread
from painmodels.trunks import bfloat16
from painmodels.trunks.backbones import backbone
from painmodels.trunks.trunk import Shared, Trunk, load_trunk, trunk_fingerprint, trunk_from_shared

if TYPE_CHECKING:
    from grid.experiment.config import Experiment

FEATURES_VERSION = 2
SIGNALS_VERSION = 4
QUARANTINE_VERSION = 1
DECODER_VERSIONS = {"pyav": version("av"), "decord": version("decord")}
CROP_SETTINGS = ("crop", "margin")
"""Fields of FaceSettings that decide how the face is cut out; all others decide where it is."""


@dataclass(frozen=True)
class TrunkSpec:
    """All that is needed to load the trunk in any process. `fingerprint` is its identity."""

    name: str
    weights: str
    random: bool
    seed: int
    scaling: str
    precision: str
    fingerprint: str

    @classmethod
    def unknown(cls, experiment: Experiment) -> TrunkSpec:
        """The trunk of an experiment whose weights are not here: enough for a plan, since no artefact has its fingerprint."""
        t = experiment.trunk
        return cls(t.name, t.weights, t.random, t.seed, t.scaling, t.precision, "weights not here")

    @classmethod
    def of(cls, experiment: Experiment) -> TrunkSpec:
        """The trunk of an experiment. Raises painmodels.trunks.trunk.WeightsMissing if its weights are not here."""
        t = experiment.trunk
        options: dict[str, Any] = {
            "random": t.random,
            "seed": t.seed,
            "scaling": t.scaling or None,
            "precision": t.precision,
        }
        mark = trunk_fingerprint(t.name, weights=Path(t.weights) if t.weights else None, **options)
        return cls(t.name, t.weights, t.random, t.seed, t.scaling, t.precision, mark)

    def load(self) -> Trunk:
        """The trunk, read once per process."""
        if self not in _LOADED:
            _LOADED[self] = load_trunk(
                self.name,
                weights=Path(self.weights) if self.weights else None,
                random=self.random,
                seed=self.seed,
                scaling=self.scaling or None,
                precision=self.precision,
            )
        return _LOADED[self]

    def slower(self) -> str:
        """A sentence where this trunk is slower on this machine's processor than in float32; empty otherwise."""
        if self.precision != "bfloat16":
            return ""
        return bfloat16.warning(self.load(), replace(self, precision="float32").load)

    def adopt(self, shared: Shared) -> None:
        """Take the trunk from another process instead of loading it."""
        scaling = self.scaling or backbone(self.name).scalings[0]
        _LOADED[self] = trunk_from_shared(self.name, shared, scaling=scaling, precision=self.precision)


_LOADED: dict[TrunkSpec, Trunk] = {}


@dataclass(frozen=True)
class VideoJob:
    """One trial's video: `track` and `stage` are the artefacts of its face track and of its features."""

    trial: Trial
    settings: faces.FaceSettings
    trunk: TrunkSpec
    clock_hz: float
    n_steps: int
    track: Stage
    stage: Stage


@dataclass(frozen=True)
class SignalsJob:
    """All trials of one subject that have signals. `dataset` is the name of the reader, `channels` are those to prepare.

    `keys`: trial id -> what its signals are made of, whichever channels and other trials are prepared beside them.
    """

    subject: str
    trials: tuple[Trial, ...]
    dataset: str
    channels: tuple[str, ...]
    keys: Mapping[str, str] = field(hash=False)
    stage: Stage


@dataclass(frozen=True)
class SignalsBlock:
    """Prepared signals of one subject: x (N, n_steps, C) float32 of `trial_ids`, and the trials that could not be read."""

    x_NTC: np.ndarray
    trial_ids: tuple[str, ...]
    defects: tuple[Defect, ...]


def video_job(trial: Trial, mark: str, *, settings: faces.FaceSettings, trunk: TrunkSpec, dataset: DataSet) -> VideoJob:
    """The job for a trial whose video file has the content hash `mark`."""
    clock = {"clock_hz": dataset.clock_hz, "n_steps": dataset.n_steps}
    every = asdict(settings)
    tracking = {k: v for k, v in every.items() if k not in CROP_SETTINGS}
    track = Stage("faces", faces.TRACK_VERSION, {**clock, **tracking}, (mark,))
    cropping = {**{k: every[k] for k in CROP_SETTINGS}, "crop_version": faces.VERSION}
    stage = Stage("features", FEATURES_VERSION, {**cropping, "trunk": trunk.fingerprint}, (track.key,))
    return VideoJob(trial, settings, trunk, dataset.clock_hz, dataset.n_steps, track, stage)


def signals_job(subject: str, trials: tuple[Trial, ...], marks: Mapping[str, str], dataset: DataSet) -> SignalsJob:
    """The job for a subject's trials, on the channels of `dataset`; `marks` are the content hashes of their signal files."""
    reader = {"dataset": dataset.name, "reader_version": dataset.version}
    read = {**reader, "clock_hz": dataset.clock_hz, "n_steps": dataset.n_steps}
    keys = {t.trial_id: digest([SIGNALS_VERSION, read, t.start_s, marks[t.signals or ""]]) for t in trials}
    params = {**read, "channels": list(dataset.channels), "trials": [[t.trial_id, keys[t.trial_id]] for t in trials]}
    stage = Stage("signals", SIGNALS_VERSION, params)
    return SignalsJob(subject, trials, dataset.name, dataset.channels, keys, stage)


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
    reader = replace(dataset_named(job.dataset), channels=job.channels)
    x_NTC, ids, defects = prepare_signals(job.trials, reader, on_read=odd)
    facts = {"subject": job.subject, "trial_ids": list(ids), "seconds": round(time.monotonic() - started, 3)}
    facts["quarantined"], facts["odd"] = {d.trial_id: d.reason for d in defects}, odd.found
    store.write(job.stage, {"x": x_NTC}, facts)
    return SignalsBlock(x_NTC, tuple(ids), tuple(defects))


def stored_defects(job: SignalsJob, facts: Mapping[str, Any]) -> tuple[Defect, ...]:
    """The trials that could not be used when a subject's signals were stored."""
    of = {t.trial_id: t for t in job.trials}
    reasons: Mapping[str, str] = facts.get("quarantined", {})
    return tuple(Defect(t, of[t].subject, "signals", str(of[t].signals), reason) for t, reason in reasons.items() if t in of)


def quarantine(job: VideoJob) -> Stage:
    """Where it is kept that a video cannot be used: under its content and what read it, so that either's change tries again."""
    reader = {"decoder": f"{job.settings.decoder} {DECODER_VERSIONS[job.settings.decoder]}", "clock_hz": job.clock_hz}
    return Stage("quarantine", QUARANTINE_VERSION, {**reader, "n_steps": job.n_steps}, (job.track.key,))


def video_defect(job: VideoJob, reason: str) -> Defect:
    """The defect of a video that cannot be used."""
    return Defect(job.trial.trial_id, job.trial.subject, "video", str(job.trial.video), reason)


def put_aside(job: VideoJob, store: Store, reason: str) -> Defect:
    """Keep the verdict on a video, so that no later run decodes it again."""
    facts = {"subject": job.trial.subject, "trial_id": job.trial.trial_id, "reason": reason}
    store.write(quarantine(job), {}, facts)
    return video_defect(job, reason)


def known_defects(videos: Iterable[VideoJob], signals: Iterable[SignalsJob], store: Store) -> list[Defect]:
    """The recordings that earlier runs put aside, by reading manifests alone."""
    there, blocks = store.keys("quarantine"), store.keys("signals")
    found = [video_defect(v, store.facts(quarantine(v))["reason"]) for v in videos if there and quarantine(v).key in there]
    for job in signals:
        if job.stage.key in blocks:
            found += stored_defects(job, store.facts(job.stage))
    return found
