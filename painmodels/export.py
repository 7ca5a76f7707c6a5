"""Take one cell's model out of a result folder, and write it as safetensors + JSON, or as ONNX.

    python -m painmodels.export --run DIR --cell eda+video/all87/fold0 --to FOLDER [--onnx [--rate eda=512]]

reads run.json, cells.json and the stored weights (plain JSON and safetensors; Ray and MLflow are not needed). FOLDER then
holds `model.safetensors` and `model.json` (see `model`), README.md, this package as a wheel, and with --onnx what `onnx_files`
describes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from dataprep.datasets import dataset
from dataprep.faults import guarded
from dataprep.outputs import check_folder
from dataprep.program import program
from dataprep.records import InputError
from dataprep.storage import pointed
from painmodels.registry import ROLES
from painmodels.tasks import task_of_run
from painmodels.trunks.backbones import backbone
from painmodels.trunks.trunk import trunk_fingerprint, whole_state
from painmodels.use.model import Ensemble, Model
from painmodels.use.model_files import FORMAT, read_json
from painmodels.use.onnx_files import write_onnx
from painmodels.use.run_cells import folds_of, full_name, the_cell
from painmodels.use.wheel import write_wheel


def from_run(run: Path, cell: str, *, device: str = "cpu") -> Model:
    """The model of a finished cell, named `row/scenario/fold0`, or `row/scenario/subject/repeat1/seed2/fold0` in full.

    A name without them means the run's protocol, its first partition (repeat 0) and its first fit seed.

    Raises ValueError if there is no such cell, it was not computed, or the trunk's weights are others now.
    """
    about, record = read_json(run / "run.json"), the_cell(run, cell)
    experiment, reader = about["experiment"], dataset(about["data"]["name"], about["data"].get("description"))
    if not task_of_run(about).softmax:
        raise InputError(
            f"{run}: its task is {task_of_run(about).kind}; models of the tasks binary and multiclass alone are exported"
        )
    networks: list[dict[str, Any]] = []
    tensors: dict[str, torch.Tensor] = {}
    roles = {fit["key"]: fit["role"] for fit in record["fits"]}
    if unknown := sorted(set(roles.values()) - set(ROLES)):
        raise InputError(f"{run}: cell {cell} has a model of {unknown[0]!r}, expected one of the paper's sub-networks alone")
    for fit in record["fits"]:
        folder = pointed(run / "store") / fit["stage"] / fit["key"]
        manifest = read_json(folder / "manifest.json")
        params = manifest["stage"]["params"]
        channels = [about["signals"]["channels"][s] for s in params["signals"]] if fit["role"] == "physiological" else []
        networks.append(
            {
                "role": fit["role"],
                "network": params["network"],
                "version": params["network_version"],
                "settings": params["settings"],
                "steps": params["steps"],
                "inputs": [roles[u.rpartition("/")[2]] for u in manifest["facts"]["upstream"]],
                "channels": list(range(len(channels))),
                "names": channels,
                "normalise": params["normalise"],
            }
        )
        for name, value in load((folder / "arrays.safetensors").read_bytes()).items():
            kind, _, rest = name.partition(".")
            tensors[f"parts.{fit['role']}.{rest}" if kind == "network" else f"scale_{rest}"] = value
    trunk: dict[str, Any] = {}
    if any(node["role"] == "spatial" for node in networks):
        state, trunk = _trunk(about)
        tensors |= {f"trunk.{name}": value for name, value in state.items()}
    description = {
        "format": FORMAT,
        "cell": full_name(record),
        "experiment": experiment["name"],
        "synthetic": about["data"]["synthetic"],
        "reader": reader.name,
        "clock_hz": reader.clock_hz,
        "n_steps": reader.n_steps,
        "classes": experiment["task"]["classes"] or about["data"]["class_names"],
        "channels": next((node["names"] for node in networks if node["names"]), []),
        "faces": experiment["faces"],
        "trunk": trunk,
        "networks": networks,
    }
    if reader.description:  # of a data set by a table
        description["reader_description"] = dict(reader.description)
    return Model(description, tensors, device=device)


def any_from_run(run: Path, name: str, *, device: str = "cpu") -> Model | Ensemble:
    """The model of a finished cell, or where `name` has no fold (`eda/all87`), of all folds together. Raises ValueError."""
    names = folds_of(run, name)
    if not names:
        return from_run(run, name, device=device)
    members = [from_run(run, each, device=device) for each in names]
    return members[0] if len(members) == 1 else Ensemble(members, name=f"{name} ({len(members)} folds)")


def _trunk(about: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and description of the run's trunk. Raises ValueError if its weights are not those of the run any more."""
    table = about["experiment"]["trunk"]
    options: dict[str, Any] = {"weights": Path(table["weights"]) if table["weights"] else None, "random": table["random"]}
    options["seed"] = table.get("seed", about["experiment"].get("seed", 0))  # older runs had one seed for everything
    kind = {"scaling": table["scaling"] or None, "precision": table["precision"]}
    mark = trunk_fingerprint(table["name"], **options, **kind)
    if mark != about["trunk"]["fingerprint"]:
        raise InputError(
            f"trunk {table['name']}: found weights with fingerprint {mark}, expected the run's {about['trunk']['fingerprint']}"
        )
    state, sentence = whole_state(table["name"], **options)
    scaling = table["scaling"] or backbone(table["name"]).scalings[0]
    return state, {
        "name": table["name"],
        "scaling": scaling,
        "precision": table["precision"],
        "fingerprint": mark,
        "provenance": sentence,
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("painmodels.export"), description="Export the model of a cell from a result folder."
    )
    p.add_argument("--run", type=Path, required=True, metavar="DIR", help="a result folder of grid.launch")
    p.add_argument("--cell", required=True, metavar="ROW/SCENARIO/FOLD", help="such as eda+video/all87/fold0")
    p.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the folder to write")
    p.add_argument("--onnx", action="store_true", help="write ONNX files too")
    p.add_argument(
        "--rate",
        action="append",
        default=[],
        metavar="CHANNEL=HZ",
        help="sampling rate for signals.onnx, if it differs from the training data",
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives 0, or 2 after printing what is wrong."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _command(options))


def given_rates(given: Sequence[str]) -> dict[str, float]:
    """Channel -> rate of arguments such as `eda=512`. Raises InputError for others."""
    out = {}
    for pair in given:
        channel, _, rate = pair.partition("=")
        try:
            out[channel] = float(rate)
        except ValueError:
            raise InputError(f"--rate: found {pair!r}, expected CHANNEL=HZ such as eda=512") from None
    return out


def _command(options: argparse.Namespace) -> int:
    if options.onnx and not all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript")):
        raise InputError("--onnx: onnx and onnxscript are not installed: pip install onnx onnxscript")
    check_folder("--to", options.to, inputs=[options.run], mark="model.json")
    model = from_run(options.run, options.cell)
    model.save(options.to)
    write_wheel(options.to)
    if options.onnx:
        write_onnx(
            model,
            options.to,
            rates_hz={
                **dataset(model.about["reader"], model.about.get("reader_description")).rates_hz,
                **given_rates(options.rate),
            },
        )
    for path in sorted(options.to.iterdir()):
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
