"""The two files of an exported model: written whole, and read only if they are what was written, together.

`model.safetensors` holds all tensors; `model.json` describes them (`Description`) and names the SHA-256 of the tensors' file and
of the description itself. So a description that was edited, tensors of another model and a flipped bit are refused at loading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from dataprep.datasets import dataset
from dataprep.records import InputError
from dataprep.signals.derived import source
from dataprep.storage import Place, write_whole
from painmodels.tasks import task_of_table
from painmodels.training.normalise import How
from painmodels.use.wheel import needs

FORMAT = 3
TENSORS, ABOUT, README = "model.safetensors", "model.json", "README.md"
ONNX_FILES = ("network.onnx", "trunk.onnx", "signals.onnx")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Node(_Part):
    """One part: `network` is the name of what was trained, `words` what it sees of the row, `names` of its channels."""

    role: str
    network: str
    version: int | str
    settings: dict[str, Any]
    steps: tuple[int, int]
    inputs: list[dict[str, str]]
    words: list[str]
    channels: list[int]
    names: list[str]
    normalise: How | Literal[""]


class Member(_Part):
    """What is an ensemble's member's own: its tensors are named `member0.…`; the trunk is all members'."""

    cell: str
    networks: list[Node] = Field(min_length=1)
    calibration: str = ""


class Description(_Part):
    """All that model.json says. An unknown key is refused: it may change what the tensors mean."""

    format: Literal[3]
    cell: str
    experiment: str
    synthetic: bool
    pain: bool = True
    reader: str
    reader_description: dict[str, Any] = {}
    clock_hz: float = Field(gt=0, allow_inf_nan=False)
    n_steps: int = Field(gt=0)
    classes: list[str] = Field(min_length=2)
    task: dict[str, Any] = {}
    channels: list[str]
    faces: dict[str, Any]
    trunk: dict[str, Any]
    method: str
    words: list[str]
    video: list[dict[str, Any]]
    networks: list[Node] = Field(min_length=1)
    calibration: str = ""
    members: list[Member] = []


def write_model(folder: Path, about: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write both files, and README.md for people, into `folder`, made if it is not there.

    ONNX files and wheels of an earlier export there are removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ONNX_FILES:
        (folder / name).unlink(missing_ok=True)
    for wheel in folder.glob("pain_grid-*.whl"):
        wheel.unlink()
    content = save({name: v.contiguous() for name, v in tensors.items()})
    marks = {"tensors": hashlib.sha256(content).hexdigest(), "description": description_mark(about)}
    write_whole(folder / TENSORS, content)
    write_whole(folder / README, readme(about).encode())
    write_whole(folder / ABOUT, (json.dumps({**about, "sha256": marks}, indent=1) + "\n").encode())


def of_no_pain(about: Mapping[str, Any]) -> str:
    """A sentence where the model was trained on nobody's pain, else empty. `about`: model.json."""
    if about["synthetic"]:
        return "Trained on synthetic data: it says nothing about pain."
    if about.get("pain") is False:
        return f"Trained on {' and '.join(about['classes'])}, not on pain: it says nothing about pain."
    return ""


def taken(about: Mapping[str, Any]) -> list[str]:
    """What a recording has to have: the recorded channels, such as `ecg` where the row sees `hr`, and the face."""
    recorded = dataset(about["reader"], about.get("reader_description")).channels
    inputs = dict.fromkeys(source(channel, recorded) or channel for channel in about["channels"])
    return [*inputs, *(["a video of the face"] if about["video"] else [])]


def readme(about: Mapping[str, Any]) -> str:
    """What the folder holds, takes, gives and needs."""
    inputs = taken(about)
    files = [*(['video="v.mp4"'] if about["video"] else []), *(['signals="x_bio.csv"'] if about["channels"] else [])]
    made_up = f"{said}\n\n" if (said := of_no_pain(about)) else ""
    if members := about.get("members"):
        made_up += f"The mean of {len(members)} models, one of each fold: each person of the data trained some of them.\n\n"
    return f"""# {about["cell"]}

Research software, not a medical device: no output may guide the care of a person.

{made_up}Takes {", ".join(inputs) or "nothing"}, {about["n_steps"] / about["clock_hz"]:g} s (longer ones window by
window), as in the data set {about["reader"]}. Gives {task_of_table(about.get("task") or {}, tuple(about["classes"])).gives},
or the reason why there is none.

    import painmodels
    found = painmodels.load("this folder").predict({", ".join(files)})

Needs Python 3.11 to 3.13 and pain-grid with the extra `predict`, not Ray, MLflow or Optuna; where its wheel is in this folder,
`pip install './pain_grid-….whl[predict]'`. Written with

    {f"{chr(10)}    ".join(needs())}

`{TENSORS}` holds the tensors, `{ABOUT}` what they mean and the SHA-256 of both.
"""


def read_model(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Description and tensors. Raises ValueError that names the file that is absent, changed, damaged or of another format."""
    path = folder / ABOUT
    about = read_json(path)
    if not isinstance(about, dict):
        raise InputError(f"{path}: found {type(about).__name__}, expected a description of a model")
    if about.get("format") != FORMAT:
        raise InputError(f"{path}: found format {about.get('format')!r}, expected {FORMAT}: export the model again")
    marks = about.pop("sha256", None)
    if not isinstance(marks, dict) or marks.get("description") != description_mark(about):
        raise InputError(f"{path}: found a description that was changed after it was written: export the model again")
    check_description(about, path)
    try:
        content = (folder / TENSORS).read_bytes()
        if hashlib.sha256(content).hexdigest() != marks.get("tensors"):
            raise InputError(
                f"{folder / TENSORS}: found tensors that are not those that {ABOUT} was written with: export the model again"
            )
        return about, load(content)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / TENSORS}: cannot be read ({error}), expected a safetensors file") from None


def description_mark(about: Mapping[str, Any]) -> str:
    """The SHA-256 of a description, whatever the order of its keys and the spaces between them."""
    text = json.dumps({k: v for k, v in about.items() if k != "sha256"}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_description(about: Mapping[str, Any], path: Path | str = ABOUT) -> None:
    """Raises ValueError that names the first key that is absent, unknown or of another kind."""
    try:
        Description.model_validate(dict(about))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" else f", found {str(first['input'])[:60]!r}"
        raise InputError(f"{path}: {where}: {first['msg']}{found}") from None


def read_json(path: Place) -> Any:
    """The content of a JSON file. Raises ValueError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}), expected a JSON file") from None
