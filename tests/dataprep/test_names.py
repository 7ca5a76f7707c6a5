"""Names of files and folders as people's systems write them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dataprep.check import command
from dataprep.check.recordings import of_files
from dataprep.datasets import recognise
from dataprep.datasets.biovid import CLASSES, DATASET, SUBJECTS
from dataprep.records import InputError
from painmodels.use.folders import recordings

HEADER = "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"


def tree(root: Path, *, video: str = "video", signals: str = "biosignals_filtered", subject: str = "{}") -> Path:
    rows = []
    for number, person in enumerate(SUBJECTS[:2], start=1):
        for class_id in (0, 4):
            trial = f"{person}-{CLASSES[class_id]}-{number:03d}"
            rows.append(f"{number}\t{person}\t{class_id}\t{CLASSES[class_id]}\t{number}\t{trial}")
            for folder, name in ((video, f"{trial}.mp4"), (signals, f"{trial}_bio.csv")):
                (root / folder / subject.format(person)).mkdir(parents=True, exist_ok=True)
                (root / folder / subject.format(person) / name).write_bytes(b"x")
    (root / "starting_point").mkdir()
    (root / "starting_point" / "samples.csv").write_text("\n".join([HEADER, *rows, ""]))
    return root


def renamed(root: Path, change: Any, pattern: str = "*") -> None:
    for path in sorted(root.rglob(pattern), key=lambda p: -len(p.parts)):
        path.rename(path.with_name(change(path.name)))


@pytest.mark.parametrize("pattern", ["*.mp4", "*_bio.csv", "video", "biosignals_filtered", "samples.csv", "*"])
def test_capitals_change_nothing(tmp_path: Path, pattern: str) -> None:
    root = tree(tmp_path / "PartA")
    renamed(root, str.upper, pattern)
    assert recognise(root) is DATASET
    trials, defects = DATASET.read_trials(root)
    assert defects == ()
    assert all(t.video and Path(t.video).is_file() and t.signals and Path(t.signals).is_file() for t in trials)


def test_two_names_that_differ_in_case_are_not_chosen_between(tmp_path: Path) -> None:
    root = tree(tmp_path / "PartA")
    clip = sorted((root / "video").rglob("*.mp4"))[0]
    clip.rename(clip.with_suffix(".MP4"))
    clip.with_suffix(".Mp4").write_bytes(b"y")
    _, (defect,) = DATASET.read_trials(root)
    assert "the file is missing; there is" in defect.reason
    assert ".MP4" in defect.reason
    assert ".Mp4" in defect.reason


def test_near_misses_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "PartA", signals="biosignals_raw")
    _, (defect,) = DATASET.read_trials(root)
    assert (defect.part, defect.trial_id) == ("signals", "")
    assert "looked for the folder biosignals_filtered, which is not there; there is biosignals_raw" in defect.reason
    other = tree(tmp_path / "Other", subject="{}_x")
    _, defects = DATASET.read_trials(other)
    assert len(defects) == 8
    assert all(f"; there is {d.subject}_x" in d.reason for d in defects)
    clip = sorted((tree(tmp_path / "Third") / "video").rglob("*.mp4"))[0]
    clip.rename(clip.with_suffix(".avi"))
    _, (defect,) = DATASET.read_trials(tmp_path / "Third")
    assert f"there is {clip.stem}.avi" in defect.reason


def test_the_check_says_which_folders_it_looked_for_and_which_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path / "PartA", video="clips", signals="physio")
    assert command.main([str(root), "--jobs", "1"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "found clips, physio, starting_point, and no recording of any trial there" in said
    assert "looked for starting_point/samples.csv, video/<subject>" in said


def test_shadows_of_macos_are_no_recordings(tmp_path: Path) -> None:
    root = tree(tmp_path / "PartA")
    for file in [p for p in root.rglob("*") if p.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
        packed = root / "video" / "__MACOSX" / file.relative_to(root)
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
        packed.write_bytes(b"\0")
    trials, defects = DATASET.read_trials(root)
    assert defects == ()
    assert [f for f in of_files(trials, trials, defects, within=root) if f.kind == "orphan"] == []


def model(*, video: bool = True, signals: bool = True, table: bool = False) -> Any:
    about = {"reader_description": {"files": {}}} if table else {}
    return cast(Any, SimpleNamespace(uses_video=video, uses_signals=signals, about=about))


def test_a_folder_of_recordings_is_read_whatever_its_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (
        "a.mp4",
        "a_bio.csv",
        "B.MP4",
        "b_BIO.CSV",
        "c.webm",
        "C_bio.csv",
        "d.TS",
        "d_Bio.csv",
        "notes.txt",
        "e.csv",
    ):
        (tmp_path / name).write_bytes(b"x")
    for name in ("._a.mp4", "._a_bio.csv", ".hidden.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "a.mp4").write_bytes(b"x")
    found = list(recordings(tmp_path, model()))
    assert [name for name, _, _ in found] == ["B", "a", "c", "d"]
    assert all(video and signals for _, video, signals in found)
    assert "2 other files are not taken (e.csv, notes.txt)" in capsys.readouterr().err


def test_names_that_differ_in_case_stay_apart_where_each_has_its_own_files(tmp_path: Path) -> None:
    for name in ("a.mp4", "A.mp4", "a_bio.csv", "A_bio.csv"):
        (tmp_path / name).write_bytes(b"x")
    assert [name for name, _, _ in recordings(tmp_path, model())] == ["A", "a"]


def test_a_folder_without_recordings_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(b"x")
    with pytest.raises(InputError, match=r"found no recording.*x\.dat"):
        list(recordings(tmp_path, model()))


def test_a_model_of_a_table_takes_what_a_draft_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the names that the draft gives, so that they are those of the table."""
    for name in ("p1/low_1.csv", "p1/low_2.txt", "p1/low_1.mp4", "p2/low_1.npz", "p2/low_2.parquet", "p2/events.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1\n2\n")
    found = list(recordings(tmp_path, model(video=False, table=True)))
    assert [name for name, _, _ in found] == ["p1/low_1", "p1/low_2", "p2/low_1", "p2/low_2"]
    assert all(video is None and signals and signals.is_file() for _, video, signals in found)
    assert "1 other files are not taken (events.csv)" in capsys.readouterr().err
    (tmp_path / "p1" / "low_1_ECG.csv").write_bytes(b"1\n2\n")
    with pytest.raises(InputError, match=r"low_1_ECG.csv .* predict each with --signals"):
        list(recordings(tmp_path, model(video=False, table=True)))
    with pytest.raises(InputError, match=r"found no recording, expected NAME.mp4 or signals \(\*.csv, \*.tsv"):
        list(recordings(tmp_path / "p3", model(table=True)))
