"""What a run begins with: the cheapest fit, so that what is wrong with every fit shows within seconds."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from dataprep.datasets import dataset
from dataprep.records import SampleIndex
from grid.execute.ray_mailbox import packed, unpacked
from grid.execute.scheduler import Item, Scheduler
from grid.experiment import config
from grid.plan.planner import Planner
from grid.plan.specs import Inputs
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


@pytest.mark.parametrize("experiment", ["demo", "methods-demo"])
def test_every_fit_of_every_method_can_be_sent_to_a_worker(experiment: str) -> None:
    ids = [f"{n}-{name}" for n in range(8) for name in ("BL1", "PA4")]
    index = SampleIndex(tuple(ids), tuple(i[0] for i in ids), tuple(int("PA4" in i) for i in ids))
    everything = defaultdict(lambda: dict.fromkeys(ids, "0" * 12))  # of every kind of recording
    settings = config.load(experiment, protocol={"name": "subject", "folds": 2})
    planner = Planner(settings, dataset("biovid"), Inputs(index, everything), lambda search: None)
    planner.build((*settings.axes.modalities, *settings.axes.baselines), ("all87",))
    fits = planner.plan.fits
    assert not planner.plan.impossible
    assert len({fit.stage.name for fit in fits.values()}) > 10
    for key, fit in fits.items():
        assert unpacked(packed(fit)).stage.key == key
