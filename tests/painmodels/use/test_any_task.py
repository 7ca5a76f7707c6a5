"""Rows that tell levels or give numbers are exported, applied, streamed and registered, with the grid's own predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboards.demonstrator import judged, page
from dataprep.synthetic.dataset import write_synthetic
from dataprep.video.retinaface import onnx_session
from grid.tracking.mirror import Mirror
from grid.tracking.model_versions import register
from painmodels.export import any_from_run, from_run, main
from painmodels.predict import main as predict
from painmodels.stream import replay, told
from painmodels.use.model import load
from tests.grid.run.scored import scored

LEVELS = ("BL1", "PA2", "PA4")
TASKS = {
    "ordinal": '[task]\nkind = "ordinal"\nclasses = ["BL1", "PA2", "PA4"]\n',
    "regression": '[task]\nkind = "regression"\nclasses = ["BL1", "PA2", "PA4"]\nvalues = [32, 44, 48.5]\nunit = "°C"\n',
}
COLUMNS = {"ordinal": [f"p_{name}" for name in LEVELS], "regression": ["value"]}
ROWS = ("eda", "eda:rf")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("levels") / "data"
    write_synthetic(path, subjects=4, trials=2, classes=LEVELS, videos=False, jobs=1)
    return path


@pytest.fixture(scope="module", params=TASKS)
def run(request: pytest.FixtureRequest, data: Path, tiny_experiment: Path, tmp_path_factory: pytest.TempPathFactory):
    """(kind of task, result folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "mine.toml").write_text(tiny_experiment.read_text() + "[methods.rf]\ntrees = 5\n" + TASKS[request.param])
    scored(data, folder / "mine.toml", folder / "out", ROWS, "all87")
    return request.param, folder / "out"


def held_out(out: Path, row: str, kind: str) -> pd.DataFrame:
    table = pd.read_parquet(out / "predictions.parquet")
    return table[(table.modality == row) & (table.fold == 0)].set_index("sample_name")[COLUMNS[kind]]


def signals(data: Path, name: str) -> Path:
    return next((data / "biosignals_filtered").glob(f"*/{name}_bio.csv"))


@pytest.mark.parametrize("row", ROWS)
def test_files_streams_and_tables(run, data: Path, tmp_path: Path, capsys, row: str) -> None:
    kind, out = run
    to = tmp_path / "model"
    assert main(["--run", str(out), "--cell", f"{row}/all87/fold0", "--to", str(to)]) == 0
    model, expected = load(to), held_out(out, row, kind)
    for name, values in expected.iterrows():
        found = model.predict(signals=signals(data, str(name)))
        assert list(found.columns) == COLUMNS[kind]
        np.testing.assert_allclose(found.values, values.to_numpy(), atol=1e-6)
    (estimate,) = replay(model, video=None, signals=signals(data, str(name)), every_s=99.0)
    np.testing.assert_allclose(estimate.prediction.values, values.to_numpy(), atol=1e-6)
    line = json.loads(told(estimate, as_json=True))
    assert [line[c] for c in COLUMNS[kind]] == pytest.approx(values.tolist(), abs=2e-6)
    assert told(estimate, as_json=False).endswith(found.called())
    capsys.readouterr()
    table = tmp_path / "table.csv"
    assert predict(["--model", str(to), "--folder", str(data / "biosignals_filtered"), "--out", str(table)]) == 0
    rows = {r["name"].rpartition("/")[2]: r for r in csv.DictReader(table.open())}
    for name, values in expected.iterrows():
        told_of = next(r for n, r in rows.items() if str(name) in n)
        assert [float(told_of[c]) for c in COLUMNS[kind]] == pytest.approx(values.tolist(), abs=2e-6)
        assert told_of["called"] in LEVELS
        assert "threshold" not in told_of
    assert model.learns.gives in (to / "README.md").read_text()


