"""Checkpoints: the state of a fit in one file, from which it continues to the same weights; weights of modules as arrays."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_bytes
from safetensors.numpy import save as save_bytes

from dataprep.storage import Place, remove_tree, write_whole
from painmodels.registry import SubNetwork, Training

Row = dict[str, float]
_COLUMNS = ("epoch", "loss", "accuracy", "lr")
_NORM = "gradient_norm"  # of the curve, in an array of its own: the file's `curve` keeps its four columns
_ADAM = ("step", "exp_avg", "exp_avg_sq")
_CHECK = "sha256"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps its state, a dict of arrays: saved every `every` epochs; `load` gives the last one, or None."""

    every: int
    save: Callable[[dict[str, np.ndarray]], None]
    load: Callable[[], dict[str, np.ndarray] | None]


def file_checkpoint(path: Place, *, every: int) -> Checkpoint:
    """A checkpoint in one safetensors file, replaced in one step, with the SHA-256 of what it holds.

    What cannot be read, or does not hold what was saved, is removed with a warning in the log: the fit begins anew.
    """

    def save(state: dict[str, np.ndarray]) -> None:
        write_whole(path, save_bytes({**state, _CHECK: _digest(state)}))

    def load() -> dict[str, np.ndarray] | None:
        try:
            state = load_bytes(path.read_bytes())
            if not np.array_equal(state.pop(_CHECK, ()), _digest(state)):
                raise ValueError("its content does not have the checksum that it was saved with")
            return state
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError) as error:
            _log.warning("%s: found a checkpoint that cannot be used (%s); this fit begins anew", path, error)
            remove_tree(path)
            return None

    return Checkpoint(every, save, load)


def _digest(state: Mapping[str, np.ndarray]) -> np.ndarray:
    found = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        found.update(f"{name} {array.dtype} {np.shape(state[name])}\n".encode())
        found.update(array.tobytes())
    return np.frombuffer(found.digest(), np.uint8).copy()


def start_from(model: torch.nn.Module, weights: Mapping[str, np.ndarray], *, whole: bool = False) -> None:
    """Put weights into a module: some of its own, or (`whole`) all. Raises ValueError for others, and other shapes."""
    state = model.state_dict()
    wrong = [f"{k} {np.shape(v)}" for k, v in weights.items() if k not in state or tuple(state[k].shape) != np.shape(v)]
    missing = sorted(state.keys() - weights.keys()) if whole else []
    if wrong or missing:
        wanted = {k: tuple(v.shape) for k, v in state.items()}
        raise ValueError(f"weights: found unfitting {wrong}, missing {missing}; expected {wanted}")
    with torch.no_grad():
        for key, value in weights.items():
            state[key].copy_(torch.from_numpy(np.array(value)))


def arrays_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """A copy of a module's weights, on the CPU."""
    return {key: value.detach().cpu().numpy().copy() for key, value in model.state_dict().items()}


def signature_of(
    network: SubNetwork, settings: Training, inputs: Sequence[np.ndarray], labels: np.ndarray, seed: int, initial: Mapping
) -> np.ndarray:
    """What a checkpoint must agree on to be resumed. The values of inputs are left out: they can be gigabytes."""
    shapes = [(x.shape, str(x.dtype)) for x in inputs]
    text = repr((network.role, network.name, network.version, settings, shapes, seed, sorted(initial)))
    given = np.asarray(labels)
    exact = given.astype(np.int64 if settings.classes else np.float64)
    return np.frombuffer(hashlib.sha256(text.encode() + exact.tobytes()).digest(), np.uint8).copy()


def state_of(
    model: torch.nn.Module, optimiser: torch.optim.Adam, curve: list[Row], signature: np.ndarray
) -> dict[str, np.ndarray]:
    """What a checkpoint holds: weights, Adam's moments and step counts, the curve, and the signature."""
    state = {f"model/{key}": value for key, value in arrays_of(model).items()}
    for name, parameter in _trained(model):
        for key in _ADAM:
            state[f"adam/{name}/{key}"] = optimiser.state[parameter][key].cpu().numpy().copy()
    state["curve"] = np.array([[row[c] for c in _COLUMNS] for row in curve], dtype=np.float64)
    state[_NORM] = np.array([row[_NORM] for row in curve], dtype=np.float64)
    state["signature"] = signature
    return state


def _trained(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """The parameters that are not frozen: Adam keeps moments of these alone."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def resume(
    checkpoint: Checkpoint | None, model: torch.nn.Module, optimiser: torch.optim.Adam, signature: np.ndarray
) -> list[Row]:
    """Put the last checkpoint's state into model and optimiser; gives the curve so far, empty at the beginning.

    A state that is not this fit's changes nothing but the log: the fit begins anew.
    """
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return []
    wrong = _unfit(state, model, signature)
    if wrong:
        _log.warning("checkpoint: %s; this fit begins anew", wrong)
        return []
    start_from(model, {key[6:]: value for key, value in state.items() if key.startswith("model/")}, whole=True)
    for name, parameter in _trained(model):
        arrays = {key: torch.from_numpy(np.array(state[f"adam/{name}/{key}"])) for key in _ADAM}
        # the step count stays on the CPU, where Adam keeps it
        optimiser.state[parameter] = {k: v if k == "step" else v.to(parameter.device) for k, v in arrays.items()}
    return [
        {c: int(v) if c == "epoch" else v for c, v in zip((*_COLUMNS, _NORM), (*row, norm), strict=True)}
        for row, norm in zip(state["curve"].tolist(), state[_NORM].tolist(), strict=True)
    ]


def _unfit(state: Mapping[str, np.ndarray], model: torch.nn.Module, signature: np.ndarray) -> str:
    """Why a state cannot be put into a module and its optimiser; empty if it can."""
    if not np.array_equal(state.get("signature", ()), signature):
        return "found that of another fit, expected the same network, settings, labels, shapes and seed"
    weights = arrays_of(model)
    expected = {f"model/{key}": (value.shape, value.dtype) for key, value in weights.items()}
    for name, _ in _trained(model):
        for key in _ADAM:
            expected[f"adam/{name}/{key}"] = ((), np.dtype(np.float32)) if key == "step" else expected[f"model/{name}"]
    n_epochs = len(state["curve"]) if "curve" in state and state["curve"].ndim == 2 else 0
    expected |= {"curve": ((n_epochs, len(_COLUMNS)), np.dtype(float)), _NORM: ((n_epochs,), np.dtype(float))}
    expected["signature"] = (signature.shape, signature.dtype)
    found = {key: (value.shape, value.dtype) for key, value in state.items()}
    odd = sorted(key for key in expected.keys() | found.keys() if found.get(key) != expected.get(key))
    if odd:
        return f"found {odd[0]} as {found.get(odd[0])}, expected {expected.get(odd[0])} (shape, type)"
    return ""
