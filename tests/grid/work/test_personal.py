"""The protocol personal: calibration helps people who differ and not those who are alike; the tested trials change no fit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.records import InputError, SampleIndex
from grid.experiment.config import load
from grid.monitor import status
from grid.plan.inventory import read_inventory
from grid.protocols import FoldSplit, protocols
from grid.results import files
from grid.results.inference import people_of, training_people
from grid.run.scenario_facts import training_people_of
from grid.run.session import Session
from grid.run.show import outcome_text
from tests.grid.work import personal_people

SMALL = """
name = "personal"
[axes]
modalities = ["eda"]
scenarios = ["all"]
[scenarios.all]
subset = "all"
[protocol]
name = "personal"
folds = 2
[trunk]
name = "mini-xception-fer"
"""


def index(per_class: int = 10, people: int = 4) -> SampleIndex:
    rows = [(f"s{p}-{y}{n}", f"s{p}", y) for p in range(people) for y in (0, 1) for n in range(per_class)]
    return SampleIndex(*zip(*rows, strict=True))


def run(data: Path, out: Path, *, work: bool = True) -> Session:
    """The grid's fits and predictions, without tables."""
    out.parent.mkdir()
    (out.parent / "small.toml").write_text(SMALL)
    experiment = load(str(out.parent / "small.toml"))
    what = {"rows": ["eda:logistic"], "scenarios": ["all"]}
    session = Session(experiment, read_inventory(data, experiment, **what, memory=out.parent / "f.json"), out, **what)
    if work:
        session.run("in-process")
    return session


def accuracy(session: Session) -> pd.Series:
    """Share of right calls by k."""
    inventory = session.inventory
    table = files.predictions(session.plan, session.store, inventory.targets, inventory.learns)
    right = (table["p_pain"] > 0.5) == (table["y_true"] == 1)
    return right.groupby(table["protocol"].astype(str)).mean()


def test_the_interval_counts_the_people_that_train() -> None:
    """Of four people in two groups two train, and the tested one where trials of hers calibrate; not all but the tested one."""
    splits = protocols()["personal"](index(), folds=2, seed=0)
    facts = {"subjects": 4, "training_people": training_people_of(splits)}
    assert facts["training_people"] == {"personal-0": 2.0, "personal-2": 3.0, "personal-4": 3.0, "personal-8": 3.0}
    tested = pd.DataFrame({"fold": range(4), "subject_name": [f"s{p}" for p in range(4)]})
    assert training_people(tested, people_of(facts, ["personal-0"])) == 2.0
    assert training_people(tested, people_of({"subjects": 4}, ["personal-0"])) == 3.0


def test_folds_are_people_with_k_trials_of_each_class_and_the_same_test_for_every_k() -> None:
    table = index()
    label = dict(zip(table.trial_ids, table.labels, strict=True))
    splits = protocols()["personal"](table, folds=2, seed=0)
    assert [(s.protocol, s.fold) for s in splits] == [(f"personal-{k}", p) for k in (0, 2, 4, 8) for p in range(4)]
    for s in splits:
        k, who = int(s.protocol[9:]), f"s{s.fold}"
        own = [t for t in s.train if t.startswith(who)]
        assert [sum(label[t] == y for t in own) for y in (0, 1)] == [k, k]
        assert (set(own), {t[:2] for t in s.test}) == (set(s.calibration), {who})
        assert 1 <= len(s.test) <= 4
        assert len({t[:2] for t in s.train} - {who}) == 2  # of the other group; nobody else of the own
        assert s.test == splits[s.fold].test
        assert k == 0 or abs(len(s.calibration) * s.calibration_copies - 40) <= 8
    assert protocols()["personal"](index(per_class=7), folds=2, seed=0)[-1].protocol == "personal-4"
    with pytest.raises(InputError, match="found 4 trials of s0, which are too few"):
        protocols()["personal"](index(per_class=2), folds=2, seed=0)


