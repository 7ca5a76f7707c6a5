"""The time left follows what each kind of fit takes: cheap fits come last, and dear ones say little of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.execute import scheduler as module
from grid.execute.scheduler import Item, Scheduler
from grid.store.artefacts import Store
from tests.grid.monitor.test_progress import Clock
from tests.grid.plan.test_plan_keys import planned

SECONDS = {"spatial": 3.2, "temporal": 2.2, "attention": 1.3, "fusion": 1.2, "physiological": 28.0}
"""Medians of a run of the demo on two busy cores; all others took less than a second or two."""


def left(work: Scheduler) -> float | None:
    return work.planned.seconds_left(work.queue, work.running, work.busy)


def test_after_a_tenth_of_the_work_the_estimate_is_within_a_factor_of_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    planner = planned("demo", protocol={"name": "subject", "folds": 4})
    told: list[tuple[float, float | None]] = []
    work = Scheduler(planner, Store(tmp_path / "store"), lambda **_: told.append((clock.now, left(work))))
    free, ends = ["one", "two"], {}
    while True:  # two workers, each of which takes the next item when it has finished one
        for worker in list(free):
            if isinstance(item := work.take(worker), Item):
                item.started_s = clock.now
                ends[worker] = clock.now + SECONDS.get(item.job.part.role, 0.5)
                free.remove(worker)
        if not ends:
            break
        worker = min(ends, key=ends.__getitem__)
        clock.now = ends.pop(worker)
        work.finish(worker)
        free.append(worker)
    late = [(clock.now - now, left) for now, left in told if 0.1 * clock.now < now < 0.95 * clock.now]
    assert len(late) > 10
    for true_s, left_s in late:
        assert left_s is not None
        assert true_s / 2 <= left_s <= 2 * true_s or abs(left_s - true_s) < 5
