"""BioVid trees written byte by byte as the data set's documentation and public readers describe them."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataprep.datasets import biovid, biovid_b, recognise
from dataprep.datasets.biovid import DATASET, HOLDOUT, LOW_EXPRESSIVE, SUBJECTS
from dataprep.records import InputError, RecordingError, Trial
from dataprep.signals.files import prepare_signals

INDEX_HEADER = "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"
WOMAN, MAN = "071309_w_21", "071313_m_41"
BIO_HEADER = b"time\tgsr\t ecg\t emg_trapezius\temg_corrugator\temg_zygomaticus\n"  # blanks as in the wild


def bio_csv(n_rows: int = 2816) -> bytes:
    k = np.arange(n_rows)
    time_us = np.round(k * 5_500_000 / 2815).astype(int)
    rows = [f"{t}\t{3 + i / 2816:.6f}\t{np.sin(i / 20):.6f}\t{i % 7}\t0\t0" for i, t in zip(k, time_us, strict=True)]
    return BIO_HEADER + "\n".join(rows).encode() + b"\n"


def row(subject: str, class_id: int, number: int) -> str:
    name = biovid.CLASSES[class_id]
    return f"{SUBJECTS.index(subject) + 1}\t{subject}\t{class_id}\t{name}\t{number}\t{subject}-{name}-{number:03d}"


def tree(root: Path, rows: list[str], *, header: str = INDEX_HEADER, video: str = "video", newline: str = "\n") -> Path:
    """A tree with an index of these rows and, for each that names a trial, a video and a signal file."""
    (root / "starting_point").mkdir(parents=True)
    (root / "starting_point" / "samples.csv").write_bytes(newline.join([header, *rows, ""]).encode())
    for line in rows:
        _, subject, _, _, _, trial = line.split("\t")[:6]
        for folder, name, data in ((video, f"{trial}.mp4", b"\0"), ("biosignals_filtered", f"{trial}_bio.csv", bio_csv())):
            (root / folder / subject).mkdir(parents=True, exist_ok=True)
            (root / folder / subject / name).write_bytes(data)
    return root


FOUR = [row(WOMAN, 0, 81), row(WOMAN, 4, 3), row(MAN, 0, 1), row(MAN, 4, 99)]


def test_the_published_lists_have_the_published_sizes():
    expressive = DATASET.subsets["expressive"]
    assert (len(SUBJECTS), len(set(SUBJECTS)), len(LOW_EXPRESSIVE), len(HOLDOUT)) == (87, 87, 20, 26)
    assert set(SUBJECTS) >= LOW_EXPRESSIVE | HOLDOUT
    assert (len(expressive), len(set(SUBJECTS) - HOLDOUT)) == (67, 61)
    assert (len(expressive - HOLDOUT), len(expressive & HOLDOUT)) == (46, 21)
    assert not any(18 <= int(s.split("_")[2]) <= 35 for s in LOW_EXPRESSIVE)


def test_trials_come_in_the_order_of_the_index_with_absolute_paths(tmp_path, monkeypatch):
    root = tree(tmp_path / "PartA", FOUR)
    monkeypatch.chdir(tmp_path)
    trials, defects = DATASET.read_trials(Path("PartA"))
    assert defects == ()
    assert [t.trial_id for t in trials] == [line.split("\t")[5] for line in FOUR]
    assert [(t.subject, t.class_id, t.class_name) for t in trials[:2]] == [(WOMAN, 0, "BL1"), (WOMAN, 4, "PA4")]
    assert trials[0].video == str(root / "video" / WOMAN / f"{WOMAN}-BL1-081.mp4")
    assert trials[0].signals == str(root / "biosignals_filtered" / WOMAN / f"{WOMAN}-BL1-081_bio.csv")


def test_signals_are_found_by_column_name_and_keep_their_values(tmp_path):
    trials, _ = DATASET.read_trials(tree(tmp_path / "a", FOUR))
    read = DATASET.read_signals(trials[0])
    assert set(read) == {"eda", "ecg", "emg_trapezius"}
    assert all(rate == 512.0 and len(x) == 2816 for x, rate in read.values())
    np.testing.assert_allclose(read["eda"][0], 3 + np.arange(2816) / 2816, atol=1e-6)
    x_NTC, ids, defects = prepare_signals(trials, DATASET)
    assert x_NTC.shape == (4, 138, 3)
    assert x_NTC.dtype == np.float32
    assert (ids, defects) == (tuple(t.trial_id for t in trials), ())
    np.testing.assert_allclose(x_NTC[2, 100, 0], 3 + (100 / 25) * 512 / 2816, atol=1e-3)  # the ramp's value at 4 s


def test_other_column_order_blanks_extra_columns_and_windows_line_ends_change_nothing(tmp_path):
    plain, _ = DATASET.read_trials(tree(tmp_path / "a", FOUR))
    header = "note\t " + "\t ".join(reversed(INDEX_HEADER.split("\t")))
    rows = ["x\t" + "\t".join(reversed(line.split("\t"))) for line in FOUR]
    (tmp_path / "a/starting_point/samples.csv").write_bytes("\r\n".join([header, *rows]).encode("utf-8-sig"))
    assert DATASET.read_trials(tmp_path / "a") == (plain, ())


def test_a_copy_unpacked_twice_is_read(tmp_path):
    trials, defects = DATASET.read_trials(tree(tmp_path / "a", FOUR, video="video/video"))
    assert defects == ()
    assert all(t.video and Path(t.video).is_file() for t in trials)


def test_a_part_that_is_absent_as_a_whole_is_no_defect(tmp_path):
    root = tree(tmp_path / "a", FOUR)
    (root / "video").rename(tmp_path / "elsewhere")
    trials, defects = DATASET.read_trials(root)
    assert defects == ()
    assert all(t.video is None and t.signals for t in trials)


def test_a_missing_file_is_named_and_the_trial_stays(tmp_path):
    root = tree(tmp_path / "a", FOUR)
    gone = root / "video" / MAN / f"{MAN}-PA4-099.mp4"
    gone.unlink()
    trials, defects = DATASET.read_trials(root)
    assert len(trials) == 4
    assert trials[3].video is None
    assert trials[3].signals is not None
    assert [(d.trial_id, d.part, d.file) for d in defects] == [(f"{MAN}-PA4-099", "video", str(gone))]
    assert str(gone) in defects[0].reason


def test_a_missing_subject_folder_is_said_to_be_missing(tmp_path):
    root = tree(tmp_path / "a", FOUR)
    (root / "biosignals_filtered" / WOMAN).rename(tmp_path / "elsewhere")
    trials, defects = DATASET.read_trials(root)
    assert [t.signals is None for t in trials] == [True, True, False, False]
    assert [d.part for d in defects] == ["signals", "signals"]
    assert all("the subject's folder" in d.reason and WOMAN in d.reason for d in defects)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(WOMAN, 0, 81), "repeats"),
        (f"1\t{WOMAN}\t4\tBL1\t9\t{WOMAN}-BL1-009", "class_id '4'"),
        (f"1\t{WOMAN}\t4\tPA4\t9\t{WOMAN}-BL1-009", f"{WOMAN}-PA4-"),
        (f"1\t{WOMAN}\t4\tPA4\t9\t{MAN}-PA4-009", f"{WOMAN}-PA4-"),
        (f"1\t{WOMAN}\t7\tPA7\t9\t{WOMAN}-PA7-009", "class_id '7'"),
        (f"1\t{WOMAN}\t0", "sample_name ''"),
        ("1\t../../etc\t0\tBL1\t9\t../../etc-BL1-001", "'../../etc'"),
        (f"1\t{WOMAN}\t0\tBL1\t9\t{WOMAN}-BL1-/etc/passwd", "sample_name"),
        ("1\t/etc\t0\tBL1\t9\t/etc-BL1-1", "'/etc'"),
        ("1\tC:\\x\t0\tBL1\t9\tC:\\x-BL1-1", "subject_name"),
        ("1\t\t0\tBL1\t9\t-BL1-1", "subject_name ''"),
    ],
)
def test_a_bad_row_is_a_defect_with_its_line_and_the_others_are_read(tmp_path, bad, words):
    root = tree(tmp_path / "a", FOUR)
    index = root / "starting_point" / "samples.csv"
    index.write_text("\n".join([INDEX_HEADER, FOUR[0], bad, *FOUR[1:]]))
    trials, defects = DATASET.read_trials(root)
    assert [t.trial_id for t in trials] == [line.split("\t")[5] for line in FOUR]
    assert [(d.part, d.file) for d in defects if d.part == "index"] == [("index", str(index))]
    assert "row 3" in defects[0].reason
    assert words in defects[0].reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected one each of subject_id"),
        (INDEX_HEADER.encode() + b"\n\n", "no rows"),
        (INDEX_HEADER.replace("\t", ",").encode() + b"\n1,2,3,4,5,6\n", "TAB-separated"),
        (INDEX_HEADER.replace("class_id\t", "").encode() + b"\nx\n", "class_id"),
        (INDEX_HEADER.encode("utf-16"), "subject_id"),
    ],
)
def test_an_unreadable_index_names_the_file_what_was_found_and_expected(tmp_path, content, words):
    root = tree(tmp_path / "a", FOUR)
    (root / "starting_point" / "samples.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"samples\.csv") as e:
        DATASET.read_trials(root)
    assert words in str(e.value)
    assert "found" in str(e.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found the columns"),
        (BIO_HEADER, "no rows"),
        (bio_csv().replace(b"gsr", b"GSR_1"), "gsr"),
        (bio_csv().replace(b"\t", b";"), "TAB-separated"),
        (bio_csv().replace(b".", b","), "expected rows of numbers"),
        (bio_csv(2600), "2600 rows"),
        (b"\n".join(line for i, line in enumerate(bio_csv().split(b"\n")) if i not in (700, 701)), "time step of 3"),
        (bio_csv()[:50_000], "expected"),
        (b"\x89PNG\r\n\x1a\n", "UTF-8"),
    ],
)
def test_a_broken_signal_file_becomes_a_defect_and_the_subject_goes_on(tmp_path, content, words):
    trials, _ = DATASET.read_trials(tree(tmp_path / "a", FOUR))
    Path(trials[1].signals).write_bytes(content)
    x_NTC, ids, defects = prepare_signals(trials[:2], DATASET)
    assert ids == (trials[0].trial_id,)
    assert len(x_NTC) == 1
    assert [(d.trial_id, d.part, d.file) for d in defects] == [(trials[1].trial_id, "signals", trials[1].signals)]
    assert trials[1].signals in defects[0].reason
    assert words in defects[0].reason


@pytest.mark.parametrize("value", [b"NaN", b"1e300"])
def test_a_channel_that_is_not_finite_is_a_defect_and_the_others_are_used(tmp_path, value):
    trials, _ = DATASET.read_trials(tree(tmp_path / "a", FOUR))
    Path(trials[1].signals).write_bytes(bio_csv().replace(b"\t3.500000\t", b"\t" + value + b"\t"))
    x_NTC, ids, (defect,) = prepare_signals(trials[:2], DATASET)
    assert ids == tuple(t.trial_id for t in trials[:2])
    assert (defect.trial_id, defect.file) == (trials[1].trial_id, trials[1].signals)
    assert "not finite" in defect.reason
    used = [channel for channel in DATASET.channels if f"'{channel}'" not in defect.reason]
    assert len(used) == 2
    assert all(x_NTC[1, :, DATASET.channels.index(channel)].any() for channel in used)


def test_a_folder_in_place_of_a_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read"):
        biovid.read_signals(
            Trial(trial_id="t", subject=WOMAN, class_id=0, class_name="BL1", video=None, signals=str(tmp_path))
        )


@given(st.one_of(st.binary(max_size=400), st.tuples(st.integers(0, 2**32), st.integers(1, 30))))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_trials_or_a_data_error(tmp_path_factory, content):
    root = tmp_path_factory.mktemp("fuzz")
    (root / "starting_point").mkdir()
    index = "\n".join([INDEX_HEADER, *FOUR]).encode()
    (root / "starting_point/samples.csv").write_bytes(_damaged(index, content))
    (root / "biosignals_filtered" / WOMAN).mkdir(parents=True)
    refusal, read = _outcome(lambda: DATASET.read_trials(root))
    assert "samples.csv" in refusal if refusal else read
    trials, defects = read or ((), ())
    assert all(Path(p).resolve().is_relative_to(root) for t in trials for p in (t.video, t.signals) if p)
    assert trials or defects or refusal

    file = root / "x_bio.csv"
    file.write_bytes(_damaged(bio_csv(60), content))
    refusal, read = _outcome(
        lambda: biovid.read_signals(
            Trial(trial_id="t", subject=WOMAN, class_id=0, class_name="BL1", video=None, signals=str(file))
        )
    )
    assert "x_bio.csv" in refusal if refusal else read
    assert all(x.dtype == np.float64 and x.ndim == 1 for x, _ in (read or {}).values())


def _outcome(read):
    """(the message of a RecordingError, None) or ("", what was read); any other error is a failure."""
    try:
        return "", read()
    except (InputError, RecordingError) as e:
        return str(e), None


def _damaged(good: bytes, how: bytes | tuple[int, int]) -> bytes:
    """Either bytes as they come, or the good file with some bytes changed."""
    if isinstance(how, bytes):
        return how
    rng = random.Random(how[0])
    data = bytearray(good)
    for _ in range(how[1]):
        data[rng.randrange(len(data))] = rng.choice(b"\t\n\r\0 .-+eE0129naif\"'#\x80\xff,;/\\")
    return bytes(data)


def test_part_b_is_told_by_its_name_and_has_the_muscles_of_the_face(tmp_path):
    for part, name in (("PartA", "biovid"), ("PartB", "biovid-b")):
        tree(tmp_path / part, FOUR)
        assert recognise(tmp_path / part).name == name
    assert recognise(tmp_path / "PartB").channels[-2:] == ("emg_corrugator", "emg_zygomaticus")
    file = tmp_path / "x_bio.csv"
    file.write_bytes(bio_csv())
    read = biovid_b.DATASET.read_signals(Trial("x", "s", 0, "BL1", signals=str(file)))
    assert {name: (len(values), rate) for name, (values, rate) in read.items()} == dict.fromkeys(
        biovid_b.DATASET.channels, (2816, 512.0)
    )
