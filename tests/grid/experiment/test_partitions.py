"""Who is held out with whom: folds from a file, inherited from the whole, and dealt evenly by sex, age and expressiveness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.datasets import biovid, dataset
from dataprep.datasets.synthetic import LOW_EXPRESSIVE, SUBJECTS
from dataprep.records import InputError, SampleIndex
from grid.experiment import config
from grid.experiment.cells import Scenario
from grid.experiment.partitions import splits_of
from grid.launch import main
from grid.plan.inventory import Inventory
from grid.protocols import FoldSplit
from grid.results.people_tables import folds_table, trials_table
from painmodels.tasks import task

ALL, EXPRESSIVE = Scenario("all87", "all", 0.0), Scenario("expressive67", "expressive", 2.0)
DATA = dataset("synthetic")


def table(names: tuple[str, ...] = SUBJECTS) -> SampleIndex:
    """Two trials of each person, one a class."""
    ids = tuple(f"{name}-{c}-{i:03d}" for name in names for i, c in enumerate(("BL1", "PA4"), 1))
    return SampleIndex(ids, tuple(t.partition("-")[0] for t in ids), tuple(int("PA4" in t) for t in ids))


def experiment(**protocol: object) -> config.Experiment:
    return config.load("demo", protocol=protocol)


def fold_of(splits: tuple[FoldSplit, ...], repeat: int = 0) -> dict[str, int]:
    return {s.subject_of[t]: s.fold for s in splits if s.repeat == repeat for t in s.test}


def written(folder: Path, names: tuple[str, ...] = SUBJECTS, **protocol: object) -> Path:
    """folds.csv of a run on these people."""
    inventory = Inventory(
        dataset=DATA, path=folder, index=table(names), fingerprint="", learns=task("binary", ("BL1", "PA4"))
    )
    file = folder / "folds.csv"
    folds_table(experiment(**protocol), inventory, ["all87", "expressive67"]).to_csv(file, index=False)
    return file


def test_an_absent_person_moves_others_where_folds_are_drawn_and_nobody_where_they_are_given(tmp_path: Path) -> None:
    whole = fold_of(splits_of(experiment(), DATA, table(), ALL))
    fewer = table(SUBJECTS[1:])
    drawn = fold_of(splits_of(experiment(), DATA, fewer, ALL))
    assert sum(drawn[name] != whole[name] for name in drawn) > 20
    given = experiment(folds_from=str(written(tmp_path)))
    splits = splits_of(given, DATA, fewer, ALL)
    assert fold_of(splits) == {name: fold for name, fold in whole.items() if name != SUBJECTS[0]}
    for split in splits:
        assert sorted((*split.train, *split.test)) == sorted(fewer.trial_ids)


def test_given_folds_are_the_drawn_ones_to_the_trial_in_every_partition(tmp_path: Path) -> None:
    drawn = experiment(repeats=2)
    given = experiment(repeats=2, folds_from=str(written(tmp_path, repeats=2)))
    for scenario in (ALL, EXPRESSIVE):
        assert splits_of(given, DATA, table(), scenario) == splits_of(drawn, DATA, table(), scenario)


def test_a_fold_of_absent_people_is_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    whole = fold_of(splits_of(experiment(), DATA, table(), ALL))
    there = tuple(name for name in SUBJECTS if whole[name] != 3)
    splits = splits_of(experiment(folds_from=str(written(tmp_path))), DATA, table(there), ALL)
    assert [s.fold for s in splits] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("subject,fold\n" + "".join(f"{s},{i % 2}\n" for i, s in enumerate(SUBJECTS[2:])), f"no fold for {SUBJECTS[0]}, "),
        ("subject,group\na,1\n", "has no column fold"),
        ("subject,fold\na,one\n", "line 2: found .*expected a subject and the number of a fold"),
        ("subject,fold\na,1\na,2\n", "line 3: puts a into a second fold, 2"),
        ("subject,fold\n", "found no row"),
        ("scenario,subject,fold\nother,a,1\n", "found folds of other, partition 0; expected some of all87, partition 0"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        splits_of(experiment(folds_from=str(tmp_path / "folds.csv")), DATA, table(), ALL)


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"name": "loso", "folds_from": "f.csv"}, "protocol.folds_from: is for the protocol subject"),
        ({"name": "sample", "stratify": ["sex"]}, "protocol.stratify: is for the protocol subject"),
        ({"folds_from": "f.csv", "inherit": True}, "the file alone says who is in which fold"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(protocol: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        experiment(**protocol)


def test_the_command_stops_at_a_file_that_lacks_somebody(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "folds.csv").write_text("subject,fold\nsynthetic01_m_49,0\nsynthetic17_m_53,1\n")
    where = ["--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(tmp_path / "out")]
    assert main(["--plan", "--modalities", "eda", "--folds-from", str(tmp_path / "folds.csv"), *where]) == 2
    assert "names no fold for synthetic27_m_21, " in capsys.readouterr().err


def test_a_subset_inherits_the_folds_of_its_whole() -> None:
    whole, part, apart = (
        fold_of(splits_of(experiment(inherit=inherit), DATA, table(), scenario))
        for inherit, scenario in ((True, ALL), (True, EXPRESSIVE), (False, EXPRESSIVE))
    )
    assert set(part) == set(SUBJECTS) - LOW_EXPRESSIVE
    assert part == {name: whole[name] for name in part}
    assert any(apart[name] != whole[name] for name in apart)
    for split in splits_of(experiment(inherit=True), DATA, table(), EXPRESSIVE):
        assert not LOW_EXPRESSIVE & {split.subject_of[t] for t in (*split.train, *split.test)}


def test_stratified_folds_are_even_in_sex_age_and_expressiveness() -> None:
    def spreads(**protocol: object) -> list[float]:
        folds = fold_of(splits_of(experiment(seed=1, **protocol), DATA, table(), ALL))
        sizes = np.bincount(list(folds.values()))
        assert sizes.max() - sizes.min() <= 1
        people = pd.DataFrame(
            [(f, p.sex == "w", p.age, s in LOW_EXPRESSIVE) for s, f in folds.items() if (p := DATA.person(s))]
        )
        by_fold = people.groupby(0).agg({1: "mean", 2: "mean", 3: "mean"})
        return [float(by_fold[c].max() - by_fold[c].min()) for c in by_fold]

    drawn, even = spreads(), spreads(stratify=["sex", "expressive", "age"])
    assert all(a < b for a, b in zip(even, drawn, strict=True))
    assert even[1] < 12  # years


def test_what_the_data_set_does_not_tell_cannot_be_stratified_by() -> None:
    names = SampleIndex(("a-1", "b-1"), ("a", "b"), (0, 1))
    with pytest.raises(InputError, match="does not tell the age of a"):
        splits_of(experiment(stratify=["age"], folds=2), dataset("stress-predict"), names, ALL)


def test_folds_and_trials_are_tables_with_sex_age_and_the_place_in_the_session(tmp_path: Path) -> None:
    names = SUBJECTS[:12]
    inventory = Inventory(
        dataset=DATA,
        path=tmp_path,
        index=table(names),
        fingerprint="",
        learns=task("binary", ("BL1", "PA4")),
        session={f"{names[0]}-PA4-002": (2, "BL1")},
    )
    folds = folds_table(experiment(), inventory, ["all87"])
    assert len(folds) == 12
    assert set(folds["trials"]) == {2}
    assert folds.set_index("subject").loc[names[0], ["sex", "age"]].tolist() == ["m", 49]
    trials = trials_table(inventory).set_index("trial_id")
    assert trials.loc[f"{names[0]}-PA4-002"].tolist() == [names[0], "PA4", 1, 2, "BL1"]
    assert biovid.DATASET.time_order is None
