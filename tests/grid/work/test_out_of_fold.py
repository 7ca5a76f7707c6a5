"""A fusion that is trained on out-of-fold outputs leans on the stream that holds up, not on the one that overfits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import dataset
from dataprep.faces import FaceTrack
from dataprep.records import SampleIndex
from grid.experiment import config
from grid.plan.planner import Planner
from grid.plan.specs import Fit, Inputs, Plan, all_fits_of, fits_of
from grid.store.artefacts import Store
from grid.work.fit_predict import Runner
from painmodels.registry import SubNetwork
from painmodels.training.loop import fit, outputs

STEPS, WIDTH, PEOPLE, TRIALS = 16, 64, 30, 4
DATASET = replace(dataset("biovid"), n_steps=STEPS, channels=("eda",))
TABLES = {
    "spatial": {"width": 32, "epochs": 12, "batch": 64, "lr": 5e-3},
    "temporal": {"hidden": 8, "epochs": 10, "batch": 16, "lr": 1e-2},
    "attention": {"epochs": 10, "batch": 16, "lr": 1e-2},
    "physiological": {"hidden": 8, "epochs": 40, "batch": 16, "lr": 1e-2},
    "fusion": {"width": 8, "epochs": 80, "batch": 16, "lr": 1e-2},
    "protocol": {"folds": 2},
}
OUT_OF_FOLD = {"fusion": {**TABLES["fusion"], "features": "out-of-fold", "inner_folds": 3}}


class Planted:
    """Trials whose frames are noise that a wide network remembers, and whose EDA rises late in most of those with pain."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        ids = [(f"s{s:02d}-{n}", f"s{s:02d}", n % 2) for s in range(PEOPLE) for n in range(TRIALS)]
        names, subjects, labels = (tuple(column) for column in zip(*ids, strict=True))
        self.index = SampleIndex(names, subjects, labels)
        late_N = np.array(labels) ^ (rng.random(len(labels)) < 0.15)
        t_T = np.arange(STEPS) / STEPS
        self.eda, self.features = {}, {}
        for name, late in zip(names, late_N, strict=True):
            peak = 0.75 if late else 0.25
            course_T = np.exp(-(((t_T - peak) / 0.15) ** 2)) + 0.1 * rng.normal(size=STEPS)
            self.eda[name] = course_T[:, None].astype(np.float32)
            self.features[name] = np.tile(rng.normal(size=WIDTH), (STEPS, 1)).astype(np.float16)

    def of_video(self, kind: str, trial_ids: Iterable[str]) -> list[np.ndarray]:
        return [self.features[t] for t in trial_ids]

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        return [self.eda[t] for t in trial_ids]

    def of_channels(self, kind: str, trial_ids: Iterable[str]) -> list[Mapping[str, np.ndarray]]:
        raise AssertionError(f"found a part that takes {kind}, expected rows of signals on the clock and of features")

    def tracks(self, trial_ids: Iterable[str]) -> list[FaceTrack]:
        raise AssertionError("found a part that takes faces, expected rows of signals on the clock and of features")

    def start(self, name: str) -> Mapping[str, np.ndarray]:
        return {}


def planned(experiment: Path, planted: Planted, rows: tuple[str, ...], **tables: dict) -> Plan:
    keys = {t: f"{n:012x}" for n, t in enumerate(planted.index.trial_ids)}
    trunk = {"name": "mini-xception-fer", "random": True}
    wanted = config.load(str(experiment), **{**TABLES, "trunk": trunk, **tables})
    planner = Planner(wanted, DATASET, Inputs(planted.index, {"video": keys, "eda": keys}))
    return planner.build(rows, ("all87",))


def accuracy(runner: Runner, plan: Plan, row: str, labels: Mapping[str, int]) -> float:
    """Mean over the folds of how many held-out trials are called right."""
    found = []
    for cell, predict in plan.predicts.items():
        if cell.modality == row:
            for job in all_fits_of(predict.fit):
                runner.fit(job)
            runner.predict(predict)
            p_N = runner.store.arrays(predict.stage)["p_pain"]
            found.append(np.mean([(p > 0.5) == labels[t] for p, t in zip(p_N, predict.test.trial_ids, strict=True)]))
    return float(np.mean(found))


