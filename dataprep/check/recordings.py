"""Measures each recording of a data set with the code that prepares it, and lists the problems.

A `Finding` is `unusable` where the grid would quarantine the recording for the same reason, else something to look at:
the recording is used as it is. Kinds: index (a row that cannot be used), missing, unreadable, no-face, not-finite,
no-value (empty or NA fields), flat;
to look at: length (longer than a trial), gap (frames missing or without a face, bridged), faces (several people), clipped, frozen
or spikes (a channel), tilted, turned or upside-down (a face), interlaced, duplicate (two files of the same bytes), orphan (a file
that no trial names).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from dataprep import faces, file_names, storage
from dataprep.check import oddities
from dataprep.manifest.other_signals import Look, look
from dataprep.manifest.table import NAMES as TABLES
from dataprep.records import DataSet, Defect, RecordingError, Trial
from dataprep.signals.files import NoValueError, on_clock
from dataprep.storage import place
from dataprep.video import decode
from dataprep.video.face_tracking import FaceLostError

THUMBNAIL_PX = 112
CLIPPED_SHARE = 0.05  # of the samples, at the minimum or maximum, in runs of CLIPPED_RUN or more
CLIPPED_RUN = 3


@dataclass(frozen=True)
class Finding:
    """One thing wrong or odd. `part`: index, video or signals; `trial_id` is '' where it concerns no single trial."""

    trial_id: str
    subject: str
    part: str
    kind: str
    unusable: bool
    file: str
    reason: str


@dataclass(frozen=True)
class VideoFacts:
    """`frames` counted by decoding, or by the header of a sound file; `face_share` of them with a face, -1 if not known."""

    frames: int
    rate_hz: float
    width: int
    height: int
    interlaced: bool = False
    face_share: float = -1.0
    faces: int = 0


@dataclass(frozen=True)
class ChannelFacts:
    """One channel of one trial, at its native rate. `clipped` is a share of the samples."""

    rows: int
    rate_hz: float
    nan: int
    infinite: int
    flat: bool
    clipped: float


@dataclass(frozen=True)
class TrialFacts:
    """A trial measured. `thumbnail_HWC` is the face in the middle of the clip, `x_TC` the signals on the clock, `looks` what each
    channel looks like."""

    trial: Trial
    video: VideoFacts | None = None
    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    thumbnail_HWC: np.ndarray | None = None
    x_TC: np.ndarray | None = None
    looks: Mapping[str, Look] = field(default_factory=dict)

    def usable(self, part: str) -> bool:
        """Whether the grid could use this part ('video' or 'signals') of the trial."""
        there = self.trial.video if part == "video" else self.trial.signals
        return there is not None and not any(f.unusable and f.part == part for f in self.findings)


def measure(trial: Trial, dataset: DataSet, settings: faces.FaceSettings) -> TrialFacts:
    """Read one trial's recordings whole. Bad input becomes a finding; nothing is raised for it."""
    facts = TrialFacts(trial)
    if trial.video:
        facts = _with_video(facts, trial.video, dataset, settings)
    if trial.signals:
        facts = _with_signals(facts, trial.signals, dataset)
    return facts


