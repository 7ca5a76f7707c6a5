"""Scaling by other held-out trials stands at the top of the report, as the fits have it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.dashboards.test_report import FEW, page_of

MakeFolder, Predict, RunRecord = Callable[..., Path], Callable[..., pd.DataFrame], Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("protocol", "words"),
    [("subject", "of a held-out person over the held-out trials"), ("sample", "of the tested side apart")],
)
def test_scaling_over_the_tested_side_is_told_whatever_the_experiment_says(
    protocol: str, words: str, make_folder: MakeFolder, predict: Predict, run_record: RunRecord
) -> None:
    predictions = predict(rows=("eda",), scenarios={"all87": FEW["all87"]}, folds=5, protocol=protocol)
    run = run_record(signals={"normalise": "trial", "sees_test_side": ["eda (all87)"]}, protocol=protocol)
    folder = make_folder(predictions, run=run)
    text = page_of(folder).text
    assert "In eda (all87) a person's signals were scaled" in text
    assert words in text
    run["signals"] = {"normalise": "subject", "sees_test_side": []}
    (folder / "run.json").write_text(json.dumps(run))
    assert "Transductive" not in page_of(folder).text
