"""A synthetic data set in BioVid's layout, for tests and trials without restricted recordings.

    python -m dataprep.synthetic OUT --subjects 20 --trials 2 --signal eda

writes OUT/starting_point/samples.csv, OUT/video/, OUT/biosignals_filtered/ and OUT/synthetic.json: the parameters, and the mark
by which the data are recognised as made up (dataprep/datasets/synthetic.py, which lists the people). About 20 of 87 show
hardly any pain in the face: the subset `expressive` is without them. One in twelve has skin that does not respond. `--signal`
says which channel carries the label; each of the others shows the pain of a class drawn at random, so that nothing but that
channel can tell the classes apart: not its look, not the order of the rows, not the files' sizes. In `video` the face turns
to pain after 2 s; in `face` it shows it throughout, for networks that see single frames. The same parameters give the same signal
files and pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from dataprep.datasets.biovid import CLASSES, COLUMNS, INDEX
from dataprep.datasets.synthetic import LOW_EXPRESSIVE, MARKER, SUBJECTS
from dataprep.program import program
from dataprep.records import InputError
from dataprep.synthetic import face, physiology

VERSION = 2  # of the generator: raised when the same parameters give other data
NON_RESPONDERS = 0.08  # share of subjects
CHANNELS = ("eda", "ecg", "emg", "video")  # the order seeds the channels: add at the end
SIGNALS: dict[str, tuple[str, ...]] = {  # option -> the channels that carry the label
    "all": CHANNELS,
    "eda": ("eda",),
    "ecg": ("ecg",),
    "video": ("video",),
    "face": ("video",),  # held from the first frame to the last: a cue that needs no time
    "none": (),
}
IDS = {name: i for i, name in CLASSES.items()}
Progress = Callable[[int, int], None]
PARTS = ("video", "biosignals_filtered")
"""The folders of recordings."""


@dataclass(frozen=True)
class Recording:
    """One trial to write. `number` is its place among the subject's trials, from 1."""

    subject: str
    responds: bool
    number: int
    class_name: str
    classes: tuple[str, ...]
    signal: str
    seed: int
    size: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.subject}-{self.class_name}-{self.number:03d}"

    def rng(self, *what: int) -> np.random.Generator:
        """Random numbers for a purpose. The class is no part of the seed."""
        return np.random.default_rng([self.seed, SUBJECTS.index(self.subject), *what])

    def channel(self, name: str) -> tuple[float, np.random.Generator]:
        """(the pain that this channel shows, 0 to 1; its random numbers)."""
        rng = self.rng(1, self.number, CHANNELS.index(name))
        drawn = self.classes[rng.integers(len(self.classes))]
        return IDS[self.class_name if name in SIGNALS[self.signal] else drawn] / max(CLASSES), rng