def averaged(runner: Runner, plan: Plan, labels: Mapping[str, int]) -> float:
    """The other way to one basis: a fusion of hidden states for each refit, trained on who was left out of it; their mean."""
    found = []
    for predict in plan.predicts.values():
        of, p = predict.fit, []
        network = of.part.trained
        assert isinstance(network, SubNetwork)
        inputs = tuple(replace(taken, output="features") for taken in of.part.inputs)
        for n, refit in enumerate(of.refits):
            job: Fit = replace(of, upstream=refit.upstream, refits=(), part=replace(of.part, inputs=inputs))
            x, _ = runner.networks.inputs(job, refit.held_out.trial_ids, refit.held_out.subjects)
            fitted = fit(network, of.settings, x, np.asarray(refit.held_out.labels), seed=n)
            x, _ = runner.networks.inputs(job, predict.test.trial_ids, predict.test.subjects)
            p.append(outputs(network, of.settings, fitted.weights, x, what="prediction"))
        called = np.mean(p, axis=0) > 0.5
        found.append(np.mean([c == labels[t] for c, t in zip(called, predict.test.trial_ids, strict=True)]))
    return float(np.mean(found))


@pytest.mark.slow
def test_a_stream_that_overfits_costs_less(tiny_experiment: Path, tmp_path: Path) -> None:
    planted = Planted()
    labels = dict(zip(planted.index.trial_ids, planted.index.labels, strict=True))
    runner = Runner(Store(tmp_path / "store"), planted)
    papers = planned(tiny_experiment, planted, ("eda", "video", "eda+video"))
    alone, video, in_sample = (accuracy(runner, papers, row, labels) for row in ("eda", "video", "eda+video"))
    plan = planned(tiny_experiment, planted, ("eda+video",), **OUT_OF_FOLD)
    out_of_fold = accuracy(runner, plan, "eda+video", labels)
    mean = averaged(runner, plan, labels)
    spatial = next(f for f in papers.fits.values() if f.role == "spatial")
    remembered = runner.store.facts(spatial.stage)["curve"][-1]["accuracy"]
    print(f"eda {alone:.3f}, video {video:.3f} (training {remembered:.3f}), eda+video {in_sample:.3f}")
    print(f"eda+video out of fold: {out_of_fold:.3f} of probabilities, {mean:.3f} of the mean of fusions")
    assert remembered > 0.95
    assert abs(video - 0.5) < 0.12
    assert alone > 0.75
    assert out_of_fold > in_sample + 0.05
    assert out_of_fold > alone - 0.05
    assert mean > in_sample


def test_who_is_left_out_is_in_no_fit_that_gives_its_outputs(tiny_experiment: Path) -> None:
    planted = Planted()
    plan = planned(tiny_experiment, planted, ("eda+video",), **OUT_OF_FOLD)
    for predict in plan.predicts.values():
        fusion, side = predict.fit, predict.fit.train
        held_out = [t for refit in fusion.refits for t in refit.held_out.trial_ids]
        assert sorted(held_out) == sorted(side.trial_ids)
        assert len(fusion.refits) == 3
        for refit in fusion.refits:
            for job in (f for u in refit.upstream for f in all_fits_of(u)):
                assert set(job.train.subjects).isdisjoint(refit.held_out.subjects)
                assert set(job.train.subjects) <= set(side.subjects)
                assert job.stage.key in plan.fits
                assert job.stage.key in {f.stage.key for f in all_fits_of(fusion)}
        assert [f.role for f in fits_of(fusion)] == ["spatial", "temporal", "attention", "physiological", "fusion"]
    again = planned(tiny_experiment, planted, ("eda+video",), **OUT_OF_FOLD)
    assert list(again.fits) == list(plan.fits)
    assert len(plan.fits) == 2 * (5 + 3 * 4)  # of a fold: the paper's five, and four for each of three refits


def test_the_papers_fusion_keeps_its_keys(tiny_experiment: Path) -> None:
    planted = Planted()
    said = planned(tiny_experiment, planted, ("eda+video",), fusion={**TABLES["fusion"], "features": "in-sample"})
    assert list(said.fits) == list(planned(tiny_experiment, planted, ("eda+video",)).fits)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"fusion": {"features": "out-of-folds"}}, r"\[fusion\]: features: Input should be 'in-sample' or 'out-of-fold'"),
        ({"fusion": {"features": "out-of-fold", "inner_folds": 1}}, "fusion.inner_folds: found 1, expected at least 2"),
        (
            {"fusion": {"network": "cross-attention", "features": "out-of-fold", "width": 8}},
            "fusion.features: found 'out-of-fold' with a fusion step by step",
        ),
    ],
)
def test_what_cannot_be_is_refused(tiny_experiment: Path, table: dict, reason: str) -> None:
    with pytest.raises(config.ConfigError, match=reason):
        config.load(str(tiny_experiment), **table)


def test_too_few_people_make_a_cell_impossible(tiny_experiment: Path) -> None:
    planted = Planted()
    planted.index = planted.index.of_subjects({"s00", "s01", "s02", "s03"})
    plan = planned(
        tiny_experiment, planted, ("eda+video",), protocol={"folds": 2}, fusion={"features": "out-of-fold", "width": 8}
    )
    assert len(plan.impossible) == 2
    assert all(reason.startswith("out-of-fold features: ") for reason in plan.impossible.values())
