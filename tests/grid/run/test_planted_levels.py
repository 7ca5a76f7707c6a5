"""Five levels: found where they are planted in the signals, and not found where the labels are shuffled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.records import InputError
from grid.experiment.config import ConfigError
from tests.grid.run.scored import scored

pytestmark = pytest.mark.slow

LEVELS = ("none", "mild", "medium", "strong", "worst")
DATA = """
name = "levels"
clock_hz = 5
[window]
length_s = 3.0
[classes]
order = ["none", "mild", "medium", "strong", "worst"]
[files]
rate_hz = 5
[channels.eda]
column = 0
"""
EXPERIMENT = """
name = "levels"
[axes]
modalities = ["eda"]
scenarios = ["everybody"]
[scenarios.everybody]
subset = "all"
[protocol]
folds = 2
[trunk]
name = "mini-xception-fer"
[signals]
normalise = "train"
[physiological]
hidden = 8
layers = 1
epochs = 40
batch = 64
lr = 2e-2
[task]
classes = ["none", "mild", "medium", "strong", "worst"]
"""
SAYS = {
    "ordinal": 'kind = "ordinal"',
    "regression": 'kind = "regression"\nvalues = [32.0, 43.0, 44.5, 46.0, 48.0]\nunit = "°C"',
}


def written(root: Path, *, people: int, trials: int, shown: bool) -> Path:
    """One recording a person, of trials one after another in which the signal rises by the trial's level, or by another's."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    (root / "dataset.toml").write_text(DATA)
    rows = ["trial,subject,label,signals,start_s,vas"]
    for person in range(people):
        level_N = rng.permutation(np.resize(np.arange(5), trials))
        rise_N = level_N if shown else rng.permutation(level_N)
        x_NT = rng.normal(scale=0.15, size=(trials, 15)) + rise_N[:, None] * np.linspace(0, 1, 15)
        np.save(root / f"p{person}.npy", 5 + x_NT.reshape(-1))
        rows += [f"p{person}-{n},p{person},{LEVELS[k]},p{person}.npy,{3 * n},{2.2 * k}" for n, k in enumerate(level_N)]
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def run(
    tmp_path: Path, data: Path, says: str, rows: tuple[str, ...], more: str = "", epochs: int = 40
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and predictions."""
    toml, out = tmp_path / "levels.toml", tmp_path / "out"
    toml.write_text(EXPERIMENT.replace("epochs = 40", f"epochs = {epochs}") + says + "\n" + more)
    _, scores = scored(data, toml, out, rows, "everybody")
    return scores, pd.read_parquet(out / "predictions.parquet")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("planted") / "data", people=6, trials=40, shown=True)


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("shuffled") / "data", people=20, trials=200, shown=False)


@pytest.mark.parametrize("kind", list(SAYS))
def test_planted_levels_are_found(kind: str, planted: Path, tmp_path: Path) -> None:
    rows = ("eda", "eda:rf", "eda:logistic", "majority")
    scores, predictions = run(tmp_path, planted, SAYS[kind], rows, "[methods.rf]\ntrees = 20\n")
    found = scores.groupby("modality")["quadratic_kappa"].mean()
    assert (found[["eda", "eda:rf", "eda:logistic"]] >= 0.8).all()
    assert abs(found["majority"]) < 0.01
    assert (scores.groupby("modality")["mae"].mean().idxmax()) == "majority"
    assert set(predictions.y_true) == ({0, 1, 2, 3, 4} if kind == "ordinal" else {32.0, 43.0, 44.5, 46.0, 48.0})
    people = pd.read_csv(tmp_path / "out" / "subject_scores.csv")
    assert len(people) == 6 * len(rows)
    assert people[people.modality == "eda"].quadratic_kappa.min() > 0.5


@pytest.mark.parametrize(("kind", "rows"), [("ordinal", ("eda", "eda:logistic")), ("regression", ("eda:logistic",))])
def test_shuffled_levels_are_not_found(kind: str, rows: tuple[str, ...], shuffled: Path, tmp_path: Path) -> None:
    scores, predictions = run(tmp_path, shuffled, SAYS[kind], rows, epochs=4)
    assert predictions.groupby("modality").size().eq(4000).all()
    assert (scores.groupby("modality")["quadratic_kappa"].mean().abs() <= 0.05).all()


def test_a_rating_of_the_table_is_learnt_in_its_unit(planted: Path, tmp_path: Path) -> None:
    says = 'kind = "regression"\ncolumn = "vas"\nrange = [0.0, 10.0]\nunit = "points"'
    scores, predictions = run(tmp_path, planted, says, ("eda:logistic",))
    assert set(predictions.y_true) == {0.0, 2.2, 4.4, 6.6, 8.8}
    assert scores.icc.min() > 0.8
    assert scores.mae.max() < 1.1
    assert "quadratic_kappa" not in scores


def test_a_search_knows_the_scores_of_its_task(planted: Path, tmp_path: Path) -> None:
    search = '[search]\ntrials = 2\nmetric = "{}"\ninner_folds = 2\n[search.methods.logistic]\npenalty = [1.0, 1e6]\n'
    run(tmp_path, planted, SAYS["ordinal"], ("eda:logistic",), search.format("absolute_error"))
    searches = json.loads((tmp_path / "out" / "searches.json").read_text())
    assert [found["winner"]["penalty"] for found in searches] == [1.0, 1.0]
    scores = [trial["reports"][-1]["score"] for found in searches for trial in found["trials"]]
    assert all(-2 < score <= 0 for score in scores)
    with pytest.raises(ConfigError, match="expected one of absolute_error, squared_error for the task regression"):
        run(tmp_path, planted, SAYS["regression"], ("eda:logistic",), search.format("log_loss"))


def test_a_trial_without_a_rating_is_left_out_and_listed(planted: Path, tmp_path: Path) -> None:
    data = shutil.copytree(planted, tmp_path / "data")
    table = (data / "manifest.csv").read_text().splitlines()
    table[3] = f"{table[3].rpartition(',')[0]},"
    (data / "manifest.csv").write_text("\n".join(table) + "\n")
    says = 'kind = "regression"\ncolumn = "vas"\nrange = [0.0, 10.0]'
    _, predictions = run(tmp_path, data, says, ("majority",))
    assert len(predictions) == 6 * 40 - 1
    quarantine = pd.read_csv(tmp_path / "out" / "quarantine.csv")
    assert quarantine.trial_id.tolist() == [table[3].partition(",")[0]]
    assert "no value of 'vas'" in quarantine.reason[0]
    with pytest.raises(InputError, match="with a value of 'nrs'; columns are: vas"):
        run(tmp_path, data, says.replace("vas", "nrs"), ("majority",))


def test_classes_are_taken_as_one_by_a_plus(planted: Path, tmp_path: Path) -> None:
    """The worst against three others, which are one class: pain or no pain, with its own columns."""
    toml = EXPERIMENT.replace('["none", "mild", "medium", "strong", "worst"]', '["mild+medium+strong", "worst"]')
    (tmp_path / "one.toml").write_text(toml)
    _, scores = scored(planted, tmp_path / "one.toml", tmp_path / "out", ("eda:logistic",), "everybody")
    predictions = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert predictions.y_true.value_counts().to_dict() == {0: 6 * 24, 1: 6 * 8}
    assert scores.auroc.mean() > 0.9
