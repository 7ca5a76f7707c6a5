"""WESAD: trees of its text files, written as its recorders write them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import recognise
from dataprep.datasets.wesad import DATASET, in_units, phases
from dataprep.records import RecordingError
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.trees import wesad


def test_windows_lie_inside_their_phase_on_both_clocks_and_no_pickle_is_opened(tmp_path: Path) -> None:
    wesad(tmp_path, people=(10,))
    assert recognise(tmp_path).name == "wesad"
    trials, defects = DATASET.read_trials(tmp_path)
    assert defects == ()
    assert Counter(t.class_name for t in trials) == {"baseline": 6, "stress": 6, "amusement": 6}
    bounds_s = {name: (start, end) for name, start, end in phases(tmp_path / "S10" / "S10_quest.csv")}
    assert bounds_s == {"Base": (5, 125), "TSST": (130, 250), "Fun": (260, 380), "sRead": (385, 390)}
    x_NTC, ids, defects = prepare_signals(trials, DATASET)
    assert (x_NTC.shape, len(ids)) == ((18, 250, 8), 18)
    chest, wrist = (x_NTC[..., DATASET.channels.index(name)] for name in ("eda", "eda_wrist"))
    for n, trial in enumerate(trials):
        start_s, end_s = bounds_s[{"baseline": "Base", "stress": "TSST", "amusement": "Fun"}[trial.class_name]]
        assert start_s + 30 <= trial.start_s <= end_s - 40
        # EDA is the time since the recorder began: at the chest times 0.05, in raw values; at the wrist on the watch's clock
        np.testing.assert_allclose(chest[n], (trial.start_s + np.arange(250) / 25) * 0.05, atol=0.01)
        np.testing.assert_allclose(wrist[n], trial.start_s + np.arange(250) / 25, atol=0.3)
    assert defects == ()
    assert not Path("a-pickle-was-opened").exists()


def test_raw_values_become_units() -> None:
    """By the formulas of the data set's description, at values worked out by hand."""
    raw = np.array([32768.0])
    assert in_units("ECG", raw)[0] == 0
    assert in_units("EDA", raw)[0] == pytest.approx(12.5)
    assert in_units("RESPIRATION", raw * 1.5)[0] == pytest.approx(25)
    assert in_units("TEMP", raw)[0] == pytest.approx(
        25, abs=0.1
    )  # half of the voltage: 10 kOhm, the thermistor at 25 degrees


def test_what_is_wrong_with_a_person_is_said_and_costs_that_person(tmp_path: Path) -> None:
    wesad(tmp_path, people=(2, 3, 4), minutes=0.1)
    quest = tmp_path / "S2" / "S2_quest.csv"
    quest.write_text(quest.read_text().replace("2.1;4.2", "2.75;4.2"))
    chest = tmp_path / "S3" / "S3_respiban.txt"
    chest.write_text(chest.read_text().replace('"sampling rate": 700', '"sampling rate": 350'))
    (tmp_path / "S4" / "S4_quest.csv").unlink()
    trials, defects = DATASET.read_trials(tmp_path)
    reasons = {d.subject: d.reason for d in defects}
    assert "found the time '2.75', expected minutes.seconds" in reasons["S2"]
    assert "found no S4_quest.csv" in reasons["S4"]
    with pytest.raises(RecordingError, match="at 350 Hz, expected ECG, EDA"):
        DATASET.read_signals(next(t for t in trials if t.subject == "S3"))
