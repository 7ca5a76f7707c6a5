"""Tested people are looked for, by name, in all that was trained behind their cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grid.results.overlap import count_overlap
from tests.grid.plan.test_repeats_seeds import planned


def test_no_tested_person_trains_and_one_who_does_is_found(tiny_experiment: Path) -> None:
    plan = planned(tiny_experiment, protocol={"name": "loso"})
    found = count_overlap(plan)
    assert found["cells"] == len(plan.predicts) == 18
    assert found["training_sets"] == 6
    assert (found["people_on_both_sides"], found["trials_on_both_sides"], found["searched_on_tested"]) == (0, 0, 0)
    cell, predict = next((c, p) for c, p in plan.predicts.items() if c.modality == "eda+ecg")
    feeding = predict.fit
    met = replace(feeding.train, trial_ids=("another", *feeding.train.trial_ids), key="k")
    met = replace(met, subjects=(predict.test.subjects[0], *feeding.train.subjects))
    fit = replace(predict.fit, upstream=(replace(feeding, train=met),))
    plan.predicts[cell] = replace(predict, fit=fit)
    found = count_overlap(plan)
    assert (found["people_on_both_sides"], found["trials_on_both_sides"]) == (1, 0)
    met = replace(met, trial_ids=(predict.test.trial_ids[0], *feeding.train.trial_ids), key="l")
    plan.predicts[cell] = replace(predict, fit=replace(fit, upstream=(replace(feeding, train=met),)))
    assert count_overlap(plan)["trials_on_both_sides"] == 1


def test_trials_of_one_person_on_both_sides_are_counted(tiny_experiment: Path) -> None:
    plan = planned(tiny_experiment, protocol={"name": "sample"})
    found = count_overlap(plan)
    assert found["people_on_both_sides"] == found["cells"]
    assert found["trials_on_both_sides"] == 0
