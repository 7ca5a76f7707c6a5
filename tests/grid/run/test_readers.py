"""Every reader through check, plan and two folds, on a tree written in its published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.check.recordings import measure
from dataprep.datasets import datasets, recognise
from dataprep.faces import FaceSettings
from grid.experiment.config import load
from grid.experiment.scenarios import named_for
from grid.plan.inventory import read_inventory
from grid.run.result_folder import write
from grid.run.session import Session
from grid.run.show import plan_text
from tests.dataprep.datasets import trees
from tests.dataprep.datasets.test_biovid import FOUR, tree
from tests.dataprep.datasets.test_stress_predict import subject as stress_predict


def biovid(root: Path) -> None:
    tree(root, FOUR)


def with_facial_emg(root: Path) -> None:
    """The same with two channels more that are not flat."""
    biovid(root)
    for file in root.rglob("*_bio.csv"):
        header, *lines = file.read_text().splitlines()
        kept = (line.removesuffix("\t0\t0") for line in lines)
        file.write_text("\n".join([header, *(f"{line}\t{n % 5}\t{n % 3}" for n, line in enumerate(kept))]) + "\n")


def frames(root: Path) -> None:
    trees.unbc(root, people={"042-ll042": [0, 4], "043-jh043": [0, 3]}, frames=48, faces=True)


def watches(root: Path) -> None:
    for n in (1, 2):
        stress_predict(root, f"S{n:02d}", values=np.random.default_rng(n).lognormal(size=4 * 2700))


WRITTEN: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "biovid": ("PartA", "eda:logistic", biovid),
    "biovid-b": ("PartB", "emg:logistic", with_facial_emg),
    "painmonit": ("pmed", "eda:logistic", lambda root: trees.painmonit(root, people=2, rounds=1)),
    "painmonit-covas": ("pmed", "eda:argmax", lambda root: trees.painmonit(root, people=2, rounds=1)),
    "painmonit-clinical": ("pmcd", "eda:logistic", trees.painmonit_clinical),
    "ai4pain": ("ai4pain", "eda:argmax", trees.ai4pain),
    "wesad": ("wesad", "eda:logistic", lambda root: trees.wesad(root, people=(2, 3))),
    "stress-predict": ("watches", "eda:logistic", watches),
    "x-ite": ("x-ite", "eda:logistic", lambda root: trees.x_ite(root, people=2, rounds=1)),
    "unbc": ("unbc", "video:logistic", frames),
}


def test_readers_tell_the_order_of_trials_where_the_layout_does() -> None:
    told = {name for name in WRITTEN if datasets()[name].time_order is not None}
    assert told == {"painmonit", "painmonit-covas", "wesad", "x-ite", "stress-predict"}


@pytest.mark.parametrize("name", sorted(datasets().keys() - {"synthetic"}))
def test_a_reader_goes_through_check_plan_and_two_folds(name: str, tmp_path: Path) -> None:
    if name not in WRITTEN:
        pytest.skip(f"no tree in the layout of {name} is written here: add one to WRITTEN")
    folder, row, written = WRITTEN[name]
    written(tmp_path / folder)
    data = datasets()[name]
    assert recognise(tmp_path / folder).name == ("painmonit" if name == "painmonit-covas" else name)
    trials, defects = data.read_trials(tmp_path / folder)
    assert defects == ()
    asked = [t for t in trials if any(t.class_id in side for side in data.sides)]
    part = "video" if row.startswith("video") else "signals"
    one_of_each = {(t.subject, t.class_id): t for t in asked}.values()
    for facts in (measure(t, data, FaceSettings()) for t in one_of_each):
        assert facts.usable(part), facts.findings
    experiment = named_for(load("paper", protocol={"name": "loso"}), data)
    what = {"rows": [row], "scenarios": ["all87" if name == "biovid" else "all"]}
    found = read_inventory(tmp_path / folder, experiment, **what, memory=tmp_path / "memory.json", dataset=name)
    session = Session(experiment, found, tmp_path / "out", **what, folds=[0, 1])
    assert "2 cells" in plan_text(experiment, found, session.plan, session.store)
    session.run("in-process")
    scores = write(session)
    assert not session.failed
    assert not session.failures
    assert scores.accuracy.notna().sum() == 2
    tested = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert tested.subject_name.nunique() == 2
    assert set(tested.sample_name) == {t.trial_id for t in asked if t.subject in set(tested.subject_name)}
