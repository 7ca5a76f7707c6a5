"""What is to be prepared: a job for each video and for each subject's signals, with the keys of what it makes.

Pure descriptions that travel to workers; grid.work.prepare does what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataprep import faces
from dataprep.records import DataSet, Trial
from grid.store.identity import Stage, digest
from grid.store.versions import version_of
from painmodels.trunks import bfloat16
from painmodels.trunks.backbones import backbone
from painmodels.trunks.trunk import Shared, Trunk, load_trunk, trunk_fingerprint, trunk_from_shared

if TYPE_CHECKING:
    from grid.experiment.config import Experiment

FEATURES_VERSION = 2
SIGNALS_VERSION = 5
QUARANTINE_VERSION = 1
DECODER_VERSIONS = {"pyav": version_of("av"), "decord": version_of("decord")}
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
    """All trials of one subject that have signals. `dataset` is the name of the reader and, of one that a table describes, its
    description; `channels` are those to prepare.

    `keys`: trial id -> what its signals are made of, whichever channels and other trials are prepared beside them.
    """

    subject: str
    trials: tuple[Trial, ...]
    dataset: tuple[str, Mapping[str, Any]] = field(hash=False)
    channels: tuple[str, ...]
    keys: Mapping[str, str] = field(hash=False)
    stage: Stage


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
    reader: dict[str, Any] = {"dataset": dataset.name, "reader_version": dataset.version}
    if dataset.description:
        reader["description"] = dict(dataset.description)
    read = {**reader, "clock_hz": dataset.clock_hz, "n_steps": dataset.n_steps}
    keys = {
        t.trial_id: digest(
            [SIGNALS_VERSION, read, t.start_s, marks[t.signals or ""], *(marks.get(f, "") for f in t.more_signals)]
        )
        for t in trials
    }
    params = {**read, "channels": list(dataset.channels), "trials": [[t.trial_id, keys[t.trial_id]] for t in trials]}
    stage = Stage("signals", SIGNALS_VERSION, params)
    return SignalsJob(subject, trials, (dataset.name, dataset.description), dataset.channels, keys, stage)


def quarantine(job: VideoJob) -> Stage:
    """Where it is kept that a video cannot be used: under its content and what read it, so that either's change tries again."""
    reader = {"decoder": f"{job.settings.decoder} {DECODER_VERSIONS[job.settings.decoder]}", "clock_hz": job.clock_hz}
    return Stage("quarantine", QUARANTINE_VERSION, {**reader, "n_steps": job.n_steps}, (job.track.key,))
