"""The best row of each scenario as a registered model, "NAME SCENARIO", with the alias `best`.

Best is the row with the best mean accuracy (or other main metric of the task) over its cells (folds, partitions, fit seeds); its
version is the cell whose accuracy is nearest to that mean, so that none is chosen for its luck. A row with a fit that did
not learn, or collapsed, is never registered. The row is chosen by held-out scores all the same, which its description says.
A version holds an exported model (safetensors and JSON, run by grid/tracking/served_model.py: no pickle), a signature, an
input example, this package as a wheel, and a model card. It is found by its key's tag before it is made, as runs are.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from dataprep.rounding import rounded
from grid.experiment.cells import CELL, Cell, is_further, place
from grid.experiment.families import CONTROLS
from grid.results.axes import AXES
from grid.store.identity import digest
from grid.tracking.model_card import card
from grid.tracking.runs import KEY_TAG, retry
from painmodels.tasks.task import Metric

if TYPE_CHECKING:
    from grid.tracking.mirror import Mirror
    from painmodels.use.model import Model

VERSION, FOLDER, CARD = 4, "model", "model_card.md"
NO_MODEL = ("frame", "majority", *CONTROLS)
"""Rows that judge frames, not recordings, or take no recording: there is no input to serve."""


def register(mirror: Mirror) -> int:
    """Register the best model of each scenario after `mirror.sync()`; how many versions were made. Raises MlflowException."""
    made = 0
    for scenario in dict.fromkeys(c["scenario"] for c in mirror.cells if not is_further(c["scenario"])):
        cells = [c for c in mirror.cells if c["scenario"] == scenario]
        if any(c.get("adapt") for c in cells):  # a model that sees one recording at a time cannot do what these rows did
            continue
        marked = {
            row for row in dict.fromkeys(c["modality"] for c in cells) if mirror.known.mark(_of_row(cells, row)).marked
        }
        best = best_cell([c for c in cells if c["modality"] not in marked], mirror.scores, mirror.task.main)
        if best is None:
            if marked and _withdraw(mirror, scenario, marked):
                print(
                    f"no row of {scenario} has a model named best any more: sub-networks of each did not learn",
                    file=sys.stderr,
                )
            continue
        try:
            made += retry(partial(_version, mirror, *best))
        except (ValueError, KeyError) as error:  # the trunk's weights are others now, or an older version wrote the folder
            print(f"no model of {scenario} was registered: {error!r}", file=sys.stderr)
    return made


def _of_row(cells: list[dict[str, Any]], row: str) -> list[dict[str, Any]]:
    return [cell for cell in cells if cell["modality"] == row]


def _withdraw(mirror: Mirror, scenario: str, marked: set[str]) -> bool:
    """Take the alias from a version of a row whose sub-networks did not all learn; True if there was one."""
    name = f"{mirror.name} {scenario}"
    try:
        version = mirror.client.get_model_version_by_alias(name, "best")
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return False
        raise
    if version.tags.get("modality") in marked:
        mirror.client.delete_registered_model_alias(name, "best")
        return True
    return False


def best_cell(cells: list[dict[str, Any]], scores: pd.DataFrame, main: Metric) -> tuple[dict[str, Any], float] | None:
    """The cell to register out of a scenario's, and its row's mean accuracy (the main metric); None while no learned row is
    complete."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        rows.setdefault(cell["modality"], []).append(cell)
    means: dict[str, float] = {}
    values = scores.set_index(CELL)[main.name].to_dict()

    def of(cell: dict[str, Any]) -> float:
        return float(values[tuple(cell[name] for name in CELL)])

    for row, mine in rows.items():
        if row not in NO_MODEL and all(cell["status"] == "done" for cell in mine):
            means[row] = float(np.mean([of(cell) for cell in mine]))
    if not means:
        return None
    row = max(means, key=lambda r: (main.sign * means[r], -len(r)))  # of equals the one with fewer signals
    return min(rows[row], key=lambda cell: (abs(of(cell) - means[row]), *(cell[a] for a in AXES))), means[row]


