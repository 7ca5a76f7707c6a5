"""Take one cell's model out of a result folder, and write it as safetensors + JSON, or as ONNX.

    python -m painmodels.export --run DIR --cell eda+video/all87/fold0 --to FOLDER [--onnx [--rate eda=512]]

reads run.json, cells.json and the stored weights (plain JSON and safetensors; Ray and MLflow are not needed). FOLDER then
holds `model.safetensors` and `model.json` (see `model`), README.md, model_card.md, this package as a wheel, and with --onnx what
`onnx_files` describes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from dataprep.datasets import dataset
from dataprep.faces import FaceSettings
from dataprep.faults import guarded
from dataprep.outputs import check_folder
from dataprep.program import program
from dataprep.recordings import recording
from dataprep.recordings.kind import Facts
from dataprep.records import InputError
from dataprep.signals.derived import rate_of
from dataprep.storage import Place, pointed, write_whole
from painmodels.methods import method, of_row
from painmodels.methods.calibrate import ROLE as CALIBRATION
from painmodels.methods.graph import OUT_OF_FOLD, Estimator, Part, needs
from painmodels.registry import network
from painmodels.tasks import task_of_run
from painmodels.trunks.backbones import backbone
from painmodels.trunks.trunk import Trunk, trunk_fingerprint, whole_state
from painmodels.use.card import CARD, card
from painmodels.use.graph import video_table
from painmodels.use.model import Ensemble, Model
from painmodels.use.model_files import FORMAT, read_json
from painmodels.use.onnx_files import write_onnx
from painmodels.use.run_cells import folds_of, full_name, the_cell
from painmodels.use.wheel import write_wheel


def from_run(run: Path, cell: str, *, device: str = "cpu", ensembles: bool = False, frozen: Trunk | None = None) -> Model:
    """The model of a finished cell, named `row/scenario/fold0`, or `row/scenario/subject/repeat1/seed2/fold0` in full.

    A name without them means the run's protocol, its first partition (repeat 0) and its first fit seed. `ensembles`: whether a
    message about another name may suggest that of all folds. `frozen`: the trunk of another model of the run, to hold it once.

    Raises ValueError if there is no such cell, it was not computed, or the trunk's weights are others now.
    """
    about, record = read_json(run / "run.json"), the_cell(run, cell, ensembles=ensembles)
    experiment, reader = about["experiment"], dataset(about["data"]["name"], about["data"].get("description"))
    if how := record.get("adapt"):
        raise InputError(
            f"{run}: cell {cell}: found a row adapted to the tested people ({how}), expected one that judges a recording by "
            f"itself: {record['scenario'].removesuffix(f'-{how}')}"
        )
    learns = task_of_run(about)
    name, words = of_row(record["modality"])
    chosen = {fit["role"]: fit for fit in record["fits"]}
    calibration = chosen.pop(CALIBRATION, None)
    if calibration and words == ("frame",):
        raise InputError(f"{run}: cell {cell}: frames that are recalibrated one by one are not exported; the row video is")
    manifests = {role: _manifest(run, fit) for role, fit in chosen.items()}
    entry = method(name)
    parts = entry.parts(words, lambda role: network(role, manifests[role]["stage"]["params"]["network"]))
    if [p.role for p in parts] != list(chosen):
        raise InputError(
            f"{run}: cell {cell}: found the parts {list(chosen)}, expected those of this version's method {name}"
        )
    channels = about["signals"]["channels"]
    heard = [word for word in words if word not in ("video", "frame")]
    signals = {word: word if word in reader.channels else channels.get(word, word) for word in heard}
    if any(map(rate_of, heard)):
        raise InputError(
            f"{record['modality']}: signals at a rate of their own are made by the grid alone: it cannot be exported"
        )
    takes = set(needs(parts, parts[-1].role))
    networks: list[dict[str, Any]] = []
    tensors: dict[str, torch.Tensor] = {}
    for part in parts:
        table, of_part = _node(name, part, manifests[part.role], _folder(run, chosen[part.role]), signals)
        networks.append(table)
        tensors |= of_part
    if calibration:
        arrays = load((_folder(run, calibration) / "arrays.safetensors").read_bytes())
        tensors |= {f"{CALIBRATION}.{name.removeprefix('network.')}": value for name, value in arrays.items()}
    trunk: dict[str, Any] = {}
    facts = Facts(clock_hz=reader.clock_hz, n_steps=reader.n_steps, faces=FaceSettings(**experiment["faces"]))
    if any(recording(kind).trunk for kind in takes):
        state, trunk = _trunk(about)
        tensors |= {f"trunk.{name}": value for name, value in state.items()}
        facts = replace(facts, trunk_width=backbone(trunk["name"]).feature_size)
    description = {
        "format": FORMAT,
        "cell": full_name(record),
        "experiment": experiment["name"],
        "synthetic": about["data"]["synthetic"],
        **({"pain": False} if about["data"].get("pain") is False else {}),
        "reader": reader.name,
        "clock_hz": reader.clock_hz,
        "n_steps": reader.n_steps,
        "classes": list(learns.names),
        "task": {"kind": learns.kind, **{k: v for k, v in experiment["task"].items() if v and k not in ("kind", "classes")}},
        "channels": list(signals.values()) if "signals" in takes else [],
        "faces": experiment["faces"],
        "trunk": trunk,
        "method": name,
        "words": list(words),
        "video": video_table(parts, facts),
        "networks": networks,
    }
    if calibration:
        description["calibration"] = calibration["settings"]["network"]
    if reader.description:  # of a data set by a table
        description["reader_description"] = dict(reader.description)
    return Model(description, tensors, device=device, trunk=frozen)


def write_card(run: Path, cell: str, about: Mapping[str, Any], folder: Path) -> None:
    """Write the model card of a cell into a folder. What a result folder of an older version does not say is not measured."""
    record, known = the_cell(run, (folds_of(run, cell) or [cell])[0]), run / "cards.json"
    facts = read_json(known) if known.is_file() else {}
    row = "/".join(str(record[name]) for name in ("modality", "scenario", "protocol"))
    described = read_json(run / "run.json")
    text = card(about, described, record, facts.get(row), gives=task_of_run(described).gives)
    write_whole(folder / CARD, text.encode())


def _folder(run: Path, fit: Mapping[str, Any]) -> Place:
    return pointed(run / "store") / fit["stage"] / fit["key"]


def _manifest(run: Path, fit: Mapping[str, Any]) -> dict[str, Any]:
    return read_json(_folder(run, fit) / "manifest.json")


def _node(
    name: str, part: Part, manifest: Mapping[str, Any], folder: Place, signals: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What model.json says of a part, and its tensors."""
    params = manifest["stage"]["params"]
    is_estimator = isinstance(part.trained, Estimator)
    seen = [w for w in (params["sees"] if is_estimator else params["signals"]) if w in signals]
    seen = seen if "signals" in part.recordings else []
    inputs = part.inputs
    if params.get("features") == "out-of-fold":
        inputs = tuple(replace(taken, output=OUT_OF_FOLD) if taken.part else taken for taken in inputs)
    table = {
        "role": part.role,
        "network": name if is_estimator else params["network"],
        "version": params["baseline_version"] if is_estimator else params["network_version"],
        "settings": params["settings"],
        "steps": params["steps"] or [0, 0],
        "inputs": [asdict(taken) for taken in inputs],
        "words": seen,
        "channels": [list(signals).index(word) for word in seen],
        "names": [signals[word] for word in seen],
        "normalise": "" if is_estimator else params["normalise"],
    }
    tensors = {}
    for key, value in load((folder / "arrays.safetensors").read_bytes()).items():
        kind, _, rest = key.partition(".")
        tensors[f"parts.{part.role}.{rest}" if kind == "network" else f"scale_{rest}_{part.role}"] = value
    return table, tensors


