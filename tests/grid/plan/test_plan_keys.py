"""Keys of a plan: pinned where they cover data alone, and equal to the definition in grid/store however they are computed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dataprep.datasets import dataset
from dataprep.records import SampleIndex
from grid.experiment import config
from grid.plan.planner import Planner
from grid.plan.specs import Inputs
from grid.store.identity import digest

ROWS = ("frame", "eda", "eda+video", "ecg+video", "majority", "eda:argmax")


def planned(experiment: Path | str, winner: Any = lambda stage: None, without_signals: str = "", **changes: Any) -> Planner:
    """A plan of 7 subjects with 3 trials a class, one of them named in Greek; some recordings cannot be used."""
    names = [f"{n:02d}_{'δ' if n == 3 else 'm'}" for n in range(7)]
    ids = [f"{s}-{c}-{i}" for i in range(3) for s in names for c in ("BL1", "PA4")]  # a subject's trials do not lie together
    index = SampleIndex(tuple(ids), tuple(i[:4] for i in ids), tuple(int("PA4" in i) for i in ids))
    video = {t: f"{n:012x}" for n, t in enumerate(ids) if n % 11 != 5}
    signals = {t: f"{n // 6:012x}" for n, t in enumerate(ids) if n % 7 != 2 and t[:4] != without_signals}
    inputs = Inputs(index, {"video": video, "eda": signals, "ecg": signals})
    planner = Planner(config.load(experiment, **changes), dataset("biovid"), inputs, winner)
    planner.build(ROWS, ("all87",))
    return planner


def keys_of_data(planner: Planner) -> str:
    """One digest of the keys of all training and test sets, in the order of the plan."""
    plan = planner.plan
    sets = [f.train.key for f in plan.fits.values()] + [p.test.key for p in plan.predicts.values()]
    sets += [s.key for search in plan.decided.values() for i in search.inner for s in (i.train, i.validation)]
    return hashlib.sha256(" ".join(sets).encode()).hexdigest()[:12]


SEARCH = {"search": {"trials": 2, "inner_folds": 2, "physiological": {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}}}


@pytest.mark.parametrize(
    ("changes", "pinned"),
    [
        ({"protocol": {"name": "subject", "folds": 3}}, "c3b651f41092"),
        ({"protocol": {"name": "loso"}}, "3efdf830ce71"),
        ({"protocol": {"name": "sample", "folds": 4}}, "83e5a6aae7fd"),
        ({"protocol": {"name": "loso"}, **SEARCH}, "67fadc6d43cf"),
        ({"protocol": {"name": "loso"}, "search": SEARCH["search"] | {"scope": "scenario"}}, "855d0546a08e"),
    ],
)
def test_keys_of_training_and_test_sets_are_pinned(tiny_experiment: Path, changes: dict[str, Any], pinned: str) -> None:
    """These keys are on users' disks: a change here throws their fits away."""
    planner = planned(tiny_experiment, lambda search: {}, **changes)
    assert bool(planner.plan.decided) == ("search" in changes)
    assert keys_of_data(planner) == pinned


def test_every_key_is_the_digest_of_what_it_stands_for(tiny_experiment: Path) -> None:
    plan = planned(tiny_experiment, protocol={"name": "loso"}).plan
    for stage in [*(f.stage for f in plan.fits.values()), *(p.stage for p in plan.predicts.values())]:
        assert stage.key == digest(stage.identity())
    for fit in plan.fits.values():
        assert len(fit.train.trial_ids) == len(fit.train.subjects) == len(fit.train.labels)
    for predict in plan.predicts.values():
        assert set(predict.test.subjects).isdisjoint(predict.fit.train.subjects)


@pytest.mark.parametrize("person", ["00_m", "01_m", "02_m", "04_m"])
def test_inner_folds_share_no_subject_though_one_has_no_signals(tiny_experiment: Path, person: str) -> None:
    """What feeds a searched sub-network is fitted in the same inner fold, whichever recordings each of them needs."""
    lr = {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}
    search = {"trials": 2, "inner_folds": 2, **dict.fromkeys(("spatial", "temporal", "attention", "fusion"), lr)}
    planner = planned(tiny_experiment, lambda stage: {}, without_signals=person, protocol={"name": "loso"}, search=search)
    assert {s.role for s in planner.plan.decided.values()} == {"spatial", "temporal", "attention", "fusion"}
    for one in planner.plan.decided.values():
        for inner in one.inner:
            validated, fits = set(inner.validation.subjects), list(inner.upstream)
            while fits:
                fit = fits.pop()
                fits += fit.upstream
                assert validated.isdisjoint(fit.train.subjects), one.label