def _with_video(facts: TrialFacts, file: str, dataset: DataSet, settings: faces.FaceSettings) -> TrialFacts:
    found: list[Finding] = []
    middle: list[np.ndarray] = []
    seen = 0

    def keep(crops_BHWC: np.ndarray) -> None:
        nonlocal seen
        if seen <= dataset.n_steps // 2 < seen + len(crops_BHWC):
            crop = crops_BHWC[dataset.n_steps // 2 - seen]
            middle.append(cv2.resize(crop, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA))
        seen += len(crops_BHWC)

    part = facts.trial.video_part
    clock: dict[str, Any] = {"clock_hz": dataset.clock_hz, "n_steps": dataset.n_steps, "part": part}
    clock["frames_hz"] = facts.trial.frames_hz
    track = None
    try:
        track = faces.prepare_video(file, settings, on_crops=keep, **clock)
    except FaceLostError as lost:
        found.append(_finding(facts.trial, "video", "no-face", file, str(lost)))
        with suppress(FaceLostError):  # once more without a limit on gaps: how much of the face there is
            track = faces.prepare_video(file, replace(settings, max_gap_s=1e6), **clock)
    except (RecordingError, OSError) as error:
        found.append(_finding(facts.trial, "video", "unreadable", file, str(error)))
    seen_faces = {"face_share": 0.0} if found and found[0].kind == "no-face" else {}
    if track is not None:
        gaps = int(np.count_nonzero(track.scores_T == 0))
        seen_faces = {"face_share": 1 - gaps / len(track), "faces": int(track.n_faces_T.max())}
        if gaps and not found:
            reason = f"{file}: found no face in {gaps} of {len(track)} frames; neighbouring boxes are used"
            found.append(_finding(facts.trial, "video", "gap", file, reason, unusable=False))
        if seen_faces["faces"] > 1:
            reason = f"{file}: found {seen_faces['faces']} faces; the largest is followed"
            found.append(_finding(facts.trial, "video", "faces", file, reason, unusable=False))
        if not found or not found[0].unusable:
            for kind, sentence in oddities.of_track(track, dataset.clock_hz):
                found.append(_finding(facts.trial, "video", kind, file, f"{file}: {sentence}", unusable=False))
    counted = bool(found) and part is None  # of a long video the header is believed
    read, said = _file_facts(file, settings, facts.trial, fills_s=dataset.n_steps / dataset.clock_hz, count=counted)
    about = replace(read, **seen_faces)  # type: ignore[arg-type]
    found += [_finding(facts.trial, "video", "gap", file, f"{file}: {s}", unusable=False) for s in said]
    whole = part is None and facts.trial.frames_hz != 0
    if whole and about.frames > dataset.n_steps + 1 and not any(f.unusable for f in found):
        reason = f"{file}: found {about.frames} frames, expected {dataset.n_steps}; those after the trial are not used"
        found.append(_finding(facts.trial, "video", "length", file, reason, unusable=False))
    if about.interlaced:
        reason = f"{file}: is stored interlaced; its rows are used as they are, so that what moves is seen twice"
        found.append(_finding(facts.trial, "video", "interlaced", file, reason, unusable=False))
    thumbnail = middle[0] if middle and not any(f.unusable for f in found) else None
    return replace(facts, video=about, findings=(*facts.findings, *found), thumbnail_HWC=thumbnail)


def _file_facts(
    file: str, settings: faces.FaceSettings, trial: Trial, *, fills_s: float, count: bool
) -> tuple[VideoFacts, tuple[str, ...]]:
    """The facts of the file's header, and what is odd of it; with `count`, or if the header lacks them, frames are counted."""
    n = width = height = 0
    rate_hz, interlaced = 0.0, False
    said: tuple[str, ...] = ()
    try:
        opened = decode.open_video(file, stream=settings.stream, frames_hz=trial.frames_hz, fills_s=fills_s)
        rate_hz, said = opened.rate_hz, opened.said
        for frame in opened.frames:
            n, width, height, interlaced = n + 1, frame.width, frame.height, interlaced or frame.interlaced
            if not count and opened.declared:
                return VideoFacts(
                    frames=opened.declared, rate_hz=rate_hz, width=width, height=height, interlaced=interlaced
                ), said
    except (RecordingError, OSError):
        pass  # the finding says why already
    return VideoFacts(frames=n, rate_hz=rate_hz, width=width, height=height, interlaced=interlaced), said


def _with_signals(facts: TrialFacts, file: str, dataset: DataSet) -> TrialFacts:
    found: list[Finding] = []
    channels: dict[str, ChannelFacts] = {}
    x_TC = None
    read: Mapping[str, tuple[np.ndarray, float]] = {}
    try:
        read = dataset.read_signals(facts.trial)
        channels = {name: channel_facts(values, rate_hz) for name, (values, rate_hz) in read.items()}
        x_TC = on_clock(read, facts.trial, dataset)
    except (RecordingError, OSError) as error:
        kind = "not-finite" if any(c.nan or c.infinite for c in channels.values()) else "unreadable"
        kind = "no-value" if isinstance(error, NoValueError) else kind
        kind = "flat" if kind == "unreadable" and any(c.flat for c in channels.values()) else kind
        found.append(_finding(facts.trial, "signals", kind, file, str(error)))
    for name, (values, rate_hz) in read.items() if not found else ():
        for kind, sentence in oddities.of_channel(values, rate_hz):
            reason = f"{file}: channel {name!r}: {sentence}"
            found.append(_finding(facts.trial, "signals", kind, file, reason, unusable=False))
    for name, c in channels.items():
        if c.clipped >= CLIPPED_SHARE and not any(f.unusable for f in found):
            reason = f"{file}: channel {name!r}: found {c.clipped:.0%} of the samples stuck at the minimum or maximum"
            found.append(_finding(facts.trial, "signals", "clipped", file, reason, unusable=False))
    looks = {name: look(values, rate_hz) for name, (values, rate_hz) in read.items()} if x_TC is not None else {}
    return replace(facts, channels=channels, findings=(*facts.findings, *found), x_TC=x_TC, looks=looks)


def channel_facts(values: np.ndarray, rate_hz: float) -> ChannelFacts:
    """Facts of one channel's (n,) samples."""
    x = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(x)
    flat = bool(len(x) > 1 and finite.all() and x.min() == x.max())
    clipped = 0.0
    if finite.all() and len(x) and not flat:
        stuck = (np.diff(x) == 0) & ((x[1:] == x.min()) | (x[1:] == x.max()))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], stuck, [0]])))
        runs = edges[1::2] - edges[::2] + 1  # samples, one more than the differences
        clipped = float(runs[runs >= CLIPPED_RUN].sum() / len(x))
    return ChannelFacts(
        rows=len(x), rate_hz=rate_hz, nan=int(np.isnan(x).sum()), infinite=int(np.isinf(x).sum()), flat=flat, clipped=clipped
    )


