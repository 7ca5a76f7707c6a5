"""Rows on channels that are made of recorded ones: trained by any method, exported, and used as files, arrays and streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grid.experiment.cells import row
from grid.launch import main
from painmodels.export import from_run
from painmodels.stream import replay

OPTIONS = 'filters = 4\nstride = 3\npooling = "mean"\nforget_bias = 1.0\n'
"""Of the network, beside the paper's."""
ROWS = "eda+hr,ecg@128,eda_phasic:argmax,hr:logistic,emg_envelope"


@pytest.mark.slow
def test_they_are_rows_like_any_other(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    other = tiny_experiment.read_text().replace(
        "[physiological]", '[signals]\nnormalise = "start"\n[physiological]\n' + OPTIONS
    )
    (tmp_path / "other.toml").write_text(other)
    base = ["--data", str(tiny_data), "--experiment", str(tmp_path / "other.toml"), "--out", str(tmp_path), "--in-process"]
    assert main([*base, "--modalities", ROWS, "--scenarios", "expressive67", "--folds", "0"]) == 0
    scores = pd.read_csv(tmp_path / "scores.csv").set_index("modality")
    assert set(scores.index) == {*ROWS.split(",")}
    assert scores.accuracy.notna().all()
    told = pd.read_parquet(tmp_path / "predictions.parquet").set_index(["modality", "sample_name"]).p_pain
    model = from_run(tmp_path, "eda+hr/expressive67/fold0")
    assert model.inputs == ("eda", "ecg")
    model.save(tmp_path / "model")
    assert "Takes eda, ecg, 5.52 s" in (tmp_path / "model" / "README.md").read_text()
    for name in told["eda+hr"].index:
        file = next((tiny_data / "biosignals_filtered").rglob(f"{name}_bio.csv"))
        assert model.predict(signals=file).p_pain == pytest.approx(told["eda+hr", name], abs=1e-6)
    read = model.native_signals(file)
    arrays = {c: read[c][0] for c in model.inputs}
    of_arrays = model.predict_arrays(signals=arrays, rates_hz=dict.fromkeys(model.inputs, 512.0))
    assert of_arrays.p_pain == pytest.approx(told["eda+hr", name], abs=1e-6)
    (streamed,) = replay(model, video=None, signals=file)
    assert streamed.p_pain == pytest.approx(of_arrays.p_pain, abs=1e-6)
    with pytest.raises(ValueError, match="no signals\\['ecg'\\]"):
        model.predict_arrays(signals={"eda": np.zeros(2816)}, rates_hz={"eda": 512.0})
    with pytest.raises(ValueError, match="ecg@128: signals at a rate of their own"):
        from_run(tmp_path, "ecg@128/expressive67/fold0")


def test_the_signals_of_a_row_have_one_rate() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'eda@128\+ecg@128'"):
        row("eda+ecg@128")
