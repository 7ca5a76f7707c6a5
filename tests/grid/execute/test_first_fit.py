"""What a run begins with: the cheapest fit, so that what is wrong with every fit shows within seconds."""

from __future__ import annotations

from pathlib import Path

from grid.execute.scheduler import Item, Scheduler
from grid.store.artefacts import Store
from tests.grid.plan.test_plan_keys import planned


def test_the_first_fit_is_the_cheapest_and_the_next_ones_are_the_most_urgent(tmp_path: Path) -> None:
    planner = planned("demo", protocol={"name": "subject", "folds": 4})
    work = Scheduler(planner, Store(tmp_path / "store"), lambda **_: None)
    ready = work.queue.urgent_first(work.queue.ready)
    items = [work.take(str(n)) for n in range(len(ready))]
    keys = [item.job.stage.key for item in items if isinstance(item, Item)]
    cost = work.planned.cost
    assert cost(keys[0]) == min(map(cost, ready)) < cost(keys[1])
    assert keys[1:] == [key for key in ready if key != keys[0]]
