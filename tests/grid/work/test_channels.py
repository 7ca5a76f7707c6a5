"""A channel that cannot be used costs the rows that use it, and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from grid.launch import main


def run(data: Path, experiment: Path, out: Path, rows: str) -> pd.DataFrame:
    """Predictions of a run in this process."""
    named = ["--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    assert main(["--modalities", rows, "--scenarios", "all87", "--in-process", *named]) == 0
    return pd.read_parquet(out / "predictions.parquet")


@pytest.mark.slow
def test_a_flat_channel_costs_the_rows_that_use_it(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    file = next((data / "biosignals_filtered").rglob("*_bio.csv"))
    trial = file.stem.removesuffix("_bio")
    table = pd.read_csv(file, sep="\t")
    table["ecg"] = 0.5
    table.to_csv(file, sep="\t", index=False)
    found = run(data, tiny_experiment, tmp_path / "all", "eda,ecg,eda+ecg,eda:argmax")
    trials = found.groupby("modality").sample_name.unique().map(set)
    assert trial in trials["eda"]
    assert trial in trials["eda:argmax"]
    assert trials["ecg"] == trials["eda+ecg"] == trials["eda"] - {trial}
    (left_out,) = pd.read_csv(tmp_path / "all/quarantine.csv").to_dict("records")
    assert (left_out["trial_id"], left_out["part"]) == (trial, "signals")
    assert "channel 'ecg': found 0.5 in all" in left_out["reason"]
    alone = run(data, tiny_experiment, tmp_path / "alone", "eda")
    pd.testing.assert_frame_equal(alone, found[found.modality == "eda"].reset_index(drop=True))
    assert pd.read_csv(tmp_path / "alone/quarantine.csv").empty
    capsys.readouterr()
    run(data, tiny_experiment, tmp_path / "all", "eda,ecg,eda+ecg,eda:argmax")
    said = capsys.readouterr().out
    assert "nothing was computed again" in said
    assert "1 recordings left out" in said
