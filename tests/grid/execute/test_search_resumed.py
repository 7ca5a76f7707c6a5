"""A search that is killed, or whose trials fail, goes on as it would have gone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from grid.execute.scheduler import Scheduler
from grid.execute.search import SearchState
from grid.store.artefacts import Store
from grid.work import search_trial
from painmodels.training import checkpoints
from painmodels.training.loop import DivergedError
from tests.grid.execute.small_searches import experiment, people, planned, run, without_seconds, worked

pytestmark = pytest.mark.slow

DONE = {"epochs": 9, "rung": 3, "inner": [], "seconds": 0.0, "last": True}


class Killed(BaseException):
    """As SIGKILL: nothing catches it, and nothing after it is done."""


def test_what_two_workers_had_when_they_were_killed_is_handed_out_again(tmp_path: Path) -> None:
    """The second of them was further, so that numbers and parameters cannot be told from what is stored as done."""
    index, _ = people(6, 3, planted=True)
    setup = experiment(tmp_path, folds=2, trials=9, lr=1e-3)
    (search,) = planned(setup, Store(tmp_path / "s"), index, folds=(0,)).plan.searches.values()
    state = SearchState(search, Store(tmp_path / "s"))
    given = {n: state.suggest(f"worker {n}") for n in range(7)}
    for number in (1, 2, 4, 5):
        state.report(f"worker {number}", {**DONE, "score": number / 10, "rank": number / 10})
        state.complete(f"worker {number}")
    again = SearchState(search, Store(tmp_path / "s"))
    assert sorted(again.trials) == [1, 2, 4, 5]
    assert [again.suggest(f"other {n}") for n in (0, 3, 6)] == [given[0], given[3], given[6]]
    fresh = again.suggest("one more")
    assert fresh
    assert fresh["number"] == 7
    assert len({json.dumps(t["params"]) for t in (*given.values(), fresh) if t}) == 8, "no draw is repeated"


def test_two_drivers_on_one_store_try_the_same_configurations(tmp_path: Path) -> None:
    index, _ = people(6, 3, planted=True)
    setup = experiment(tmp_path, folds=2, trials=4)
    (search,) = planned(setup, Store(tmp_path / "s"), index, folds=(0,)).plan.searches.values()
    one, two = (SearchState(search, Store(tmp_path / "s")) for _ in range(2))
    for number in range(4):
        trial = one.suggest("a")
        assert trial == two.suggest("b")
        one.report("a", {**DONE, "score": 0.5, "rank": number})
        one.complete("a")
        two.report("b", {**DONE, "score": 0.5, "rank": -number})
        two.complete("b")
    assert one.trials == two.trials, "what was stored first is true for both"
    assert Store(tmp_path / "s").facts(search.stage)["winner_trial"] == 3
    late = SearchState(search, Store(tmp_path / "s"))
    assert late.suggest("c") is None
    assert late.finished


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """In the middle of a rung, between a checkpoint and its report, before and after anything is stored."""
    index, x = people(6, 3, planted=True)
    setup = experiment(tmp_path, folds=2, trials=7, lr=1e-3)
    planner, whole = run(setup, tmp_path / "whole", index, x, folds=(0,))
    chance, left = random.Random(seed), [0]

    def counted(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return real(*args, **options)

        return call

    places = [(Store, "write"), (checkpoints, "write_whole"), (search_trial, "write_whole"), (search_trial, "outputs")]
    for owner, name in places:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    asked: dict[Path, str] = {}
    kills, ended = 0, None
    while ended is None:
        left[0] = chance.randint(5, 40)
        try:
            ended = run(setup, tmp_path / "cut", index, x, folds=(0,))
        except Killed:
            kills += 1
            now = {p: p.read_text() for p in (tmp_path / "cut/search-asked").glob("*/manifest.json")}
            assert asked.items() <= now.items(), "what was handed out stays as it is"
            asked = now
    assert kills >= 3
    assert planner.plan.fits.keys() == ended[0].plan.fits.keys(), "the same winner"
    (search,) = planner.plan.searches.values()
    assert without_seconds(ended[1].facts(search.stage)) == without_seconds(whole.facts(search.stage))
    assert not list((tmp_path / "cut/.checkpoints").iterdir())


@pytest.mark.parametrize(("error", "kind"), [(MemoryError("no room"), "machine"), (KeyError("x"), "bug")])
def test_a_trial_that_failed_is_done_again_and_never_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    index, x = people(6, 2, planted=True)
    setup = experiment(tmp_path, folds=2)
    _, whole = run(setup, tmp_path / "whole", index, x, folds=(0,))
    real = search_trial.train_folds

    def search(out: Path, times: int) -> tuple[Scheduler, Store, dict[str, str]]:
        left = [times]

        def failing(*args: Any, **options: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise error
            return real(*args, **options)

        monkeypatch.setattr(search_trial, "train_folds", failing)
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
    real = search_trial.train_folds

    def diverging(network: Any, settings: Any, *args: Any, **options: Any) -> Any:
        if settings.lr > 1e-6:
            raise DivergedError("the loss is nan")
        return real(network, settings, *args, **options)

    monkeypatch.setattr(search_trial, "train_folds", diverging)
    work, failed = worked(experiment(tmp_path, folds=2), Store(tmp_path / "out"), index, x, folds=(0,))
    assert not failed
    assert not work.kinds
    (search,) = work.planner.plan.decided.values()
    facts = Store(tmp_path / "out").facts(search.stage)
    assert facts["winner_trial"] == 0
    assert {t["state"] for t in facts["trials"][1:]} == {"failed"}
