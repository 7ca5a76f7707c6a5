"""Train on one data set, test on another: what both share is used, and nothing of the tested one reaches a weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboards import transfers
from dashboards.results import read_results
from dataprep.datasets import dataset, datasets, opened
from dataprep.records import InputError, SampleIndex
from grid import launch
from grid.experiment import config
from grid.experiment.config import Experiment
from grid.plan.inventory import read_inventory
from grid.plan.planner import Planner
from grid.protocols import protocols
from grid.run.result_folder import write
from grid.run.session import Session
from grid.run.transfer import transfer
from tests.dataprep.datasets.test_stress_predict import subject as stress_predict
from tests.dataprep.datasets.trees import ai4pain


def own_data(
    root: Path,
    *,
    people: int,
    rate_hz: int,
    unit: str,
    names: tuple[str, str],
    seed: int,
    cue: bool = True,
    more: str = "",
    first_person: int = 0,
    gain: float = 1.0,
    offset: float = 0.0,
) -> Path:
    """A data set of manifest.csv: 12 s trials, a response in the second channel `names` under pain, noise in the first.

    `names`: the columns of noise and cue in the files; the channels are called eda (cue) and ecg (noise). `more`: a line of
    dataset.toml. `gain`, `offset`: of the sensor that records the cue.
    """
    rng = np.random.default_rng(seed)
    (root / "signals").mkdir(parents=True)
    lines = ["trial,subject,label,signals"]
    scale = 1e-6 if unit == "S" else 1.0
    for person in range(first_person, first_person + people):
        for n in range(6):
            label = ("rest", "pain")[n % 2]
            t = np.arange(12 * rate_hz) / rate_hz
            x = 4 + person % 3 + rng.normal(0, 0.02, len(t)) + (np.clip(t - 4, 0, 3) * 0.4 if cue and label == "pain" else 0)
            table = pd.DataFrame({names[0]: rng.normal(0, 1, len(t)), names[1]: (gain * x + offset) * scale})
            table.to_csv(root / "signals" / f"p{person}-{n}.csv", index=False)
            lines.append(f"p{person}-{n},p{person},{label},signals/p{person}-{n}.csv")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    (root / "dataset.toml").write_text(
        f"""name = "{root.name}"
{more}
clock_hz = {min(25, rate_hz)}
[window]
length_s = 12.0
[classes]
order = ["rest", "pain"]
[files]
rate_hz = {rate_hz}
[channels.ecg]
column = "{names[0]}"
[channels.eda]
column = "{names[1]}"
unit = "{unit}"
"""
    )
    return root


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A of 50 Hz and microsiemens, B of 8 Hz and siemens, with other names of columns and twice the trials' people."""
    root = tmp_path_factory.mktemp("two")
    a = own_data(root / "lab-a", people=6, rate_hz=50, unit="µS", names=("chest", "gsr"), seed=1)
    return a, own_data(root / "lab-b", people=5, rate_hz=8, unit="S", names=("belt", "skin"), seed=2)


LIKE_A: dict[str, Any] = {"people": 2, "rate_hz": 8, "unit": "µS", "names": ("chest", "gsr"), "seed": 3}


def opened_population(name: str) -> str:
    """The word under which people of a data set may be met in another."""
    return datasets()[name].population


def run(out: Path, *arguments: object) -> int:
    return launch.main([*map(str, arguments), "--out", str(out), "--in-process"])


def accuracy(out: Path, row: str, scenario: str) -> float:
    scores = pd.read_csv(out / "scores.csv")
    return scores[(scores.modality == row) & (scores.scenario == scenario)].accuracy.mean()


def fits(data: Path, experiment: Experiment, memory: Path) -> set[str]:
    """The keys of all fits of the crossing: a key is a digest of all that a fit is made of."""
    found = read_inventory(data, experiment, rows=["eda", "eda:logistic"], scenarios=["lab-a-to-lab-b"], memory=memory)
    plan = Planner(experiment, found.dataset, found.inputs()).build(["eda", "eda:logistic"], ["lab-a-to-lab-b"])
    assert not plan.impossible
    return {fit.stage.key for fit in plan.fits.values()}