def any_from_run(run: Path, name: str, *, device: str = "cpu") -> Model | Ensemble:
    """The model of a finished cell, or where `name` has no fold (`eda/all87`), of all folds together. Raises ValueError."""
    names = folds_of(run, name)
    if not names:
        return from_run(run, name, device=device, ensembles=True)
    members: list[Model] = []
    for each in names:
        members.append(from_run(run, each, device=device, frozen=members[0].trunk if members else None))
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
    p.add_argument(
        "--cell",
        required=True,
        metavar="ROW/SCENARIO[/FOLD]",
        help="such as eda+video/all87/fold0, or eda+video/all87: all folds in one folder",
    )
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
    model = any_from_run(options.run, options.cell)
    if options.onnx and not isinstance(model, Model):
        raise InputError(
            f"--onnx: {options.cell} is an ensemble of {len(model.members)} models; export one of them: {options.cell}/fold0"
        )
    if options.onnx and model.about.get("calibration"):
        raise InputError("--onnx: the row is recalibrated, which an ONNX file of it would not be; export it without --onnx")
    model.save(options.to)
    members = {} if isinstance(model, Model) else {"members": [member.about["cell"] for member in model.members]}
    write_card(options.run, options.cell, {**model.about, **members}, options.to)
    write_wheel(options.to)
    if options.onnx and isinstance(model, Model):
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