def test_a_trial_of_a_tested_person_trains_by_name_alone() -> None:
    who = {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}
    assert FoldSplit(
        protocol="personal-2", fold=0, train=("a1", "b1"), test=("a2",), subject_of=who, calibration=("a1",)
    ).calibration == ("a1",)
    with pytest.raises(InputError, match="subjects on both sides"):
        FoldSplit(protocol="personal-2", fold=0, train=("a1", "a3", "b1"), test=("a2",), subject_of=who, calibration=("a1",))
    with pytest.raises(InputError, match="calibration trials that do not train"):
        FoldSplit(protocol="personal-2", fold=0, train=("b1",), test=("a2",), subject_of=who, calibration=("a1",))
    with pytest.raises(InputError, match="trials on both sides"):
        FoldSplit(protocol="personal-2", fold=0, train=("a1", "b1"), test=("a1",), subject_of=who, calibration=("a1",))


@pytest.fixture(scope="module")
def differ(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """People of whom half answer with the other sign."""
    at = tmp_path_factory.mktemp("differ")
    return run(personal_people.write(at / "data", people=12, alike=False), at / "a" / "out")


def test_calibration_helps_people_who_differ_and_hardly_those_who_are_alike(differ: Session, tmp_path: Path) -> None:
    """Measured: 0.39, 0.77, 0.82, 0.89 with 0, 2, 4 and 8 trials of each class; people who are alike: 1.0 with any."""
    by_k = accuracy(differ)
    assert by_k["personal-0"] < 0.6
    assert by_k["personal-8"] > 0.8
    alike = accuracy(run(personal_people.write(tmp_path / "data", people=4, alike=True), tmp_path / "a" / "out"))
    assert alike.min() > 0.9
    assert abs(alike["personal-8"] - alike["personal-0"]) < 0.05


def test_what_is_tested_changes_no_fit_of_its_own_fold(differ: Session, tmp_path: Path) -> None:
    """Other values and labels in a person's tested trials: where these do not train, keys, seeds and weights are the same."""
    first = differ
    tested = {cell.fold: p.test.trial_ids for cell, p in first.plan.predicts.items()}
    changed = frozenset(tested[0])
    assert len(changed) >= 3
    again = run(personal_people.write(tmp_path / "data", people=12, alike=False, changed=changed), tmp_path / "b" / "out")
    for cell, predict in first.plan.predicts.items():
        other = again.plan.predicts[cell]
        assert predict.test.trial_ids == other.test.trial_ids
        if changed & set(predict.fit.train.trial_ids):
            assert cell.fold != 0
            assert predict.fit.stage.key != other.fit.stage.key
            continue
        assert (predict.fit.stage.key, predict.fit.stage.seed) == (other.fit.stage.key, other.fit.stage.seed)
        mine, theirs = first.store.arrays(predict.fit.stage), again.store.arrays(other.fit.stage)
        assert {n: a.tobytes() for n, a in mine.items()} == {n: a.tobytes() for n, a in theirs.items()}
        assert (predict.test.key != other.test.key) == (cell.fold == 0)
    by_k = {c.protocol: p.fit for c, p in first.plan.predicts.items() if c.fold == 0}
    assert len({fit.stage.key for fit in by_k.values()}) == 4
    assert np.isclose(len(by_k["personal-8"].train.trial_ids), 2 * len(by_k["personal-0"].train.trial_ids), rtol=0.1)


def test_the_outcome_keeps_every_number_of_calibration_trials_apart() -> None:
    facts = {"modality": "eda", "scenario": "all", "fold": 0, "repeat": 0, "seed": 0}
    scores = pd.DataFrame([{**facts, "protocol": f"personal-{k}", "accuracy": a} for k, a in ((0, 0.5), (8, 0.9))])
    lines = outcome_text(scores).splitlines()
    assert lines[1].split() == ["all", "personal-0", "all", "personal-8"]
    assert lines[2].split()[:4] == ["eda", "50.0", "±", "0.0"]
    assert "90.0" in lines[2]
    places = [status.place_of({**facts, "protocol": f"personal-{k}"}) for k in (0, 8)]
    assert places[0] != places[1]
