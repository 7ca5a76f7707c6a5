"""Reading MatConvNet `.mat` models (DagNN and SimpleNN) into the names and layouts of PyTorch.

Filters are stored height × width × in × out, BatchNorm moments as two columns: the mean and the standard deviation
sqrt(variance + epsilon). Source: https://www.vlfeat.org/matconvnet/ (vl_nnconv, vl_nnbnorm).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataprep.records import InputError

_EPSILON = 1e-5


def read_mat(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The layers of the file that `shapes` (tensor name -> shape) knows by name; a misfit keeps its own shape.

    Raises ValueError if the file is no MatConvNet model.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path, struct_as_record=False, squeeze_me=True)
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise InputError(f"{path}: not a MATLAB file (version 5 to 7) that can be read: {error}") from error
    net = content.get("net")
    holder = vars(net) if hasattr(net, "_fieldnames") else content
    if "layers" not in holder:
        raise InputError(f"{path}: not a MatConvNet model: found {sorted(holder)}, expected 'layers'")
    values = {str(p.name): p.value for p in _items(holder.get("params", ()))}
    state: dict[str, torch.Tensor] = {}
    for layer in _items(holder["layers"]):
        arrays = (
            [values[str(n)] for n in _items(layer.params) if str(n) in values]
            if values
            else list(_items(getattr(layer, "weights", ())))
        )
        name = str(layer.name)
        if f"{name}.running_mean" in shapes and len(arrays) == 3:
            moments = np.asarray(arrays[2], dtype=np.float64)
            _put(state, shapes, f"{name}.weight", arrays[0])
            _put(state, shapes, f"{name}.bias", arrays[1])
            _put(state, shapes, f"{name}.running_mean", moments[..., 0])
            _put(state, shapes, f"{name}.running_var", np.maximum(moments[..., 1] ** 2 - _EPSILON, 0))
        elif f"{name}.weight" in shapes and len(arrays) == 2:
            _put(state, shapes, f"{name}.weight", arrays[0])
            _put(state, shapes, f"{name}.bias", arrays[1])
    return state


def _items(value: Any) -> list[Any]:
    """A MATLAB cell or struct array as a list; one element arrives without its array."""
    return list(np.atleast_1d(np.asarray(value, dtype=object)).ravel())


def _put(state: dict[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]], name: str, value: Any) -> None:
    array = np.asarray(value, dtype=np.float32)
    wanted = shapes[name]
    if len(wanted) in (2, 4):  # filters: (out, in, height, width), or (out, in) where the layer is linear
        stored = (*wanted[2:], *([1, 1] if len(wanted) == 2 else []), wanted[1], wanted[0])
        if array.shape == tuple(n for n in stored if n != 1):  # dimensions of one element were dropped when reading
            array = array.reshape(stored).transpose(3, 2, 0, 1).reshape(wanted)
    elif array.size == np.prod(wanted):
        array = array.reshape(wanted)
    state[name] = torch.from_numpy(np.ascontiguousarray(array))
