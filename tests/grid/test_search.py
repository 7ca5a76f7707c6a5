"""Hyperparameter search, nested in the training side, on signals so short that a fit takes milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataprep.records import DataSet, SampleIndex
from grid import config, inner
from grid.config_tables import Execution
from grid.inprocess import InProcess
from grid.jobs import Inputs
from grid.plan import Planner
from grid.stages import StoreBlocks
from grid.store import Store
from grid.worklist import Worklist
from painmodels.fit import DivergedError

STEPS = 10
TOML = """
name = "small"
[axes]
modalities = ["eda"]
scenarios = ["everybody"]
[scenarios.everybody]
subset = "all"
[protocol]
folds = {folds}
seed = {seed}
[fit]
seeds = [{seed}]
[trunk]
name = "mini-xception-fer"
[signals]
normalise = "train"
[physiological]
hidden = 4
layers = 1
epochs = {epochs}
batch = 6
lr = {lr}
[search]
trials = {trials}
inner_folds = 2
scope = "{scope}"
prune = {prune}
[search.physiological]
lr = {{low = {low}, high = 1.0, log = true}}
{more}
"""


def experiment(tmp_path: Path, **values: Any) -> config.Experiment:
    defaults = {
        "seed": 0,
        "folds": 3,
        "epochs": 9,
        "lr": 1e-7,
        "low": 1e-7,
        "trials": 4,
        "scope": "fold",
        "prune": "true",
        "more": "",
    }
    file = tmp_path / "small.toml"
    file.write_text(TOML.format(**{**defaults, **values}))
    return config.load(str(file))


def people(n: int, trials: int, *, planted: bool, seed: int = 0) -> tuple[SampleIndex, dict[str, np.ndarray]]:
    """`n` subjects with `trials` a class; a planted signal rises with pain."""
    rng = np.random.default_rng(seed)
    rows, x = [], {}
    for s in range(n):
        for y in (0, 1):
            for i in range(trials):
                name = f"s{s:02d}-{y}-{i}"
                rows.append((name, f"s{s:02d}", y))
                x[name] = (
                    rng.normal(size=(STEPS, 1)) + (planted and (2 * y - 1) * np.linspace(0, 2, STEPS)[:, None])
                ).astype("f4")
    ids, subjects, labels = zip(*rows, strict=True)
    return SampleIndex(ids, subjects, labels), x


def run(
    setup: config.Experiment,
    out: Path,
    index: SampleIndex,
    x: Mapping[str, np.ndarray],
    marks: Mapping[str, str] | None = None,
    folds: tuple[int, ...] | None = None,
) -> tuple[Planner, Store]:
    """The grid of an experiment on these signals, in this process."""
    work, failed = worked(setup, Store(out), index, x, marks, folds)
    assert failed == {}
    assert not work.planner.plan.waiting
    return work.planner, work.store


def worked(
    setup: config.Experiment,
    store: Store,
    index: SampleIndex,
    x: Mapping[str, np.ndarray],
    marks: Mapping[str, str] | None = None,
    folds: tuple[int, ...] | None = None,
) -> tuple[Worklist, dict[str, str]]:
    """The same, whether it fails or not: the worklist, and the reasons of what failed."""
    unread = lambda *_: None  # noqa: E731
    data = DataSet("small", "small", 25.0, STEPS, ("eda",), {0: "no", 1: "yes"}, 0, 1, unread, unread, unread)  # type: ignore[arg-type]
    keys = {"signals": {t: (marks or {}).get(t, t) for t in index.trial_ids}, "video": {}}
    winner = lambda stage: store.facts(stage)["winner"] if store.has(stage) else None  # noqa: E731
    planner = Planner(setup, data, Inputs(index, keys), winner)
    planner.build(["eda"], ["everybody"], folds)
    work = Worklist(planner, store, lambda **_: None)
    return work, InProcess(store, Execution()).work(work, StoreBlocks(store, {}, x, {}))


def without_seconds(value: Any) -> Any:
    """Facts without what the clock says."""
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if k != "seconds"}
    return [without_seconds(v) for v in value] if isinstance(value, list) else value


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


def test_a_search_cut_short_goes_on_from_its_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, x = people(6, 3, planted=True)
    setup = experiment(tmp_path, folds=2, trials=7, lr=1e-3)
    planner, store = run(setup, tmp_path / "whole", index, x)
    write, count = Store.write, 0

    class Killed(BaseException):
        pass

    def dying(self: Store, stage: Any, *rest: Any) -> None:
        nonlocal count
        count += stage.name == "search-trial"
        if count == 6:
            raise Killed
        write(self, stage, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", dying)
        with pytest.raises(Killed):
            run(setup, tmp_path / "cut", index, x)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "cut").glob("search-trial/*/manifest.json")}
    assert len(kept) == 5
    planner2, store2 = run(setup, tmp_path / "cut", index, x)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert planner.plan.fits.keys() == planner2.plan.fits.keys(), "the same winners"
    for search in planner.plan.searches.values():
        params = [t["params"] for t in store.facts(search.stage)["trials"]]
        assert params == [t["params"] for t in store2.facts(search.stage)["trials"]]


@pytest.mark.parametrize(("error", "kind"), [(MemoryError("no room"), "machine"), (KeyError("x"), "bug")])
def test_a_trial_that_failed_is_done_again_and_never_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    index, x = people(6, 2, planted=True)
    setup = experiment(tmp_path, folds=2)
    _, whole = run(setup, tmp_path / "whole", index, x, folds=(0,))
    real = inner._train

    def search(out: Path, times: int) -> tuple[Worklist, Store, dict[str, str]]:
        left = [times]

        def failing(*args: Any, **options: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise error
            return real(*args, **options)

        monkeypatch.setattr(inner, "_train", failing)
        store = Store(out)
        work, failed = worked(setup, store, index, x, folds=(0,))
        return work, store, failed

    def said(store: Store, stage: str) -> list[dict[str, Any]]:
        facts = [json.loads(p.read_text())["facts"] for p in sorted((store.root / stage).glob("*/manifest.json"))]
        return [without_seconds(f) for f in facts]

    once, store, failed = search(tmp_path / "once", 1)
    assert not failed
    assert not once.kinds
    assert said(store, "search-physiological-eda") == said(whole, "search-physiological-eda")

    always, store, failed = search(tmp_path / "always", 1000)
    assert always.kinds == {kind}
    assert "failed twice" in " ".join(failed.values())
    assert not said(store, "search-trial")
    _, store, failed = search(tmp_path / "always", 0)
    assert not failed
    assert said(store, "search-physiological-eda") == said(whole, "search-physiological-eda")


def test_a_trial_that_diverged_is_the_worst_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, x = people(6, 2, planted=True)
    real = inner._train

    def diverging(network: Any, settings: Any, *args: Any, **options: Any) -> Any:
        if settings.lr > 1e-6:
            raise DivergedError("the loss is nan")
        return real(network, settings, *args, **options)

    monkeypatch.setattr(inner, "_train", diverging)
    work, failed = worked(experiment(tmp_path, folds=2), Store(tmp_path / "out"), index, x, folds=(0,))
    assert not failed
    assert not work.kinds
    (search,) = work.planner.plan.decided.values()
    facts = Store(tmp_path / "out").facts(search.stage)
    assert facts["winner_trial"] == 0
    assert {t["state"] for t in facts["trials"][1:]} == {"failed"}


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