def test_a_row_with_the_shared_cue_crosses_and_one_without_it_does_not(two: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        run(
            out,
            "--modalities",
            "eda:logistic,ecg:logistic",
            "--scenarios",
            "lab-a-to-lab-b",
            "--train-on",
            two[0],
            "--test-on",
            two[1],
        )
        == 0
    )
    assert accuracy(out, "eda:logistic", "lab-a-to-lab-b") >= 0.9
    assert accuracy(out, "ecg:logistic", "lab-a-to-lab-b") <= 0.75
    tested = pd.read_parquet(out / "predictions.parquet").query("scenario == 'lab-a-to-lab-b'")
    assert {name.partition(":")[0] for name in tested.subject_name} == {"lab-b"}
    assert len(tested) == 2 * 30
    page = (out / "report.html").read_text()
    assert "From one data set to another" in page
    assert "arousal" not in page  # these two data sets are of pain


def test_each_data_set_is_left_out_in_turn_and_has_its_own_table(tmp_path: Path) -> None:
    crossing = transfer([own_data(tmp_path / name, **LIKE_A) for name in ("a", "b", "c")], [])
    experiment = config.load("paper", **crossing.changes())
    what: dict[str, Any] = {"rows": ["eda:argmax"], "scenarios": list(experiment.axes.scenarios)}
    found = read_inventory(crossing.write(tmp_path, plan=False), experiment, **what, memory=tmp_path / "memory.json")
    session = Session(experiment, found, tmp_path / "out", **what)
    session.run("in-process")
    scores = write(session)
    tables = transfers.section(read_results(tmp_path / "out"))
    assert [(t["title"], t["columns"], t["tested"]) for t in tables] == [
        (f"others to {name}", [f"within {name}", f"others to {name}"], 2) for name in "abc"
    ]
    across = [dict(t["rows"])["eda:argmax"][1]["mean"] for t in tables]
    assert across == pytest.approx((100 * scores[scores.scenario == "one-left-out"].accuracy).tolist())


def test_a_model_of_pain_that_answers_to_stress_is_told_so(two: tuple[Path, Path], tmp_path: Path) -> None:
    """Stress-Predict's people have the same cue: the model calls their stress pain, and their rest not."""
    for n in range(3):
        rising = np.tile(np.concatenate([np.full(240, 3.0), 3 + np.linspace(0, 1, 240)]), 30)[: 4 * 3300]
        stress_predict(tmp_path / "watch", f"S{n:02d}", values=rising)
    out = tmp_path / "out"
    scenario = "lab-a-to-stress-predict"
    what = ("--modalities", "eda:logistic", "--scenarios", scenario, "--train-on", two[0], "--test-on", tmp_path / "watch")
    assert run(out, *what) == 0
    results = read_results(out)
    (crossing,) = transfers.section(results)
    calls = crossing["calls"]["eda:logistic"]
    predictions = results.predictions
    for name, truth in (("rest", 0), ("aroused", 1)):
        part = predictions[predictions.y_true == truth]
        assert calls[name]["mean"] == pytest.approx(100 * (part.p_pain > 0.5).groupby(part.subject_name).mean().mean())
    assert "How often is arousal without pain called pain?" in (out / "report.html").read_text()


def test_other_labels_and_signals_of_the_tested_people_change_no_fit(two: tuple[Path, Path], tmp_path: Path) -> None:
    other = own_data(tmp_path / "lab-b", people=7, rate_hz=8, unit="S", names=("belt", "skin"), seed=9, cue=False)
    found = []
    for n, tested in enumerate((two[1], other)):
        crossing = transfer([two[0]], [tested])
        experiment = config.load("paper", **crossing.changes())
        found.append(fits(crossing.write(tmp_path / str(n), plan=False), experiment, tmp_path / "memory.json"))
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_signals_come_in_the_unit_of_the_first_data_set(two: tuple[Path, Path], tmp_path: Path) -> None:
    """What the second says in siemens is read in microsiemens, here and by whoever reads from the description."""
    both = opened(transfer([two[0]], [two[1]]).write(tmp_path, plan=False))
    assert both.units == {"eda": "µS"}
    trial = next(t for t in both.read_trials(tmp_path)[0] if t.subject == "lab-b:p0")
    for reader in (both, dataset(both.name, both.description)):
        assert 3.5 < np.median(reader.read_signals(trial)["eda"][0]) < 7
    assert (
        "units"
        not in opened(transfer([two[0]], [own_data(tmp_path / "c", **LIKE_A)]).write(tmp_path, plan=False)).description
    )


