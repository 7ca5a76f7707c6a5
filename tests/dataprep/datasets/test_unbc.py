"""UNBC-McMaster: a tree of folders of frames with labels of sequences and frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dataprep.check.recordings import measure, of_files
from dataprep.datasets import opened, recognise
from dataprep.datasets.unbc import DATASET
from dataprep.faces import FaceSettings
from dataprep.records import InputError, RecordingError
from dataprep.video.decode import open_video, steps
from grid.experiment import config
from grid.plan.inventory import read_inventory, task_of
from grid.run.transfer import transfer
from tests.dataprep.datasets.trees import unbc

PEOPLE = {"042-ll042": [0, 3, 1], "043-jh043": [0, 5]}


def test_a_sequence_is_a_trial_with_its_rating_and_its_scales(tmp_path: Path) -> None:
    unbc(tmp_path, people=PEOPLE, frames=50)
    assert recognise(tmp_path).name == "unbc"
    trials, defects = DATASET.read_trials(tmp_path)
    assert defects == ()
    assert [(t.trial_id, t.subject, t.class_name) for t in trials] == [
        ("042-ll042-ll042t0aaff", "042-ll042", "OPR0"),
        ("042-ll042-ll042t1aaff", "042-ll042", "OPR3"),
        ("042-ll042-ll042t2aaff", "042-ll042", "OPR1"),
        ("043-jh043-jh043t0aaff", "043-jh043", "OPR0"),
        ("043-jh043-jh043t1aaff", "043-jh043", "OPR5"),
    ]
    assert trials[1].columns == {"opr": "3", "vas": "6", "sen": "3", "aff": "3", "pspi_max": "4"}
    for trial in trials:  # all frames of a sequence, whatever their number, are those of the 120 steps
        video = open_video(trial.video, frames_hz=trial.frames_hz, fills_s=4.8)
        seen = [int(f.planes[0][0, 0, 0]) for f in steps(video, clock_hz=25.0, n_steps=120)]
        assert (seen[0], seen[-1], len(set(seen))) == (0, video.declared - 1, video.declared)


def test_the_default_task_tells_no_pain_from_three_and_above_and_levels_and_scales_can_be_learnt(tmp_path: Path) -> None:
    unbc(tmp_path, people=PEOPLE, frames=3)
    every = tuple(DATASET.classes.values())
    for task, expected in (
        ({}, [0, 1, 0, 1]),
        ({"kind": "ordinal", "classes": every}, [0, 3, 1, 0, 5]),
        ({"kind": "regression", "classes": every, "column": "vas", "range": (0, 10)}, [0, 0.6, 0.2, 0, 1]),
    ):
        experiment = config.load("paper", task=task)
        found = read_inventory(tmp_path, experiment, rows=["video:rf"], scenarios=["all87"], memory=tmp_path / "memory.json")
        assert found.index.labels == pytest.approx(expected)
        assert {job.trial.frames_hz for job in found.videos} <= {0.0}
    assert task_of(config.load("paper"), DATASET)[0].names == ("OPR0", "OPR3+OPR4+OPR5")


def test_copies_within_folders_of_the_same_name_are_read_and_faults_are_told(tmp_path: Path) -> None:
    unbc(tmp_path, people=PEOPLE, frames=3)
    expected = [(t.trial_id, t.columns) for t in DATASET.read_trials(tmp_path)[0]]
    for name in ("Images", "Sequence_Labels", "Frame_Labels"):
        shutil.move(tmp_path / name, tmp_path / "aside")
        shutil.move(tmp_path / "aside", tmp_path / name / name)
    trials, defects = DATASET.read_trials(tmp_path)
    assert ([(t.trial_id, t.columns) for t in trials], defects) == (expected, ())
    labels = tmp_path / "Sequence_Labels" / "Sequence_Labels"
    (labels / "OPR" / "042-ll042" / "ll042t0aaff.txt").unlink()
    (labels / "OPR" / "042-ll042" / "ll042t1aaff.txt").write_text("7\r\n")
    (labels / "VAS" / "043-jh043" / "jh043t0aaff.txt").write_text("ill\n")
    frames = tmp_path / "Images" / "Images"
    next((frames / "042-ll042" / "ll042t2aaff").iterdir()).unlink()
    for picture in (frames / "043-jh043" / "jh043t1aaff").iterdir():
        picture.unlink()
    trials, defects = DATASET.read_trials(tmp_path)
    assert [(t.trial_id, sorted(t.columns)) for t in trials] == [
        ("042-ll042-ll042t2aaff", ["aff", "opr", "sen", "vas"]),
        ("043-jh043-jh043t0aaff", ["aff", "opr", "pspi_max", "sen"]),
    ]
    told = "\n".join(d.reason for d in defects)
    for words in (
        "found no rating OPR, expected Sequence_Labels/OPR/042-ll042/ll042t0aaff.txt",
        "ll042t1aaff.txt: found 7, expected a whole number from 0 to 5",
        "jh043t0aaff.txt: found 'ill', expected one number",
        "found 5 labels of 4 pictures",
        "jh043t1aaff: found no picture, expected the frames",
    ):
        assert words in told
    with pytest.raises(InputError, match="expected Images/<subject>"):
        DATASET.read_trials(tmp_path / "Images")
    with pytest.raises(RecordingError, match="no body signals"):
        DATASET.read_signals(trials[0])


def test_check_reads_folders_of_pictures_as_the_grid_does(tmp_path: Path) -> None:
    unbc(tmp_path, people={"042-ll042": [5]}, frames=50, faces=True)
    next((tmp_path / "Images" / "042-ll042" / "ll042t0aaff").glob("*005.png")).unlink()
    trials, _ = DATASET.read_trials(tmp_path)
    facts = measure(trials[0], DATASET, FaceSettings())
    assert facts.video is not None
    assert (facts.video.frames, facts.video.width, facts.video.face_share) == (50, 320, 1.0)
    (gap,) = (f for f in facts.findings if f.kind == "gap")
    assert "1 of 50 pictures are missing by their numbers, the first after ll042t0aaff004.png" in gap.reason
    assert facts.usable("video")
    assert of_files(trials, trials, [], within=tmp_path) == []  # no picture is an orphan


def test_a_data_set_of_frames_and_one_of_another_rate_are_read_as_one(tmp_path: Path) -> None:
    unbc(tmp_path / "a", people={"042-ll042": [0, 3, 1]}, frames=3)
    unbc(tmp_path / "b" / "raw", people={"047-jl047": [0, 5]}, frames=3)
    rows = (f"{n},p1,{label},raw/Images/047-jl047/jl047t{n}aaff\n" for n, label in enumerate(("none", "pain")))
    (tmp_path / "b" / "manifest.csv").write_text("trial,subject,label,video\n" + "".join(rows))
    settings = 'name = "b"\n[window]\nlength_s = 2.4\n[classes]\norder = ["none", "pain"]\n[files]\nframes_hz = 25\n'
    (tmp_path / "b" / "dataset.toml").write_text(settings)
    both = opened(transfer([tmp_path / "a"], [tmp_path / "b"]).write(tmp_path, plan=False))
    trials, _ = both.read_trials(tmp_path)
    assert [(t.subject, t.class_name, t.frames_hz) for t in trials] == [
        ("unbc:042-ll042", "no pain", 0.0),
        ("unbc:042-ll042", "pain", 0.0),
        ("b:p1", "no pain", 25.0),
        ("b:p1", "pain", 25.0),
    ]
    assert (both.n_steps, both.clock_hz) == (60, 25)