def _version(mirror: Mirror, cell: dict[str, Any], mean: float) -> int:
    """Make the version of a cell if it is not there, and point the alias at it; 1 if it was made."""
    client, name = mirror.client, f"{mirror.name} {cell['scenario']}"
    key = digest(["model", VERSION, cell["predict"]])
    there = {v.tags.get(KEY_TAG): v for v in client.search_model_versions(f"name = '{name}'")}
    version = there.get(key)
    made = version is None
    if version is None:
        run_id = mirror.fold_ids[cell["predict"], cell["repeat"], cell["fold"]]
        with tempfile.TemporaryDirectory() as folder:
            about = _save(mirror, cell, Path(folder) / FOLDER)
            client.log_artifacts(run_id, str(Path(folder) / FOLDER), FOLDER)
        _registered(client, name)
        where = f"{cell['modality']}/{cell['scenario']}/{place(*(cell[a] for a in AXES))}"
        text = (
            f"{where}: the row with the best mean {mirror.task.main.title} over its cells ({rounded(mean, 3)}, chosen on "
            "held-out data and so optimistic), in the cell nearest to that mean. Research software: no output may guide "
            "anybody's care."
        )
        if about["synthetic"]:
            text += " Trained on synthetic data: it says nothing about pain."
        elif mirror.run["data"].get("pain") is False:
            text += f" Trained on {' and '.join(about['classes'])}, not on pain: it says nothing about pain."
        tags = {KEY_TAG: key, "modality": cell["modality"], "classes": " ".join(about["classes"])}
        tags |= {axis: str(cell[axis]) for axis in AXES}
        version = client.create_model_version(name, f"runs:/{run_id}/{FOLDER}", run_id, tags=tags, description=text)
    if client.get_registered_model(name).aliases.get("best") != str(version.version):
        client.set_registered_model_alias(name, "best", str(version.version))
    return int(made)


def _registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _save(mirror: Mirror, cell: dict[str, Any], to: Path) -> dict[str, Any]:
    """Write the cell's model as an MLflow model; what model.json says. Raises ValueError if it cannot be exported."""
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import Schema, TensorSpec

    from painmodels.export import from_run
    from painmodels.use.wheel import write_wheel

    where = str(Cell(*(cell[name] for name in CELL)))
    model = from_run(mirror.out, where)
    example = example_inputs(model)
    inputs: list[Any] = []
    for name, array in example.items():
        shape = (-1, -1, *array.shape[2:]) if name == "video" else (-1, *array.shape[1:])
        inputs.append(TensorSpec(np.dtype(np.float32), shape, name))
    outputs = Schema([TensorSpec(np.dtype(np.float32), (-1, model.learns.n_classes or len(model.learns.columns)))])
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / FOLDER)
        wheel = write_wheel(Path(folder))
        save_model(
            to,
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={"model": str(Path(folder) / FOLDER)},
            signature=ModelSignature(Schema(inputs), outputs),
            input_example=example,
            # the package travels with the model, as MLflow looks for it from the model's folder: nobody has registered its name
            pip_requirements=["mlflow", f"./{wheel.name}[predict]"],
        )
        shutil.copy(wheel, to)
        (to / CARD).write_text(card(mirror, cell, model.about), encoding="utf-8")
    return model.about


def example_inputs(model: Model) -> dict[str, np.ndarray]:
    """A synthetic window as the model's input example, so that no person's recording is stored with the model.

    Signals are slow waves that rise, sampled on the clock; what is taken of every frame is that of a made-up picture.
    """
    random = np.random.default_rng(0)
    example = {}
    if model.uses_video:
        of_a_face = random.random(model.columns.width)
        flicker = 1 + 0.05 * random.standard_normal((model.n_steps, 1))
        example["video"] = (of_a_face * flicker).clip(0).round(2).astype(np.float32)[None]
    if model.uses_signals:
        t_T = np.arange(model.n_steps) / model.clock_hz
        waves = [np.sin(2 * np.pi * (0.2 + k) * t_T) + 0.1 * t_T for k in range(len(model.about["channels"]))]
        example["signals"] = np.stack(waves, axis=1).round(3).astype(np.float32)[None]
    return example