def test_the_demonstrator_shows_the_level(run, data: Path) -> None:
    kind, out = run
    model, name = from_run(out, "eda/all87/fold0"), held_out(out, "eda", kind).index[0]
    shown = judged(model, {"signals": signals(data, name)})
    assert shown["called"].startswith("called: ")
    assert {"ordinal": 0.0, "regression": 32.0}[kind] <= shown["value"] <= {"ordinal": 2.0, "regression": 48.5}[kind]
    assert {"ordinal": "Expected level", "regression": "32 to 48.5 °C"}[kind] in page(model)


def test_all_folds_together_say_what_each_says(run, data: Path, tmp_path: Path, capsys) -> None:
    kind, out = run
    name = held_out(out, "eda:rf", kind).index[0]
    said = predict(["--run", str(out), "--cell", "eda:rf/all87", "--signals", str(signals(data, name))])
    found = json.loads(capsys.readouterr().out)
    assert said == 0
    for column in COLUMNS[kind]:
        assert found[column] == pytest.approx(np.mean(found[f"{column}_of_each"]), abs=2e-6)
    assert len(any_from_run(out, "eda:rf/all87").members) == 2


def test_a_threshold_is_of_the_scale_and_makes_events(run, data: Path, tmp_path: Path, capsys) -> None:
    kind, out = run
    clip = ["--signals", str(signals(data, held_out(out, "eda", kind).index[0]))]
    asked = ["--run", str(out), "--cell", "eda/all87/fold0", *clip]
    assert predict([*asked, "--threshold", "99", "--hop", "1"]) == 2
    assert f"--threshold: found 99, expected {'0 to 2' if kind == 'ordinal' else '32 to 48.5'}" in capsys.readouterr().err
    assert predict([*asked, "--threshold", "1" if kind == "ordinal" else "40"]) == 2
    assert "calls without one" in capsys.readouterr().err
    low = "0" if kind == "ordinal" else "32"
    files = {"--events": tmp_path / "events.csv", "--out": tmp_path / "p.csv", "--plot": tmp_path / "p.png"}
    assert predict([*asked, "--hop", "9", "--threshold", low, *(str(x) for pair in files.items() for x in pair)]) == 0
    (event,) = csv.DictReader((tmp_path / "events.csv").open())
    assert event["peak_expected_level" if kind == "ordinal" else "peak_value"]


@pytest.mark.slow
@pytest.mark.parametrize("run", ["regression"], indirect=True)
def test_onnx_says_how_the_number_is_made(run, data: Path, tmp_path: Path) -> None:
    kind, out = run
    to, expected = tmp_path / "model", held_out(out, "eda", kind)
    assert main(["--run", str(out), "--cell", "eda/all87/fold0", "--to", str(to), "--onnx"]) == 0
    session = onnx_session(to / "network.onnx", 1)
    x_TC = load(to).signals(signals(data, expected.index[0]))
    p = session.run(["p"], {"signals": x_TC[None]})[0]
    assert session.get_modelmeta().custom_metadata_map["value"] == "32 + 16.5 * p[:, 0]"
    np.testing.assert_allclose(32 + 16.5 * p[0], expected.iloc[0], atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["ordinal"], indirect=True)
def test_a_registered_model_returns_the_columns_of_the_task(run, data: Path, tmp_path: Path) -> None:
    import mlflow

    kind, out = run
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mirror = Mirror(out, uri)
    mirror.sync()
    assert register(mirror) == 1
    mlflow.set_tracking_uri(uri)
    version = mlflow.MlflowClient(uri).get_model_version_by_alias("tiny all87", "best")
    table = pd.read_parquet(out / "predictions.parquet")
    table = table[(table.modality == version.tags["modality"]) & (table.fold == int(version.tags["fold"]))]
    served = mlflow.pyfunc.load_model("models:/tiny all87@best")
    inputs = served.unwrap_python_model().inputs(signals=str(signals(data, table.sample_name.iloc[0])))
    np.testing.assert_allclose(served.predict(inputs)[0], table[COLUMNS[kind]].iloc[0], atol=1e-5)