def test_why_a_row_cannot_cross_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, volts = own_data(tmp_path / "a", **LIKE_A), own_data(tmp_path / "volts", **{**LIKE_A, "unit": "mV"})
    crossing = ("--modalities", "eda:logistic", "--plan", "--train-on", a, "--test-on")
    assert run(tmp_path / "out", *crossing, volts) == 2
    assert "no eda signal: it is in µS in a, mV in volts, which cannot be brought to one" in capsys.readouterr().err
    alone = own_data(tmp_path / "alone", **{**LIKE_A, "people": 1})
    assert run(tmp_path / "out", *crossing, alone) == 0
    assert "alone has one person, alone:p0: it cannot be tested within itself" in capsys.readouterr().out


def test_pain_and_arousal_without_pain_are_not_trained_on_together(tmp_path: Path) -> None:
    a = own_data(tmp_path / "a", **LIKE_A)
    for n in (5, 7):
        stress_predict(tmp_path / "watch", f"S{n:02d}")
    with pytest.raises(InputError, match="stress-predict: found arousal without pain among data sets of pain to train on"):
        opened(transfer([a, tmp_path / "watch"], []).write(tmp_path, plan=False))
    assert opened(transfer([a], [tmp_path / "watch"]).write(tmp_path, plan=False)).pain is False


def test_tables_that_say_one_population_have_no_person_on_both_sides(tmp_path: Path) -> None:
    a, b = (own_data(tmp_path / name, **LIKE_A, more='population = "ward"') for name in ("a", "b"))
    with pytest.raises(InputError, match="found 'p0' in both, expected data sets of different people"):
        opened(transfer([a], [b]).write(tmp_path, plan=False))
    c = own_data(tmp_path / "c", **LIKE_A, more='population = "ward"', first_person=2)
    assert len(opened(transfer([a], [c]).write(tmp_path, plan=False)).subsets["c"] or ()) == 2


def test_what_cannot_be_crossed_is_refused_before_any_work(two: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    with pytest.raises(InputError, match="found one data set, expected two or more"):
        transfer([two[0]], [])
    with pytest.raises(InputError, match="its people would be on both sides"):
        transfer([two[0]], [two[0]])
    assert transfer([two[0]], [two[1]]).scenario == "lab-a-to-lab-b"
    ai4pain(tmp_path / "ai4")
    again = tmp_path / "again"
    ai4pain(again)
    twice = transfer([tmp_path / "ai4", again], [])
    assert list(twice.train) == ["ai4pain", "ai4pain-2"]
    with pytest.raises(InputError, match="found 'train-1' in both, expected data sets of different people"):
        opened(twice.write(tmp_path / "twice", plan=False))
    assert opened_population("biovid") == opened_population("biovid-b") == "biovid"
    assert opened_population("painmonit-covas") == opened_population("painmonit")
    with pytest.raises(SystemExit):
        launch.main(["--all", "--train-on", str(two[0]), "--test-on", str(two[1]), "--data", str(two[0])])
    assert "say data and protocol themselves" in capsys.readouterr().err


def test_the_published_split_trains_on_its_training_people_alone(tmp_path: Path) -> None:
    ai4pain(tmp_path, people=(3, 1, 2), pairs=1)
    data = opened(tmp_path)
    trials, _ = data.read_trials(tmp_path)
    (fold,) = protocols()["published"](SampleIndex.of(trials, classes=(0, 2)), folds=10, seed=0)
    people = {trial.trial_id: trial.subject.partition("-")[0] for trial in trials}
    assert {people[t] for t in fold.train} == {"train"}
    assert {people[t] for t in fold.test} == {"test"}
    unlabelled = [t for t in trials if not t.subject.startswith("test")]
    (fold,) = protocols()["published"](SampleIndex.of(unlabelled, classes=(0, 2)), folds=10, seed=0)
    assert {people[t] for t in fold.test} == {"validation"}
