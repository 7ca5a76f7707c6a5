"""Recalibration on inner folds: what it is fitted on, what it does, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataprep.records import InputError
from grid.experiment import config
from grid.plan.specs import Plan, all_fits_of
from grid.results.files import predictions
from grid.run.show import served_text
from grid.store.artefacts import Store
from grid.work.fit_predict import Runner
from painmodels.methods.calibrate import CALIBRATORS, Settings, given
from tests.grid.work.test_out_of_fold import Planted, planned

ASKED = {"fit": {"calibrate": "platt", "calibration_folds": 2}}


def fitted(how: str, p_N: np.ndarray, y_N: np.ndarray, asked: np.ndarray) -> np.ndarray:
    calibrator = CALIBRATORS[how]
    weights = calibrator.fit(given(p_N), y_N, Settings(), 0, "cpu").weights
    return calibrator.predict(weights, given(asked), Settings(), "cpu")


@pytest.mark.parametrize("how", ["platt", "isotonic"])
def test_probabilities_that_are_too_extreme_become_what_they_say(how: str) -> None:
    rng = np.random.default_rng(0)
    log_odds_N = rng.normal(0, 1, 4000)
    y_N = (rng.random(4000) < 1 / (1 + np.exp(-log_odds_N))).astype(int)
    too_sure_N = 1 / (1 + np.exp(-3 * log_odds_N))
    found = fitted(how, too_sure_N, y_N, 1 / (1 + np.exp(-3 * np.array([-1.0, 0.0, 1.0]))))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-np.array([-1.0, 0.0, 1.0]))), atol=0.06)


@pytest.mark.parametrize("how", ["platt", "isotonic"])
def test_no_ranking_is_turned_over_and_extremes_have_a_value(how: str) -> None:
    y_N = np.array([0, 1] * 20)
    found = fitted(how, np.where(y_N == 1, 0.2, 0.8), y_N, np.array([0.0, 0.3, 0.7, 1.0]))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    assert np.ptp(fitted(how, np.full(40, 1.0), y_N, np.array([0.0, 1.0]))) < 1e-6


def test_a_calibration_sees_no_tested_person_and_none_that_gave_its_predictions(
    tiny_experiment: Path, tmp_path: Path
) -> None:
    planted = Planted()
    plan = planned(tiny_experiment, planted, ("eda:logistic", "majority"), **ASKED)
    predict = next(p for cell, p in plan.predicts.items() if cell.modality == "eda:logistic")
    tested, fit = set(predict.test.subjects), predict.fit
    assert fit.role == "calibration"
    assert all(tested.isdisjoint(f.train.subjects) for f in all_fits_of(fit))
    for refit in fit.refits:
        assert set(refit.held_out.subjects).isdisjoint(refit.upstream[0].train.subjects)
    assert {s for refit in fit.refits for s in refit.held_out.subjects} == set(fit.train.subjects)
    assert all(p.fit.role != "calibration" for cell, p in plan.predicts.items() if cell.modality == "majority")

    first = run(plan, planted, tmp_path / "first")
    for trial, subject in zip(planted.index.trial_ids, planted.index.subjects, strict=True):
        if subject in tested:
            planted.eda[trial] = 5 - 3 * planted.eda[trial]
    again = run(plan, planted, tmp_path / "again")
    for name, array in first.arrays(fit.stage).items():
        np.testing.assert_array_equal(array, again.arrays(fit.stage)[name])

    truth = dict(zip(planted.index.trial_ids, map(float, planted.index.labels), strict=True))
    learns = config.load(str(tiny_experiment)).learns
    after, before = (predictions(plan, first, truth, learns, before=b) for b in (False, True))
    assert set(before["modality"]) == {"eda:logistic"}
    mine = after[after["modality"] == "eda:logistic"]
    assert mine["sample_name"].tolist() == before["sample_name"].tolist()
    assert (mine["p_pain"].to_numpy() != before["p_pain"].to_numpy()).any()


def run(plan: Plan, planted: Planted, folder: Path) -> Store:
    store = Store(folder)
    runner = Runner(store, planted)
    for fit in plan.fits.values():
        runner.fit(fit)
    for predict in plan.predicts.values():
        runner.predict(predict)
    return store


def test_it_changes_no_key_of_the_fits_that_it_recalibrates(tiny_experiment: Path) -> None:
    plain, asked = (planned(tiny_experiment, Planted(), ("eda", "eda+video"), **more) for more in ({}, ASKED))
    assert plain.fits.keys() < asked.fits.keys()
    assert served_text(plain) == f"{len(plain.fits)} fits serve 4 cells"


def test_it_is_refused_where_there_is_no_probability_of_pain(tiny_experiment: Path) -> None:
    three = {"kind": "multiclass", "classes": ["BL1", "PA2", "PA4"]}
    with pytest.raises(InputError, match=r"fit\.calibrate: found 'platt', expected 'off' for the task multiclass"):
        config.load(str(tiny_experiment), task=three, **ASKED)
