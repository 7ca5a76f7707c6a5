"""What is to be prepared: a job for each video and for each subject's signals, with the keys of what it makes.

Pure descriptions that travel to workers; grid.work.prepare does what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataprep import faces
from dataprep.recordings import recordings, stored
from dataprep.recordings.kind import SIGNALS, VIDEO
from dataprep.records import DataSet, Trial
from dataprep.signals.derived import VERSION as DERIVED_VERSION
from dataprep.video import picture_folders
from dataprep.video.picture_folders import PICTURES
from grid.store.identity import Stage, digest
from grid.store.versions import version_of
from painmodels.trunks import bfloat16
from painmodels.trunks.backbones import backbone
from painmodels.trunks.trunk import Shared, Trunk, load_trunk, trunk_fingerprint, trunk_from_shared

if TYPE_CHECKING:
    from grid.experiment.config import Experiment

SIGNALS_VERSION = 6
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
    """What is to be made of one trial's video, in one pass. `track`: the artefact of its face track, which is always made.

    `made`: kind of recording (dataprep/recordings/) -> its artefact. `trunk`: None where none of them needs it.
    """

    trial: Trial
    settings: faces.FaceSettings
    trunk: TrunkSpec | None
    clock_hz: float
    n_steps: int
    track: Stage
    made: Mapping[str, Stage] = field(hash=False)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The artefacts that are wanted of it: the track alone where nothing else is."""
        return tuple(self.made.values()) or (self.track,)

    @property
    def stage(self) -> Stage:
        """What the job is known by while it is worked on."""
        return self.stages[0]


@dataclass(frozen=True)
class SignalsJob:
    """All trials of one subject that have signals. `dataset` is the name of the reader and, of one that a table describes, its
    description; `channels` are those to prepare.

    `keys`: trial id -> what its signals are made of, whichever channels and other trials are prepared beside them.
    `stage`: the artefact of the signals on the clock; `made`: kind of recording -> that of what is made of each channel.
    """

    subject: str
    trials: tuple[Trial, ...]
    dataset: tuple[str, Mapping[str, Any]] = field(hash=False)
    channels: tuple[str, ...]
    keys: Mapping[str, str] = field(hash=False)
    stage: Stage
    made: Mapping[str, Stage] = field(default_factory=dict, hash=False)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All artefacts of it."""
        return (self.stage, *self.made.values())

    def keys_of(self, kind: str) -> dict[str, str]:
        """Trial id -> what its recording of a kind is made of."""
        return {t: digest([kind, self.made[kind].version, key]) for t, key in self.keys.items()}


def video_job(
    trial: Trial,
    mark: str,
    *,
    settings: faces.FaceSettings,
    trunk: TrunkSpec | None,
    dataset: DataSet,
    wanted: Iterable[str] = ("features",),
) -> VideoJob:
    """The job for a trial whose video file has the content hash `mark`, and for the kinds of recording that are wanted."""
    clock = {"clock_hz": dataset.clock_hz, "n_steps": dataset.n_steps}
    every = asdict(settings)
    of_kinds = {name for kind in recordings().values() for name in kind.settings}
    tracking = {k: v for k, v in every.items() if k not in CROP_SETTINGS and k not in of_kinds}
    if mark.startswith(PICTURES):
        tracking |= {"frames_hz": trial.frames_hz, "pictures_version": picture_folders.VERSION}
    part = {} if trial.video_start_s is None else {"start_s": trial.video_start_s}
    track = Stage(name="faces", version=faces.TRACK_VERSION, params={**clock, **part, **tracking}, inputs=(mark,))
    cropping = {**{k: every[k] for k in CROP_SETTINGS}, "crop_version": faces.VERSION}
    made = {}
    for kind in stored(wanted, VIDEO):
        of_trunk = {"trunk": trunk.fingerprint} if kind.trunk and trunk else {}
        own = {k: every[k] for k in kind.settings if every[k] != getattr(faces.FaceSettings, k)}
        params = {**cropping, **of_trunk, **own}
        made[kind.name] = Stage(name=kind.name, version=kind.version, params=params, inputs=(track.key,))
    return VideoJob(
        trial=trial,
        settings=settings,
        trunk=trunk,
        clock_hz=dataset.clock_hz,
        n_steps=dataset.n_steps,
        track=track,
        made=made,
    )


def signals_job(
    subject: str,
    trials: tuple[Trial, ...],
    marks: Mapping[str, str],
    dataset: DataSet,
    wanted: Iterable[str] = (),
) -> SignalsJob:
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
    if dataset.derived:
        params |= {"derived": dict(dataset.derived), "derived_version": DERIVED_VERSION}
    return SignalsJob(
        subject=subject,
        trials=trials,
        dataset=(dataset.name, dataset.description),
        channels=dataset.channels,
        keys=keys,
        stage=Stage("signals", SIGNALS_VERSION, params),
        made={kind.name: Stage(kind.name, kind.version, params) for kind in stored(wanted, SIGNALS)},
    )


def of_trials(videos: Iterable[VideoJob], signals: Iterable[SignalsJob]) -> dict[str, dict[str, Stage]]:
    """Kind of recording -> trial id -> the artefact that holds it; `faces` for the track."""
    found: dict[str, dict[str, Stage]] = {}
    for video in videos:
        for name, stage in {**video.made, "faces": video.track}.items():
            found.setdefault(name, {})[video.trial.trial_id] = stage
    for job in signals:
        for name, stage in job.made.items():
            found.setdefault(name, {}).update(dict.fromkeys(job.keys, stage))
    return found


def quarantine(job: VideoJob) -> Stage:
    """Where it is kept that a video cannot be used: under its content and what read it, so that either's change tries again."""
    reader = {"decoder": f"{job.settings.decoder} {DECODER_VERSIONS[job.settings.decoder]}", "clock_hz": job.clock_hz}
    return Stage(
        name="quarantine", version=QUARANTINE_VERSION, params={**reader, "n_steps": job.n_steps}, inputs=(job.track.key,)
    )
