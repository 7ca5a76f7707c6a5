"""Partitions and fit seeds: two axes of the grid that move apart, each with its own spread, and neither a further subject."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataprep.datasets import dataset
from dataprep.records import InputError, SampleIndex
from grid.experiment import config
from grid.experiment.cells import Cell
from grid.experiment.partitions import splits_of
from grid.plan.planner import Planner
from grid.plan.specs import Inputs, Plan
from grid.results.axes import spread, with_axes
from grid.results.stats import compare, every_pair, over_people
from grid.results.tables import scores_table, table2

ROWS = ("eda", "eda+ecg", "eda:argmax")
CELL = ["modality", "scenario", "protocol", "fold", "repeat", "seed"]


def people(n: int) -> SampleIndex:
    """`n` subjects with two trials a class."""
    ids = [f"s{s}-{c}-{i}" for s in range(n) for c in ("BL1", "PA4") for i in range(2)]
    return SampleIndex(tuple(ids), tuple(i.split("-")[0] for i in ids), tuple(int("PA4" in i) for i in ids))


def planned(experiment: Path, *, n: int = 6, winner: Any = lambda stage: None, **changes: Any) -> Plan:
    index = people(n)
    known = {t: f"{i:012x}" for i, t in enumerate(index.trial_ids)}
    loaded = config.load(str(experiment), **changes)
    planner = Planner(loaded, dataset("biovid"), Inputs(index, dict.fromkeys(("video", "eda", "ecg"), known)), winner)
    return planner.build(ROWS, ("all87",))


def held_out(plan: Plan) -> dict[tuple[int, int], set[str]]:
    """Who is tested, by repeat and fold."""
    return {(c.repeat, c.fold): set(p.test.subjects) for c, p in plan.predicts.items()}


def fits(plan: Plan) -> dict[str, int]:
    """Key and seed of the random numbers of every fit."""
    return {key: fit.stage.seed for key, fit in plan.fits.items()}


def test_a_partition_is_drawn_from_the_protocols_seed_and_weights_from_the_fits(tiny_experiment: Path) -> None:
    plain = planned(tiny_experiment)
    assert len(plain.cells) == 2 * len(ROWS)
    assert {(c.repeat, c.seed) for c in plain.cells} == {(0, 0)}
    other_weights = planned(tiny_experiment, fit={"seeds": [5]})
    assert held_out(other_weights) == held_out(plain)
    assert not fits(other_weights).keys() & fits(plain).keys()
    assert not set(fits(other_weights).values()) & set(fits(plain).values())
    other_folds = planned(tiny_experiment, protocol={"seed": 5})
    assert held_out(other_folds) != held_out(plain)
    both = planned(tiny_experiment, fit={"seeds": [5, 0]}, protocol={"repeats": 2})
    assert {(c.repeat, c.seed) for c in both.cells} == {(0, 0), (0, 5), (1, 0), (1, 5)}
    assert {k: v for k, v in held_out(both).items() if k[0] == 0} == held_out(plain)
    assert held_out(both)[1, 0] not in (held_out(both)[0, 0], held_out(both)[0, 1])
    assert fits(plain).items() <= fits(both).items()
    assert fits(other_weights).items() <= fits(both).items()


def test_what_is_held_out_changes_no_fit_that_trains_on_the_same_trials(tiny_experiment: Path) -> None:
    """Leaving one out knows one partition: whatever the protocol's seed is, every key, seed and fit is the same."""
    one, two = (planned(tiny_experiment, protocol={"name": "loso", "seed": seed}) for seed in (0, 7))
    assert fits(one) == fits(two)
    assert [p.stage.key for p in one.predicts.values()] == [p.stage.key for p in two.predicts.values()]


def test_partitions_that_train_on_the_same_trials_share_the_fit(tiny_experiment: Path) -> None:
    plan = planned(tiny_experiment, n=4, protocol={"repeats": 5})  # four people have three partitions into two pairs
    assert len(plan.cells) == len(plan.predicts) == len(set(map(str, plan.cells))) == 5 * 2 * len(ROWS)
    by_side: dict[tuple[str, frozenset[str]], set[str]] = {}
    for cell, predict in plan.predicts.items():
        by_side.setdefault((cell.modality, frozenset(predict.fit.train.subjects)), set()).add(predict.fit.stage.key)
        assert not set(predict.test.subjects) & set(predict.fit.train.subjects)
    assert all(len(keys) == 1 for keys in by_side.values())
    assert len(plan.fits) == len(by_side) <= 6 * len(ROWS)


