"""A search that is killed, or whose trials fail, goes on as it would have gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_searches import experiment, people, run, without_seconds, worked

from grid.execute.scheduler import Scheduler
from grid.store.artefacts import Store
from grid.work import search_trial
from painmodels.training.loop import DivergedError


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
    real = search_trial._train

    def search(out: Path, times: int) -> tuple[Scheduler, Store, dict[str, str]]:
        left = [times]

        def failing(*args: Any, **options: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise error
            return real(*args, **options)

        monkeypatch.setattr(search_trial, "_train", failing)
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
    real = search_trial._train

    def diverging(network: Any, settings: Any, *args: Any, **options: Any) -> Any:
        if settings.lr > 1e-6:
            raise DivergedError("the loss is nan")
        return real(network, settings, *args, **options)

    monkeypatch.setattr(search_trial, "_train", diverging)
    work, failed = worked(experiment(tmp_path, folds=2), Store(tmp_path / "out"), index, x, folds=(0,))
    assert not failed
    assert not work.kinds
    (search,) = work.planner.plan.decided.values()
    facts = Store(tmp_path / "out").facts(search.stage)
    assert facts["winner_trial"] == 0
    assert {t["state"] for t in facts["trials"][1:]} == {"failed"}