def write_synthetic(
    out: Path,
    *,
    subjects: int = 20,
    trials: int = 2,
    seed: int = 0,
    signal: str = "all",
    size: tuple[int, int] = (640, 480),
    classes: Sequence[str] = ("BL1", "PA4"),
    videos: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a data set of `subjects` x `classes` x `trials` recordings to `out`, a new or an empty folder.

    size      width and height of the frames in pixels, even, at least 160 x 120
    videos    False: signals alone, the same as beside videos; it takes a small part of the time
    jobs      processes that work side by side (None: one per core)
    progress  called with (recordings done, recordings in all) after each

    The folder appears complete, by one rename, or not at all. Raises ValueError for parameters and InputError for `out`.
    """
    _check(subjects=subjects, trials=trials, seed=seed, signal=signal, size=size, classes=classes)
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: found something there already, expected a new or empty folder")
    recordings = draw_recordings(
        pick_subjects(subjects), trials=trials, seed=seed, signal=signal, size=size, classes=tuple(classes)
    )
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    parameters = {"subjects": subjects, "trials": trials, "seed": seed, "signal": signal, "size": list(size)}
    parameters["classes"] = list(classes)
    try:
        _write_index(partial, recordings, parts=PARTS if videos else PARTS[1:])
        _write_all(recordings, partial, jobs=min(jobs or os.cpu_count() or 1, len(recordings)), progress=progress)
        _write_marker(partial, parameters)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_layout(out: Path, *, subjects: int, trials: int, seed: int = 0) -> None:
    """The index of such a data set with empty files as recordings: enough for a plan, and quickly written."""
    recordings = draw_recordings(
        pick_subjects(subjects), trials=trials, seed=seed, signal="none", size=(640, 480), classes=("BL1", "PA4")
    )
    _write_index(out, recordings, parts=PARTS)
    _write_marker(out, {"subjects": subjects, "trials": trials, "seed": seed})
    for r in recordings:
        _video_file(out, r).touch()
        _signal_file(out, r).touch()


def _write_marker(folder: Path, parameters: Mapping[str, object]) -> None:
    """The file by which the data are recognised as made up."""
    about = {"generator": "dataprep.synthetic", "version": VERSION, **parameters}
    (folder / MARKER).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _video_file(folder: Path, r: Recording) -> Path:
    return folder / "video" / r.subject / f"{r.name}.mp4"


def _signal_file(folder: Path, r: Recording) -> Path:
    return folder / "biosignals_filtered" / r.subject / f"{r.name}_bio.csv"


def _check(*, subjects: int, trials: int, seed: int, signal: str, size: tuple[int, int], classes: Sequence[str]) -> None:
    if not 1 <= subjects <= len(SUBJECTS):
        raise InputError(f"subjects: found {subjects}, expected 1 to {len(SUBJECTS)}, the names there are")
    if not 1 <= trials <= 199:
        raise InputError(f"trials: found {trials}, expected 1 to 199 for each class")
    if seed < 0:
        raise InputError(f"seed: found {seed}, expected 0 or more")
    if signal not in SIGNALS:
        raise InputError(f"signal: found {signal!r}, expected one of {', '.join(SIGNALS)}")
    if size[0] < 160 or size[1] < 120 or size[0] % 2 or size[1] % 2:
        raise InputError(f"size: found {size[0]}x{size[1]}, expected even numbers of at least 160x120")
    if not classes or len(set(classes)) < len(classes) or not set(classes) <= set(IDS):
        raise InputError(f"classes: found {', '.join(classes) or 'none'}, expected some of {', '.join(IDS)}, each once")


def pick_subjects(n: int) -> tuple[str, ...]:
    """`n` of the people, in their order, with the share of low-expressive ones that all 87 have (5 of 20)."""
    n_low = round(n * len(LOW_EXPRESSIVE) / len(SUBJECTS))
    groups = ([s for s in SUBJECTS if s in LOW_EXPRESSIVE], [s for s in SUBJECTS if s not in LOW_EXPRESSIVE])
    chosen = {g[i * len(g) // k] for g, k in zip(groups, (n_low, n - n_low), strict=True) for i in range(k)}
    return tuple(s for s in SUBJECTS if s in chosen)


def draw_recordings(
    names: Sequence[str], *, trials: int, seed: int, signal: str, size: tuple[int, int], classes: tuple[str, ...]
) -> list[Recording]:
    """All recordings by subject and number; a subject's classes come in random order."""
    rng = np.random.default_rng([seed, len(SUBJECTS)])
    non_responders = set(rng.permutation(len(names))[: int(NON_RESPONDERS * len(names))].tolist())
    return [
        Recording(
            subject=name,
            responds=i not in non_responders,
            number=number,
            class_name=str(class_name),
            classes=classes,
            signal=signal,
            seed=seed,
            size=size,
        )
        for i, name in enumerate(names)
        for number, class_name in enumerate(rng.permutation(list(classes) * trials), start=1)
    ]


def _write_index(folder: Path, recordings: Sequence[Recording], *, parts: Sequence[str]) -> None:
    lines = ["\t".join(COLUMNS)]
    for i, r in enumerate(recordings, start=1):
        row = (SUBJECTS.index(r.subject) + 1, r.subject, IDS[r.class_name], r.class_name, i, r.name)
        lines.append("\t".join(map(str, row)))
    (folder / INDEX).parent.mkdir(parents=True)
    (folder / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for part in parts:
        for subject in {r.subject for r in recordings}:
            (folder / part / subject).mkdir(parents=True)


def _write_all(recordings: Sequence[Recording], folder: Path, *, jobs: int, progress: Progress | None) -> None:
    report = progress or (lambda done, total: None)
    if jobs == 1:
        for done, recording in enumerate(recordings, start=1):
            _write_recording(recording, folder)
            report(done, len(recordings))
        return
    # A forked child of a process with threads may hang, so the workers start afresh; each keeps to one core.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        running = [pool.submit(_write_recording, recording, folder) for recording in recordings]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                report(done, len(recordings))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_recording(r: Recording, folder: Path) -> None:
    """The signal file and the video of one trial."""
    body = physiology.draw_body(r.rng(0, 0), responds=r.responds)
    person = face.draw_person(r.rng(0, 1), expressive=r.subject not in LOW_EXPRESSIVE)
    columns = {"time": np.round(physiology.TIME_S * 1e6)}
    for column, channel in (("gsr", "eda"), ("ecg", "ecg"), ("emg_trapezius", "emg")):
        level, rng = r.channel(channel)
        columns[column] = getattr(physiology, channel)(body, rng, level=level)
    for i, column in enumerate(("emg_corrugator", "emg_zygomaticus")):  # no use in Part A either
        columns[column] = physiology.emg(body, r.rng(2, r.number, i), level=0.0)
    table = np.stack(list(columns.values()), axis=1)
    np.savetxt(
        _signal_file(folder, r), table, fmt=["%d"] + ["%.6f"] * 5, delimiter="\t", header="\t".join(columns), comments=""
    )
    if not _video_file(folder, r).parent.exists():  # signals alone
        return
    level, rng = r.channel("video")
    frames = face.frames(person, rng, level=level, size=r.size, held=r.signal == "face")
    face.write_video(_video_file(folder, r), frames, rng=rng)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = "Write a made-up data set in BioVid's layout."
    p = argparse.ArgumentParser(prog=program("dataprep.synthetic"), description=about)
    p.add_argument("out", type=Path, metavar="OUT", help="the folder to write; must be new or empty")
    p.add_argument("--subjects", type=int, default=20, help="number of subjects, 1 to 87 (default %(default)s)")
    p.add_argument("--trials", type=int, default=2, help="trials per class and subject (default %(default)s)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--signal", choices=tuple(SIGNALS), default="all", help="which channel carries the label")
    p.add_argument("--size", type=_size, default=(640, 480), metavar="WxH", help="size of the frames (default 640x480)")
    p.add_argument("--classes", nargs="+", choices=tuple(IDS), default=["BL1", "PA4"])
    p.add_argument("--signals-only", dest="videos", action="store_false", help="write no videos")
    p.add_argument("--jobs", type=int, default=None, help="number of processes (default: one per core)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    p = parser()
    options = vars(p.parse_args(arguments))

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # here: workers need no terminal

    try:
        with Progress("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
            task = bar.add_task(f"Writing {options['out']}", total=None)
            write_synthetic(**options, progress=lambda done, total: bar.update(task, completed=done, total=total))
    except ValueError as e:
        p.error(str(e))
    return 0


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected WIDTHxHEIGHT such as 640x480")
    return int(width), int(height)
