"""PainMonit (experimental and clinical): trees of files as their authors lay them out, a few people and stimuli each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import recognise
from dataprep.datasets.painmonit import DATASET, RATE_HZ
from dataprep.datasets.painmonit_clinical import DATASET as CLINICAL
from dataprep.datasets.painmonit_covas import DATASET as COVAS
from dataprep.records import InputError
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.trees import painmonit, painmonit_clinical


def test_windows_begin_at_onsets_and_are_labelled_by_the_persons_own_temperatures(tmp_path: Path) -> None:
    painmonit(tmp_path, people=2, rounds=2)
    assert recognise(tmp_path).name == "painmonit"
    trials, defects = DATASET.read_trials(tmp_path)
    assert defects == ()
    assert Counter(t.class_name for t in trials if t.subject == "S_01") == {
        "baseline": 8,
        "warm": 2,
        "P1": 2,
        "P2": 2,
        "P3": 2,
        "P4": 2,
    }
    assert len({t.trial_id for t in trials}) == len(trials)
    x_NTC, ids, defects = prepare_signals(trials, DATASET)
    assert (x_NTC.shape, len(ids), defects) == ((len(trials), 250, 6), len(trials), ())
    # in the tree, breathing is the time in s and the wrist's EDA the temperature: each window holds its own
    of_channel = {name: x_NTC[..., i] for i, name in enumerate(DATASET.channels)}
    for n, trial in enumerate(trials):
        np.testing.assert_allclose(of_channel["resp"][n], trial.start_s + np.arange(250) / 25, atol=1e-3)
    levels = {
        name: {
            round(float(of_channel["eda_wrist"][n].mean()), 2)
            for n, t in enumerate(trials)
            if t.class_name == name and t.subject == "S_02"
        }
        for name in ("warm", "P4")
    }
    assert levels == {"warm": {38.5}, "P4": {46.5}}


def test_ratings_are_quarters_of_the_persons_highest(tmp_path: Path) -> None:
    painmonit(tmp_path, people=1, rounds=1)
    trials, defects = COVAS.read_trials(tmp_path)
    assert defects == ()
    said = {t.trial_id.rpartition("-")[0]: t.class_name for t in trials}
    by_heater = {t.trial_id.rpartition("-")[0]: t.class_name for t in DATASET.read_trials(tmp_path)[0]}
    # the tree's slider: 0 for warm, then 10, 20, 30 and 40
    expected = {"baseline": "none", "warm": "none", "P1": "Q2", "P2": "Q3", "P3": "Q4", "P4": "Q4"}
    assert said == {name: expected[level] for name, level in by_heater.items()}


def test_what_does_not_follow_the_protocol_costs_itself_with_its_reason(tmp_path: Path) -> None:
    painmonit(tmp_path, people=3, rounds=1)
    first, second, third = sorted((tmp_path / "raw-data").iterdir())
    first.write_text(first.read_text().replace("Heater_cleaned", "Heater"))
    lines = second.read_text().split("\n")
    second.write_text("\n".join([*lines[:500], lines[500].replace(";", ";x", 1), *lines[501:]]))
    at = next(t for t in DATASET.read_trials(tmp_path)[0] if t.class_name == "P4").start_s
    rows = third.read_text().split("\n")
    third.write_text("\n".join(rows[: 1 + int((at + 5) * RATE_HZ)]))  # ends in the midst of its hottest stimulus
    trials, defects = DATASET.read_trials(tmp_path)
    assert not trials
    reasons = {d.subject: d.reason for d in defects}
    assert "expected 'Heater_cleaned' among them; there is Heater" in reasons["S_01"]
    assert "row 501, column 'Heater_cleaned': found 'x" in reasons["S_02"]
    assert "expected five temperatures beside 32" in reasons["S_03"]
    with pytest.raises(InputError, match="raw-data"):
        DATASET.read_trials(tmp_path / "raw-data" / "nothing")


def test_a_session_of_the_clinic_gives_rated_windows_and_the_rest_before_it(tmp_path: Path) -> None:
    painmonit_clinical(tmp_path)
    assert recognise(tmp_path).name == "painmonit-clinical"
    trials, defects = CLINICAL.read_trials(tmp_path)
    assert defects == ()
    assert Counter(t.class_name for t in trials) == {"no pain": 4 * 3, "pain": 4 * 2, "severe pain": 4}
    assert {t.subject for t in trials} == {"P01", "P02"}  # two sessions each
    x_NTC, _, defects = prepare_signals(trials, CLINICAL)
    assert (x_NTC.shape, defects) == ((24, 100, 6), ())
    (tmp_path / "raw-data" / "P01_1" / "P01_1_runUp.csv").unlink()
    _, defects = CLINICAL.read_trials(tmp_path)
    assert [(d.subject, "P01_1_runUp.csv: the file is missing" in d.reason) for d in defects] == [("P01", True)]