def _finding(trial: Trial | Defect, part: str, kind: str, file: str, reason: str, *, unusable: bool = True) -> Finding:
    return Finding(
        trial_id=trial.trial_id, subject=trial.subject, part=part, kind=kind, unusable=unusable, file=file, reason=reason
    )


def of_defects(defects: Iterable[Defect]) -> list[Finding]:
    """The defects that the data set's reader reported, as findings."""
    return [_finding(d, d.part, "index" if d.part == "index" else "missing", d.file, d.reason) for d in defects]


def of_files(
    trials: Sequence[Trial], used: Sequence[Trial], defects: Iterable[Defect], *, within: storage.Place
) -> list[Finding]:
    """Duplicates among the files of the trials `used`, and unreferenced files beside those of all `trials`. Raises OSError.

    `within`: the data set's folder; what lies above it is nobody's business.
    """
    named = {d.file for d in defects} | {file for t in trials for file in t.more_signals}
    named |= {t.video for t in trials if t.video}  # a folder of pictures names all of them
    duplicates: list[Finding] = []
    unreferenced: list[Finding] = []
    for part in ("video", "signals"):
        files = {f: t for t in trials if (f := getattr(t, part))}
        if not files:
            continue
        root = storage.common(files)
        if len({place(f).parent for f in files}) == 1 and f"{root.parent}/".startswith(f"{within.absolute()}/"):
            root = root.parent  # a single subject: look beside it too
        present = {
            f: size
            for f, size in storage.below(root).items()
            if not any(map(file_names.is_shadow, _below(root, f).split("/")))
        }
        duplicates += _duplicates({f: t for t in used if (f := getattr(t, part)) in present}, present, part)
        unreferenced += _unreferenced(files, present, named, part)
    return duplicates + unreferenced


def _below(root: storage.Place, file: str) -> str:
    return file.removeprefix(str(root)).replace(os.sep, "/").lstrip("/")


def _duplicates(files: Mapping[str, Trial], sizes: Mapping[str, int], part: str) -> list[Finding]:
    """Files with the same bytes as the file of an earlier trial. Only files of equal size are read."""
    found = []
    by_size: dict[int, list[str]] = defaultdict(list)
    for file in files:
        by_size[sizes[file]].append(file)
    for size, alike in by_size.items():
        first: dict[str, str] = {}
        for file in alike if size and len(alike) > 1 else ():
            twin = first.setdefault(storage.digest(file), file)
            if twin != file:
                reason = f"{file}: found the very bytes of {twin}, expected a recording of its own"
                found.append(_finding(files[file], part, "duplicate", file, reason, unusable=False))
    return found


def _unreferenced(files: Mapping[str, Trial], present: Iterable[str], named: Set[str], part: str) -> list[Finding]:
    """Files in the folders of the trials, with names of that kind, that no trial and no defect refers to."""
    endings = tuple({_ending(place(f).name, t.trial_id) for f, t in files.items() if f in present})
    found = []
    for file in present:
        folder = place(file).parent
        if place(file).name in TABLES or not file.casefold().endswith(endings):
            continue
        if file not in files and file not in named and str(folder) not in named:
            reason = f"{file}: no usable row of the index names this file"
            found.append(
                Finding(trial_id="", subject=folder.name, part=part, kind="orphan", unusable=False, file=file, reason=reason)
            )
    return found


def _ending(name: str, trial_id: str) -> str:
    """What follows the trial's id in the name of its file; where that is another name, what follows the last dot."""
    return (name[len(trial_id) :] if name.startswith(trial_id) else name[name.rfind(".") :]).casefold()