@pytest.mark.parametrize("name", ["loso", "holdout"])
def test_a_protocol_without_a_choice_has_no_repeats(tiny_experiment: Path, name: str) -> None:
    with pytest.raises(config.ConfigError, match=rf"protocol.repeats: found 2, expected 1: the protocol {name} has one"):
        config.load(str(tiny_experiment), protocol={"name": name, "repeats": 2})


def test_repeats_that_are_all_the_same_are_refused(tiny_experiment: Path) -> None:
    experiment = config.load(str(tiny_experiment), protocol={"folds": 3, "repeats": 3})
    with pytest.raises(InputError, match="the 3 partitions of these 3 subjects are all the same"):
        splits_of(experiment, dataset("biovid"), people(3))
    assert len(splits_of(experiment, dataset("biovid"), people(7))) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 3\n{}", r"found the key 'seed', expected .*\[protocol\] seed .*\[fit\] seeds"),
        ("{}\n[fit]\nseeds = []", "fit.seeds: .*at least one number, and each once"),
        ("{}\n[fit]\nseeds = [1, 1]", "fit.seeds: .*each once"),
        ("{}\n[fit]\nseeds = [-1]", r"fit.seeds.0: .*found -1"),
        ("{}\n[fit]\nseeds = [true]", r"fit.seeds.0: .*found True"),
        ("{}\n[fit]\nseeds = [0.5]", r"fit.seeds.0: .*found 0.5"),
        ("{}\n[fit]\nseed = 1", r"unknown key 'fit.seed'"),
    ],
)
def test_mistakes_are_named(tiny_experiment: Path, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text.format(tiny_experiment.read_text()))
    with pytest.raises(config.ConfigError, match=message):
        config.load(str(file))


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"repeats": 1.5}, {"seed": -1}, {"seed": "1"}])
def test_wrong_numbers_of_a_protocol_are_named(tiny_experiment: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(config.ConfigError, match=f"protocol.{next(iter(wrong))}: .*found"):
        config.load(str(tiny_experiment), protocol=wrong)


def test_a_search_is_one_for_all_seeds(tiny_experiment: Path) -> None:
    space = {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}
    search = {"search": {"trials": 2, "inner_folds": 2, "physiological": space}}
    one, two = (
        planned(tiny_experiment, winner=lambda stage: {"lr": 1e-3}, fit={"seeds": seeds}, **search)
        for seeds in ([0], [3, 0])
    )
    assert one.decided.keys() == two.decided.keys()
    assert len([f for f in two.fits.values() if f.role == "physiological"]) == 2 * len(
        [f for f in one.fits.values() if f.role == "physiological"]
    )
    assert {f.search for f in two.fits.values() if f.seed == 3} == {f.search for f in one.fits.values()}


def made_up(accuracy: dict[tuple[int, int, int], float], *, modality: str = "eda", trials: int = 20) -> pd.DataFrame:
    """Ten subjects; those of a fold have so many of their trials right, by repeat, seed and fold."""
    rows = []
    for (repeat, seed, fold), right in accuracy.items():
        for s, i in product(range(5), range(trials)):
            person = f"s{5 * fold + s}"
            y = i % 2
            p = 0.9 if (y == 1) == (i < round(right * trials)) else 0.1
            rows.append((modality, "all87", "subject", fold, repeat, seed, person, f"{person}-{i}", pd.NA, y, p))
    columns = [*CELL, "subject_name", "sample_name", "frame", "y_true", "p_pain"]
    return pd.DataFrame(rows, columns=columns).astype({"frame": "Int64"})


RUNS = {
    (0, 0, 0): 0.5, (0, 0, 1): 0.7, (0, 1, 0): 0.6, (0, 1, 1): 0.8,
    (1, 0, 0): 0.8, (1, 0, 1): 0.9, (1, 1, 0): 0.7, (1, 1, 1): 1.0,
}  # fmt: skip
"""Means of the four runs: 0.6 and 0.7 in partition 0, 0.85 and 0.85 in partition 1."""


def test_spreads_over_folds_partitions_and_seeds_are_told_apart() -> None:
    data = made_up(RUNS)
    row = table2(scores_table(data), data).loc[0]
    assert row[["folds", "repeats", "seeds", "cells", "n_subjects"]].tolist() == [2, 2, 2, 8, 10]
    assert row["accuracy_mean"] == pytest.approx(75.0)
    # ddof 1: folds 0.2, 0.2, 0.1, 0.3 apart; partitions 0.25 (seed 0) and 0.15 (seed 1); seeds 0.1 and 0
    assert row["accuracy_sd"] == pytest.approx(100 * np.sqrt((0.02 + 0.02 + 0.005 + 0.045) / 4))
    assert row["accuracy_sd_repeats"] == pytest.approx(100 * np.sqrt((0.25**2 / 2 + 0.15**2 / 2) / 2))
    assert row["accuracy_sd_seeds"] == pytest.approx(100 * np.sqrt((0.1**2 / 2 + 0) / 2))
    alone = made_up({key: value for key, value in RUNS.items() if key[:2] == (0, 0)})
    row = table2(scores_table(alone), alone).loc[0]
    assert row["accuracy_sd"] == pytest.approx(100 * np.std([0.5, 0.7], ddof=1))
    assert row[["accuracy_sd_repeats", "accuracy_sd_seeds"]].isna().all()


def test_a_cell_without_a_score_leaves_the_other_spreads() -> None:
    cells = pd.DataFrame([(f, r, s, a) for (r, s, f), a in RUNS.items()], columns=["fold", "repeat", "seed", "accuracy"])
    cells.loc[0, "accuracy"] = np.nan
    found = spread(cells, "accuracy")
    assert found["mean"] == pytest.approx(cells["accuracy"].mean())
    assert found["sd"] == pytest.approx(np.sqrt((0.02 + 0.005 + 0.045) / 3))
    assert all(np.isnan(v) for v in spread(cells.assign(accuracy=np.nan), "accuracy").values())


def test_more_predictions_of_a_trial_are_no_more_evidence() -> None:
    """The same predictions from three seeds: every interval and p is what it was, to the last digit."""
    rng = np.random.default_rng(0)
    once = pd.concat(
        [made_up({(0, 0, f): a for f, a in enumerate(rng.uniform(0.5, 0.9, 4))}, modality=m) for m in ("ecg", "eda", "emg")]
    )
    thrice = pd.concat([once, once.assign(seed=1), once.assign(seed=2)])
    pd.testing.assert_frame_equal(compare(once, every_pair(once)), compare(thrice, every_pair(thrice)))
    one, three = (table2(scores_table(t), t) for t in (once, thrice))
    same = ["n_subjects", "folds", "accuracy_mean", "accuracy_sd", "accuracy_low", "accuracy_high", "auroc_mean"]
    pd.testing.assert_frame_equal(one[same], three[same])
    assert three["accuracy_sd_seeds"].tolist() == [0.0] * 3


def test_partitions_say_how_much_the_variance_is_raised() -> None:
    """The same on a second partition: subjects count once, and what moves nobody adds nothing to their variance."""
    rng = np.random.default_rng(0)
    once = made_up({(0, 0, f): a for f, a in enumerate(rng.uniform(0.5, 0.9, 4))})
    moved = made_up({(1, 0, f): a for f, a in enumerate(rng.uniform(0.5, 0.9, 4))})
    one, same, other = (over_people(pd.concat([once, t])) for t in (once[:0], once.assign(repeat=1), moved))
    assert one.n == same.n == other.n
    assert same.mean == one.mean
    assert same.null_se < one.null_se
    assert other.null_se > same.null_se


def test_tables_of_earlier_folders_are_partition_0_and_seed_0() -> None:
    data = made_up({(0, 0, 0): 0.5, (0, 0, 1): 0.75})
    old = data.drop(columns=["repeat", "seed"])
    pd.testing.assert_frame_equal(with_axes(old), data)
    pd.testing.assert_frame_equal(scores_table(old), scores_table(data))
    cells = [("eda", "all87", "subject", 0), ("eda", "all87", "subject", 0, 0, 1)]
    assert scores_table(old, cells=cells)["n_test"].tolist() == [100, 0, 100]


def test_a_cell_is_named_shortly_where_nothing_is_repeated() -> None:
    assert str(Cell("eda", "all87", "subject", 3)) == "eda/all87/subject/fold3"
    assert (
        str(Cell(modality="eda", scenario="all87", protocol="subject", fold=3, repeat=1, seed=2))
        == "eda/all87/subject/repeat1/seed2/fold3"
    )


def test_counts_of_the_published_grid(tmp_path: Path) -> None:
    """Ten folds, eight rows, two scenarios: 160 cells and 180 fits, and as many times more as there are partitions x seeds."""
    from tests.benchmarks.scheduling import planner_of, published

    for changes, factor in (({}, 1), ({"protocol": {"repeats": 2}, "fit": {"seeds": [0, 1, 2]}}, 6)):
        planner = planner_of(published(1), **changes)
        plan = planner.build(planner.experiment.axes.modalities, planner.experiment.axes.scenarios)
        assert (len(plan.cells), len(plan.fits), len(plan.predicts)) == (160 * factor, 180 * factor, 160 * factor)
        json.dumps(planner.experiment.facts())
