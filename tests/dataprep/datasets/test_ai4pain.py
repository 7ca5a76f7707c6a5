"""AI4Pain: a tree of wide tables, one column a segment."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from dataprep.datasets import recognise
from dataprep.datasets.ai4pain import DATASET
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.trees import ai4pain


def test_each_window_is_cut_from_its_own_segment(tmp_path: Path) -> None:
    ai4pain(tmp_path)
    assert recognise(tmp_path).name == "ai4pain"
    trials, defects = DATASET.read_trials(tmp_path)
    assert defects == ()
    assert Counter(t.class_name for t in trials) == {"no pain": 8, "high": 8, "low": 8, "rest": 16}
    assert sorted({t.subject for t in trials}) == ["test-4", "train-1", "train-2", "validation-3"]
    x_NTC, _, defects = prepare_signals(trials, DATASET)
    assert (x_NTC.shape, defects) == ((40, 250, 4), ())
    order = ["baseline", "high_1", "rest_1", "low_1", "rest_2", "high_2", "rest_3", "low_2", "rest_4"]
    for trial, x_TC in zip(trials, x_NTC, strict=True):  # a value is 100 x the segment's number + its time in s
        segment = trial.trial_id.removeprefix(f"{trial.subject}-").rpartition("-")[0]
        expected = 100 * order.index(segment) + trial.start_s + np.arange(250) / 25
        np.testing.assert_allclose(x_TC, np.tile(expected[:, None], 4), atol=2e-3)
    rest = next(t for t in trials if t.class_name == "rest")
    assert rest.start_s == 10.0  # the last 10 s of 20


def test_columns_without_a_label_and_absent_signals_are_said(tmp_path: Path) -> None:
    ai4pain(tmp_path, people=(1, 0, 1))
    for name in ("Bvp", "Eda", "Resp", "SpO2"):
        file = tmp_path / "test" / name / "2.csv"
        file.write_text(file.read_text().replace("2_HIGH_1", "2_segment_7"))
    (tmp_path / "train" / "SpO2" / "1.csv").unlink()
    trials, defects = DATASET.read_trials(tmp_path)
    assert ["1 columns without a label, such as '2_segment_7'" in d.reason for d in defects] == [True]
    _, ids, defects = prepare_signals([t for t in trials if t.subject == "train-1"], DATASET)
    assert len(ids) == 10
    assert {d.channels for d in defects} == {("spo2",)}
