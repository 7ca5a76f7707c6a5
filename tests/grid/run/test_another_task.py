"""A task that the project has not: made here, and run through the grid to scores by every method that can do it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch.nn import functional

from dashboards.report import write_report
from dataprep.synthetic.dataset import write_synthetic
from grid.experiment.config import ConfigError, load
from grid.run.show import outcome_text
from painmodels.methods import method, methods
from painmodels.registry import network
from painmodels.tasks import tasks
from painmodels.tasks.task import Metric, Task
from tests.grid.run.scored import scored


@dataclass(frozen=True)
class Median(Task):
    """The level as a number, learnt by the absolute error: what is predicted is the median of what is expected."""

    kind, words, guess, stored = "median", "how strong the pain is", "always the median", "level"
    hit, searched, n_classes, n_outputs = (
        "with an error below a quarter of the range",
        {"absolute_error": "absolute error"},
        0,
        1,
    )
    columns, gives = ("level",), "the level"
    metrics = (Metric("error", "absolute error", high=9, higher_is_better=False, unit="levels"),)

    def target(self, place, columns):
        return place / (len(self.names) - 1)

    def truth(self, target):
        return target * (len(self.names) - 1)

    def fits(self, targets):
        return bool(np.isfinite(targets).all())

    def loss(self, outputs_BO, target_B, *, reduction="mean"):
        return functional.l1_loss(outputs_BO[..., 0], target_B, reduction=reduction)

    def right(self, outputs_BO, target_B):
        return (outputs_BO[..., 0] - target_B).abs() < 0.25

    def predicted(self, outputs_BO):
        return outputs_BO[..., 0]

    def constant_loss(self, targets):
        return float(np.abs(targets - np.median(targets)).mean())

    def inner_scores(self, targets, p):
        return {"absolute_error": -float(np.abs(targets - p).mean())}

    def read(self, p):
        return self.truth(p.reshape(-1, 1))

    def merit(self, y_N, p_NC):
        return np.abs(y_N - p_NC[:, 0])

    def score(self, y_N, p_NC):
        return {"error": float(self.merit(y_N, p_NC).mean())}

    def constant(self, y_N):
        return np.array([np.median(y_N)])

    def called(self, p_NC):
        return p_NC[:, 0].round().astype(int)


SEES_EDA = [n for n, m in methods().items() if "eda" in m.on and not m.joins and n not in ("hybrid", "argmax")]
ROWS = ("eda", *(f"eda:{name}" for name in SEES_EDA), "majority")


def quick(name: str) -> str:
    """The tables of a method with which its networks train one epoch, and a forest is small."""
    parts = method(name).parts(("eda",), lambda role: network(role, "concat"))
    heads = [f"[methods.{name}.{part.role}]" if len(parts) > 1 else f"[methods.{name}]" for part in parts]
    told = [(head, {f.name for f in fields(part.trained.settings)}) for head, part in zip(heads, parts, strict=True)]
    short = {"epochs": 1, "trees": 5}
    return "".join(f"{head}\n{key} = {short[key]}\n" for head, known in told for key in short if key in known)


@pytest.fixture
def three_levels(tmp_path: Path, tiny_experiment: Path) -> tuple[Path, Path]:
    """A data set of three levels that signals show, and an experiment on them."""
    data, toml = tmp_path / "data", tiny_experiment.read_text()
    write_synthetic(data, subjects=4, trials=3, classes=("BL1", "PA2", "PA4"), videos=False, jobs=1)
    toml += "".join(map(quick, SEES_EDA)) + "[task]\n"
    (tmp_path / "mine.toml").write_text(toml + 'kind = "median"\nclasses = ["BL1", "PA2", "PA4"]\n')
    return data, tmp_path / "mine.toml"


def test_a_task_of_this_file_runs_through_the_grid(
    three_levels: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks(), Median.kind, Median)
    data, toml = three_levels
    out, rows = tmp_path / "out", [*ROWS, "eda:argmax"]
    session, scores = scored(data, toml, out, rows, "all87", folds=[0])
    told, scores = outcome_text(scores, task=session.inventory.learns), scores.set_index("modality")
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert set(predictions.modality) == set(ROWS)
    assert set(predictions.y_true) == {0.0, 1.0, 2.0}
    for row, part in predictions.groupby("modality"):
        assert scores.error[row] == pytest.approx((part.y_true - part.level).abs().mean(), abs=1e-6)
    assert "absolute error in levels (mean ± SD over folds)" in told
    assert "argmax tells two classes apart and does no other task" in (out / "failures.csv").read_text()
    page = write_report(out).read_text()
    assert "always the median" in page
    assert "p_pain" not in page


@pytest.mark.parametrize("kind", ["ordinal", "multiclass"])
def test_every_method_does_tasks_of_several_classes(kind: str, three_levels: tuple[Path, Path], tmp_path: Path) -> None:
    data, toml = three_levels
    toml.write_text(toml.read_text().replace('"median"', f'"{kind}"'))
    _, scores = scored(data, toml, tmp_path / "out", ROWS, "all87", folds=[0])
    assert set(scores.modality) == set(ROWS)
    assert scores.accuracy.notna().all()
    columns = pd.read_parquet(tmp_path / "out" / "predictions.parquet").filter(like="p_")
    assert list(columns) == ["p_BL1", "p_PA2", "p_PA4"]
    np.testing.assert_allclose(columns.sum(axis=1), 1, atol=1e-5)


def test_a_task_that_nobody_made_is_named(three_levels: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match=r"no task is called 'median'; there are: .*binary.*multiclass"):
        load(str(three_levels[1]))


def test_only_the_task_of_pain_or_no_pain_knows_its_column() -> None:
    """Whatever else needs a prediction asks the task; programs in use print the probability by its name."""
    root = Path(__file__).parents[3]
    found = subprocess.run(
        ["git", "grep", "-l", "p_pain", "--", "grid/*.py", "dashboards", "painmodels", "pain_grid"],
        cwd=root,
        capture_output=True,
    )
    assert found.stdout.decode().split() == ["painmodels/tasks/binary.py"]
