"""X-ITE: a file of MATLAB for each person, with a label for each sample."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from dataprep.datasets import recognise
from dataprep.datasets.x_ite import DATASET, RATE_HZ, windows
from dataprep.records import RecordingError
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.trees import x_ite


def test_windows_begin_at_stimuli_and_baselines_end_before_them(tmp_path: Path) -> None:
    x_ite(tmp_path, people=1)
    assert recognise(tmp_path).name == "x-ite"
    trials, defects = DATASET.read_trials(tmp_path)
    assert defects == ()
    short = dict.fromkeys(("pH1", "pH2", "pH3", "pE1", "pE2", "pE3", "B"), 2)
    assert Counter(t.class_name for t in trials) == {**short, "tH3": 1}
    assert [t.start_s for t in trials] == sorted(t.start_s for t in trials)
    x_NTC, _, defects = prepare_signals(trials, DATASET)
    assert (x_NTC.shape, defects) == ((15, 175, 5), ())
    label, time = (x_NTC[..., DATASET.channels.index(name)] for name in ("emg_trapezius", "ecg"))
    of = {"B": 0, "tH3": 6, "pH1": 1, "pH2": 2, "pH3": 3, "pE1": -1, "pE2": -2, "pE3": -3}
    for n, trial in enumerate(trials):
        np.testing.assert_allclose(time[n], trial.start_s + np.arange(175) / 25, atol=1e-3)
        assert round(float(label[n, 10:60].mean())) == of[trial.class_name]
    ends = [(t.start_s, t.start_s + 7) for t in trials]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))


def test_what_does_not_follow_the_protocol_costs_itself_with_its_reason(tmp_path: Path) -> None:
    x_ite(tmp_path, people=3, rounds=1)
    first, second, _ = sorted((tmp_path / "Bio").iterdir())
    held = loadmat(first)
    savemat(first, {"data": held["data"][:-5], "stimuli": held["stimuli"]})
    savemat(second, {"data": held["data"]})
    trials, defects = DATASET.read_trials(tmp_path)
    assert {t.subject for t in trials} == {"S003"}
    told = {d.subject: d.reason for d in defects}
    assert "expected a label in stimuli for each sample" in told["S001"]
    assert "'stimuli' among them" in told["S002"]
    rest, pain = np.zeros(12_000), np.full(4000, 2)
    found, broken = windows(tmp_path, np.concatenate([rest, pain, rest, pain[:3000], rest, pain]))
    assert [(at_s, name) for at_s, name in found] == [(5.0, "B"), (12.0, "pH2")]
    assert [("lasts 3.0 s" in b, "lasts 4.0 s" in b) for b in broken] == [(True, False), (False, True)]  # short; at the end
    with pytest.raises(RecordingError, match="found the stimulus 9"):
        windows(tmp_path, np.concatenate([rest, [9.0]]))
    assert RATE_HZ == 1000
