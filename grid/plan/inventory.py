"""What there is to work on: a data set read, its recordings hashed, the jobs of its preparation, and what is missing.

An inventory reads names and bytes but decodes nothing; it imports neither Ray nor MLflow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataprep.datasets import opened
from dataprep.exclusions import Exclusion, excluded
from dataprep.recordings import recording, recordings
from dataprep.recordings.kind import SIGNALS as SIGNALS_FILE
from dataprep.recordings.kind import VIDEO, Facts
from dataprep.records import DataSet, Defect, InputError, SampleIndex, Trial
from dataprep.signals.derived import VERSION as DERIVED_VERSION
from dataprep.signals.derived import source, with_channels
from dataprep.storage import Place
from grid.experiment.cells import SIGNALS, Row, channel_of, row
from grid.experiment.config import Experiment
from grid.experiment.scenarios import scenario_index
from grid.plan import preparation
from grid.plan.controls import controls
from grid.plan.nodes import graph
from grid.plan.specs import Inputs
from grid.store.content_hashes import fingerprints
from grid.store.identity import Stage, digest
from painmodels.tasks import Task, task
from painmodels.trunks.backbones import backbone
from painmodels.trunks.weight_cache import WeightsMissing


@dataclass
class Inventory:
    """One data set as an experiment sees it. `videos` and `signals` are the jobs that the wanted rows need, `wanted`
    the kinds of recording that these take.

    `learns` is the task on the names of its classes. `defects` are
    recordings known to be unusable, `excluded` those left out by hand.
    `dataset` has the channels alone that these rows use, in the data set's order; trials are in the order of subjects and ids,
    however the data set lists them. `session`: trial id -> its number in the person's session, from 1, and the class of the trial
    before it, where the data set tells the order in time. `fingerprint` is of all recordings of the task's classes, whatever
    the rows use of them.
    """

    dataset: DataSet
    path: Place
    index: SampleIndex
    fingerprint: str
    learns: Task
    defects: list[Defect] = field(default_factory=list)
    excluded: list[Defect] = field(default_factory=list)
    wanted: tuple[str, ...] = ()
    videos: list[preparation.VideoJob] = field(default_factory=list)
    signals: list[preparation.SignalsJob] = field(default_factory=list)
    trunk: preparation.TrunkSpec | None = None
    missing: str = ""
    controls: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    session: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def targets(self) -> dict[str, float]:
        """Trial id -> what is learnt of it: in a task of classes the label of its class."""
        return dict(zip(self.index.trial_ids, self.index.labels, strict=True))

    def inputs(self, broken: Iterable[Defect] = ()) -> Inputs:
        """The usable recordings, those of `broken` and those left out by hand apart. A signal is judged by its own channel."""
        defects = (*broken, *self.excluded)
        bad = {(d.trial_id, d.part) for d in defects if not d.channels}
        flawed = {(d.trial_id, channel) for d in defects for channel in d.channels}
        keys: dict[str, dict[str, str]] = {"video": {}}
        for kind in self.wanted:
            keys["video" if kind == "features" else kind] = self._keys_of(kind, bad)
        signals = {t: key for s in self.signals for t, key in s.keys.items() if (t, "signals") not in bad}
        words = {**{c: c for c in self.dataset.channels}, **{w: channel_of(w, self.dataset.channels) for w in SIGNALS}}
        usable = {w: {t: key for t, key in signals.items() if (t, c) not in flawed} for w, c in words.items()}
        for channel, of in self.dataset.derived.items():
            usable[channel] = {t: digest([key, channel, of, DERIVED_VERSION]) for t, key in usable[channel].items()}
        return Inputs(self.index, {**keys, **usable, **self.controls})

    @property
    def prepared(self) -> dict[str, list[Stage]]:
        """Kind of recording -> the artefacts that hold what the wanted rows take; `faces` only where nothing else needs it."""
        found: dict[str, list[Stage]] = {}
        jobs: list[preparation.VideoJob | preparation.SignalsJob] = [*self.videos, *self.signals]
        for job in jobs:
            for stage in job.stages:
                found.setdefault(stage.name, []).append(stage)
        return found

    @property
    def shape_facts(self) -> Facts:
        """What the shape of a recording may depend on, but for the rate of a channel."""
        width = backbone(self.trunk.name).feature_size if self.trunk else 0
        facts = Facts(clock_hz=self.dataset.clock_hz, n_steps=self.dataset.n_steps, trunk_width=width)
        return replace(facts, faces=self.videos[0].settings) if self.videos else facts

    def _keys_of(self, name: str, bad: Collection[tuple[str, str]]) -> dict[str, str]:
        """Trial id -> the key of its recording of a kind, of the trials where the file that it is made of can be used."""
        kind = recording(name)
        if kind.of == VIDEO:
            videos = [v for v in self.videos if (v.trial.trial_id, VIDEO) not in bad]
            if kind.of_video:
                return {v.trial.trial_id: v.made[name].key for v in videos}
            return {v.trial.trial_id: digest([name, kind.version, v.track.key]) for v in videos}
        if not kind.of_channel:
            return {}
        return {t: key for s in self.signals for t, key in s.keys_of(name).items() if (t, SIGNALS_FILE) not in bad}


def open_data(path: Place, name: str | None = None) -> DataSet:
    """The data set of a folder, recognised or read as the one of that name. Raises InputError."""
    if not path.exists():
        raise InputError(f"{path}: there is no such folder; expected a data set (see README, 'Your own data')")
    return opened(path, name)


def read_inventory(
    path: Place,
    experiment: Experiment,
    *,
    rows: Iterable[str],
    scenarios: Iterable[str],
    memory: Path,
    dataset: str | None = None,
    exclude: Sequence[Exclusion] = (),
    on_progress: Callable[[int, int], None] | None = None,
    plan_only: bool = False,
) -> Inventory:
    """Read the data set at `path`. `memory` keeps file hashes; `on_progress` is called with (files hashed, files to hash).

    `plan_only`: the trunk's weights need not be here; `missing` says then how to get them. Raises InputError if the data set
    cannot be read at all.
    """
    reader = open_data(path, dataset)
    trials, found = reader.read_trials(path)
    learns, places = task_of(experiment, reader)
    targets = {t.trial_id: learns.target(places[t.class_id], t.columns) for t in trials if t.class_id in places}
    of_classes = [t for t in trials if targets.get(t.trial_id) is not None]
    of_classes.sort(key=lambda t: (t.subject, t.trial_id))
    if not of_classes:
        lacking = f"{path}: found {len(trials)} trials, none of class {' or '.join(learns.names)}"
        columns = ", ".join(dict.fromkeys(name for t in trials for name in t.columns)) or "none"
        raise InputError(lacking + (f" with a value of {learns.wanting}; columns are: {columns}" if targets else ""))
    index = SampleIndex(*zip(*((t.trial_id, t.subject, targets[t.trial_id]) for t in of_classes), strict=True))
    asked = [row(name) for name in rows]
    parts = {part for r in asked for part in r.parts}
    used = {channel_of(signal, reader.channels) for r in asked for signal in r.signals}
    wanted = {kind for r in asked for node in graph(experiment, r) for kind in node.part.recordings}
    made = {c for c in used if c not in reader.channels and source(c, reader.channels)}
    reader = with_channels(reader, [*(c for c in reader.channels if c in used), *sorted(made)])
    defects = [d for d in found if d.part in {"index", *parts}]
    without = [t for t in trials if t.trial_id in targets and targets[t.trial_id] is None]
    defects += [
        Defect(
            trial_id=t.trial_id,
            subject=t.subject,
            part="index",
            file=str(path),
            reason=f"{path}: no value of {learns.wanting}",
        )
        for t in without
    ]
    members = _subjects_of(experiment, reader, index, scenarios)
    chosen = [t for t in of_classes if t.subject in members]
    files = [file for t in of_classes for file in (t.video, t.signals, *t.more_signals) if file]
    marks = fingerprints(files, memory, on_progress=on_progress)
    for t in chosen:
        for part, file in (("video", t.video), ("signals", t.signals)):
            if part in parts and file and file not in marks:
                defects.append(
                    Defect(trial_id=t.trial_id, subject=t.subject, part=part, file=file, reason=f"{file}: cannot be read")
                )
    facts = [
        [t.trial_id, t.class_id, *(marks.get(f or "", "") for f in (t.video, t.signals, *t.more_signals)), t.start_s]
        for t in of_classes
    ]
    content = digest([facts, dict(reader.description)] if reader.description else facts)
    by_hand = excluded(exclude, trials, parts)
    in_task = {t.trial_id for t in chosen}
    out = Inventory(
        dataset=reader,
        path=path,
        index=index,
        fingerprint=content,
        learns=learns,
        defects=defects,
        excluded=[d for d in by_hand if d.trial_id in in_task],
        controls=controls(trials),
        wanted=tuple(kind for kind in recordings() if kind in wanted),
    )
    out.session = sessions(trials, reader)
    with_video = [(t, marks[t.video]) for t in chosen if t.video in marks] if "video" in parts else []
    if with_video and any(recording(kind).trunk for kind in wanted):
        try:
            out.trunk = preparation.TrunkSpec.of(experiment)
        except WeightsMissing as error:
            said = f"{error}\n{_without_trunk(experiment, asked)}"
            if not plan_only:
                raise WeightsMissing(said) from None
            out.trunk, out.missing = preparation.TrunkSpec.unknown(experiment), said
    settings: Any = {"settings": experiment.face_settings, "trunk": out.trunk, "dataset": reader, "wanted": wanted}
    out.videos = [preparation.video_job(t, mark, **settings) for t, mark in with_video]
    if "signals" in parts:
        by_subject: dict[str, list[Trial]] = defaultdict(list)
        for t in chosen:
            if t.signals in marks:
                by_subject[t.subject].append(t)
        out.signals = [preparation.signals_job(s, tuple(ts), marks, reader, wanted) for s, ts in by_subject.items()]
    return out


def _without_trunk(experiment: Experiment, rows: Iterable[Row]) -> str:
    """The rows, of those asked for, that need no weights of a trunk."""
    free = [
        r.name for r in rows if not any(recording(k).trunk for node in graph(experiment, r) for k in node.part.recordings)
    ]
    if not free:
        return "Rows without video need none: --modalities eda, or another signal"
    return f"These rows need none: --modalities {','.join(free)}"


def sessions(trials: Iterable[Trial], reader: DataSet) -> dict[str, tuple[int, str]]:
    """Trial id -> its number in the person's session and the class before it; empty where the order is not told."""
    found: dict[str, tuple[int, str]] = {}
    if reader.time_order is None:
        return found
    of: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        of[trial.subject].append(trial)
    for mine in of.values():
        before = ""
        for place, trial in enumerate(sorted(mine, key=reader.time_order), 1):
            found[trial.trial_id] = (place, before)
            before = trial.class_name
    return found


def task_of(experiment: Experiment, reader: DataSet) -> tuple[Task, dict[int, int]]:
    """The task on the data set's classes, and the place of each class id in it. Raises InputError for an unknown name."""
    ids = {name: i for i, name in reader.classes.items()}
    names = experiment.task.classes or reader.two
    places: dict[int, int] = {}
    for place, name in enumerate(names):
        for part in [name] if name in ids else name.split("+"):
            if part not in ids:
                raise InputError(f"task.classes: found {part!r}, expected classes of {reader.name}: {', '.join(ids)}")
            if ids[part] in places:
                raise InputError(f"task.classes: found {part!r} twice, expected each class once")
            places[ids[part]] = place
    return task(experiment.task.kind, names, **experiment.task.options), places


def _subjects_of(experiment: Experiment, reader: DataSet, index: SampleIndex, scenarios: Iterable[str]) -> set[str]:
    """The subjects of any wanted scenario that the data set can serve."""
    wanted: set[str] = set()
    for name in scenarios:
        try:
            wanted.update(scenario_index(reader, index, experiment.scenario(name)).subjects)
        except ValueError:
            continue  # the plan gives the reason, cell by cell
    return wanted
