"""Hyperparameter search, nested in the training side, on signals so short that a fit takes milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataprep.records import SampleIndex
from grid.experiment import config
from grid.plan.planner import Planner
from grid.store.artefacts import Store
from tests.grid.execute.small_searches import experiment, people, run


def outer_accuracy(planner: Planner, store: Store, index: SampleIndex) -> float:
    labels = dict(zip(index.trial_ids, index.labels, strict=True))
    right = [
        (store.arrays(p.stage)["p_pain"][i] > 0.5) == labels[t]
        for p in planner.plan.predicts.values()
        for i, t in enumerate(p.test.trial_ids)
    ]
    return float(np.mean(right))


def test_the_winner_is_what_is_fitted(tmp_path: Path) -> None:
    index, x = people(9, 3, planted=True)
    setup = experiment(
        tmp_path, more='hidden = [2, 4]\nepochs = {low = 6, high = 18}\nnormalise = ["trial", "train"]', trials=6
    )
    planner, store = run(setup, tmp_path / "store", index, x)
    assert len(planner.plan.searches) == 3
    for search in planner.plan.searches.values():
        facts = store.facts(search.stage)
        fit = next(f for f in planner.plan.fits.values() if f.fold == search.fold)
        assert fit.settings.lr == facts["winner"]["lr"]
        assert fit.settings.hidden == facts["winner"]["hidden"]  # type: ignore[attr-defined]
        assert fit.settings.epochs == facts["winner"]["epochs"]
        assert fit.normalise == facts["winner"]["normalise"]
        assert facts["score"] == max(r["score"] for t in facts["trials"] for r in t["reports"])
        first = facts["trials"][0]["params"]
        assert first == {"lr": 1e-7, "hidden": 4, "epochs": 9, "normalise": "train"}, (
            "the experiment's own values come first"
        )
        held_out = {s for p in planner.plan.predicts.values() if p.fit.fold == search.fold for s in p.test.subjects}
        for halves in search.inner:
            assert not held_out & {*halves.train.subjects, *halves.validation.subjects}
            assert not {*halves.train.subjects} & {*halves.validation.subjects}


@pytest.mark.slow
def test_the_only_learning_rate_that_learns_is_found_for_half_the_epochs(tmp_path: Path) -> None:
    index, x = people(12, 3, planted=True)
    found, shares, own = 0, [], []
    for seed in range(10):
        setup = experiment(tmp_path, seed=seed, folds=2, trials=20, epochs=18)
        planner, store = run(setup, tmp_path / f"asha{seed}", index, x, folds=(0,))
        (facts,) = [store.facts(s.stage) for s in planner.plan.searches.values()]
        own.append(facts["own_score"])
        found += facts["score"] > 0.9 and 1e-3 < facts["winner"]["lr"] <= 1
        shares.append(facts["epochs_spent"] / facts["epochs_full"])
    assert np.mean(own) < 0.7, "the experiment's own rate does not learn"
    assert found >= 9
    assert np.mean(shares) <= 0.5
    setup = experiment(tmp_path, folds=2, trials=20, prune="false")
    planner, store = run(setup, tmp_path / "full", index, x, folds=(0,))
    (facts,) = [store.facts(s.stage) for s in planner.plan.searches.values()]
    assert facts["epochs_spent"] == facts["epochs_full"]
    assert facts["score"] > 0.9


@pytest.mark.slow
def test_random_labels_stay_at_chance_in_the_outer_test_though_the_best_inner_score_does_not(tmp_path: Path) -> None:
    """The proof of the nesting: a search that saw the test side would lift the outer score as it lifts its own."""
    outer, best = [], []
    for seed in range(4):
        index, x = people(8, 4, planted=False, seed=seed)
        setup = experiment(tmp_path, folds=4, trials=6, lr=3e-2, low=1e-2)
        planner, store = run(setup, tmp_path / f"store{seed}", index, x)
        outer.append(outer_accuracy(planner, store, index))
        best += [store.facts(s.stage)["score"] for s in planner.plan.searches.values()]
    assert abs(np.mean(outer) - 0.5) <= 2 * np.sqrt(0.25 / (4 * len(index)))
    standard_error = np.std(best, ddof=1) / np.sqrt(len(best))
    assert np.mean(best) > 0.5 + 2 * standard_error


def test_other_held_out_subjects_change_neither_the_winner_nor_a_weight(tmp_path: Path) -> None:
    index, x = people(6, 3, planted=True)
    setup = experiment(tmp_path, lr=1e-3)
    planner, store = run(setup, tmp_path / "before", index, x)
    one = next(p for p in planner.plan.predicts.values() if p.fit.fold == 0)
    rng = np.random.default_rng(1)
    others = {t: rng.normal(size=a.shape).astype("f4") if t in one.test.trial_ids else a for t, a in x.items()}
    labels = tuple(1 - y if t in one.test.trial_ids else y for t, y in zip(index.trial_ids, index.labels, strict=True))
    marks = {t: f"changed-{t}" for t in one.test.trial_ids}
    changed = SampleIndex(index.trial_ids, index.subjects, labels)
    planner2, store2 = run(setup, tmp_path / "after", changed, others, marks)
    two = next(p for p in planner2.plan.predicts.values() if p.fit.fold == 0)
    assert one.fit.stage.key == two.fit.stage.key
    for name, weights in store.arrays(one.fit.stage).items():
        assert weights.tobytes() == store2.arrays(two.fit.stage)[name].tobytes(), name
    assert one.stage.key != two.stage.key


def test_a_search_on_all_subjects_is_one_for_all_folds(tmp_path: Path) -> None:
    index, x = people(6, 2, planted=True)
    planner, _ = run(experiment(tmp_path, scope="scenario"), tmp_path / "store", index, x)
    (search,) = planner.plan.searches.values()
    assert {*search.inner[0].train.subjects, *search.inner[0].validation.subjects} == set(index.subjects)
    assert len({f.settings.lr for f in planner.plan.fits.values()}) == 1
    nested, _ = run(experiment(tmp_path, scope="fold"), tmp_path / "store", index, x)
    assert search.stage.key not in nested.plan.searches


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("hiddn = [2, 4]", "has no such setting: did you mean 'hidden'"),
        ("hidden = [2, 8]", r"own value 4, tried first, is not among \[2, 8\]"),
        ("layers = {low = 2, high = 3}", "own value 1, tried first"),
    ],
)
def test_a_space_that_cannot_be_is_refused(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(config.ConfigError, match=message):
        experiment(tmp_path, more=more)
