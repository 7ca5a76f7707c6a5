"""Folds, rows and selections."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataprep.datasets import dataset
from dataprep.records import SampleIndex
from grid.experiment import cells
from grid.protocols import FoldSplit, in_words, protocols


def index(n_subjects: int, per_class: int = 2) -> SampleIndex:
    rows = [(f"s{s:02d}-{y}-{i}", f"s{s:02d}", y) for s in range(n_subjects) for y in (0, 1) for i in range(per_class)]
    ids, subjects, labels = zip(*rows, strict=True)
    return SampleIndex(ids, subjects, labels)


@given(
    n=st.integers(3, 30),
    folds=st.integers(2, 10),
    seed=st.integers(0, 9),
    name=st.sampled_from(["subject", "loso", "sample"]),
)
def test_every_trial_is_tested_once_and_trained_on_otherwise(n: int, folds: int, seed: int, name: str) -> None:
    table = index(n)
    if name == "subject" and folds > n:
        folds = n
    splits = protocols()[name](table, folds=folds, seed=seed)
    assert sorted(t for s in splits for t in s.test) == sorted(table.trial_ids)
    for s in splits:
        assert sorted([*s.train, *s.test]) == sorted(table.trial_ids)
        if name != "sample":
            assert not {s.subject_of[t] for t in s.train} & {s.subject_of[t] for t in s.test}
    sizes = [len({s.subject_of[t] for t in s.test}) for s in splits]
    if name == "subject":
        assert max(sizes) - min(sizes) <= 1
    if name == "loso":
        assert sizes == [1] * n


def test_sample_protocol_leaks_subjects_and_keeps_classes_even() -> None:
    table = index(10)
    label = dict(zip(table.trial_ids, table.labels, strict=True))
    for s in protocols()["sample"](table, folds=4, seed=0):
        assert {s.subject_of[t] for t in s.train} & {s.subject_of[t] for t in s.test}
        assert abs(2 * sum(label[t] for t in s.test) - len(s.test)) <= 2


def test_the_published_holdout_of_biovid() -> None:
    biovid = dataset("biovid")
    everybody = sorted(biovid.subsets["expressive"] or ()) + sorted(biovid.holdout or ())
    names = sorted(set(everybody))
    table = SampleIndex(tuple(names), tuple(names), tuple(i % 2 for i in range(len(names))))
    (split,) = protocols()["holdout"](table, folds=10, seed=0, holdout=biovid.holdout)
    assert len(split.test) == 26
    with pytest.raises(ValueError, match="no fixed hold-out split"):
        protocols()["holdout"](table, folds=10, seed=0, holdout=None)


def test_protocols_are_told_in_words() -> None:
    for name in ("subject", "sample", "loso", "holdout", "published", "transfer"):
        assert in_words(name) != f"protocol {name}"
    assert in_words("personal-4").startswith("4 trials of each class of the tested person train")
    assert in_words("of-another-version") == "protocol of-another-version"


def test_a_subject_on_two_sides_is_refused() -> None:
    with pytest.raises(ValueError, match="subjects on both sides"):
        FoldSplit(protocol="mine", fold=0, train=("a1",), test=("a2",), subject_of={"a1": "a", "a2": "a"})
    with pytest.raises(ValueError, match="trials on both sides"):
        FoldSplit(protocol="mine", fold=0, train=("a1",), test=("a1",), subject_of={"a1": "a"})


def test_more_folds_than_subjects_is_refused() -> None:
    with pytest.raises(ValueError, match="11 folds by subject asked for, but there are 10 subjects"):
        protocols()["subject"](index(10), folds=11, seed=0)


def test_folds_of_a_subject_do_not_depend_on_anybodys_labels() -> None:
    table = index(9)
    flipped = SampleIndex(table.trial_ids, table.subjects, tuple(1 - y for y in table.labels))
    assert [s.test for s in protocols()["subject"](table, folds=3, seed=1)] == [
        s.test for s in protocols()["subject"](flipped, folds=3, seed=1)
    ]


def test_rows() -> None:
    assert cells.row("video+ecg+eda").name == "eda+ecg+video"
    assert cells.row("eda+ecg+emg+video").signals == ("eda", "ecg", "emg")
    assert cells.row("frame").parts == ("video",)
    assert cells.row("eda+video").parts == ("video", "signals")
    assert [cells.row(name).name for name in cells.PAPER_ROWS] == list(cells.PAPER_ROWS)
    with pytest.raises(ValueError, match=r"unknown modality 'vidoe': did you mean 'video'\?"):
        cells.refuse_unknown(["eda", "vidoe"], ["eda", "resp"])
    with pytest.raises(ValueError, match="unknown modality 'Eda'"):
        cells.row("Eda")
    with pytest.raises(ValueError, match="twice"):
        cells.row("eda+eda")


def test_fold_numbers() -> None:
    assert cells.fold_numbers("0-2,7, 5", 10) == (0, 1, 2, 5, 7)
    for wrong in ("", "a", "3-", "10", "0-10", "-1"):
        with pytest.raises(ValueError, match="--folds"):
            cells.fold_numbers(wrong, 10)


@pytest.mark.parametrize(
    ("typed", "meant"), [("EDA", "eda"), ("face", "video"), ("Face+GSR", "video+eda"), ("EKG", "ecg"), ("vidoe", "video")]
)
def test_a_row_by_another_name_is_understood(typed: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"unknown modality {typed!r}: did you mean {meant!r}?")):
        cells.refuse_unknown([typed], ("eda", "ecg"))


def test_too_many_folds_name_what_sets_their_number() -> None:
    with pytest.raises(ValueError, match=r"\[protocol\] folds .* --protocol loso; --folds only"):
        protocols()["subject"](index(3), folds=10, seed=0)
