"""Frozen trunks: face crops in, one feature vector a frame out. Called once per frame, for every fold and scenario.

Because conv1 … FC-6 are frozen (paper section 3.3), the trunk's activations of a frame never change: FC-7 and FC-8
are trained on stored activations (`spatial_head`), which is the same mathematics at a tenth of the arithmetic.

Input kinds (`SCALINGS`): `unit` x / 255; `caffe` 0 … 255 minus the mean of the published face network; `imagenet`
torchvision's mean and standard deviation; `grey64` grey, 64×64 with anti-aliasing, (x / 255 − 0.5) · 2.
BatchNorm is always in eval mode, so a frame's features do not depend on the frames beside it (but for rounding).
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dataprep.records import InputError
from painmodels import devices
from painmodels.trunks.alexnet import AlexNet
from painmodels.trunks.backbones import BACKBONES, Backbone, State, backbone, skeleton, trunk_names
from painmodels.trunks.mini_xception import MiniXception
from painmodels.trunks.pixels import PixelConv
from painmodels.trunks.weight_cache import WeightsMissing, file_digest, find_weights, provenance, read_weights

__all__ = ["BACKBONES", "SCALINGS", "SIZE", "Trunk", "WeightsMissing", "head_start", "load_trunk", "trunk_fingerprint"]

SIZE = 227
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_VERSIONS = {"float32": 1, "bfloat16": 2}  # raise one when its features change for the same weights
_BATCH = {"float32": 16, "bfloat16": 48}  # frames at once on a processor: more cost memory and gain no speed
_LUMA = (0.299, 0.587, 0.114)
# kind -> (factor, shift) per channel of RGB 0 … 255
SCALINGS: dict[str, tuple[tuple[float, ...], tuple[float, ...]] | None] = {
    "unit": ((1 / 255,) * 3, (0.0,) * 3),
    "caffe": ((1.0,) * 3, (-131.09375, -103.88607788, -91.47599792)),
    "imagenet": (tuple(1 / 255 / s for s in (0.229, 0.224, 0.225)), (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)),
    "grey64": None,
}


@dataclass(frozen=True)
class Shared:
    """The tensors of a trunk as arrays for other processes, 4-D ones channel last, bfloat16 as int16; and its origin."""

    arrays: dict[str, np.ndarray]
    origin: tuple[str, str]


class Trunk:
    """A frozen trunk, ready to use.

    `name`, `feature_size`, `precision`; `fingerprint`: 12 hexadecimal digits over name, scaling, precision and tensors, equal to
    `trunk_fingerprint` of the same arguments; `provenance`: one sentence on where the weights come from.
    """

    def __init__(self, entry: Backbone, network: nn.Module, *, scaling: str, precision: str, origin: tuple[str, str]):
        self.name = entry.name
        self.feature_size = entry.feature_size
        self.fingerprint, self.provenance = origin
        self._entry, self._scaling, self.precision = entry, scaling, precision
        _fold(network, scaling, precision)
        for module in network.modules():
            if getattr(module, "num_batches_tracked", None) is not None:  # counts training batches; may be without memory
                module.num_batches_tracked = torch.zeros((), dtype=torch.int64)
        self.network = network.eval().requires_grad_(False).to(PRECISIONS[precision]).to(memory_format=torch.channels_last)
        self._device = torch.device("cpu")

    def __call__(self, crops: np.ndarray, device: str | torch.device = "cpu") -> np.ndarray:
        """Features (B, feature_size), float16, of RGB crops (B, 227, 227, 3), uint8.

        Raises ValueError for another shape or type, and where a feature does not fit float16.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (SIZE, SIZE, 3):
            raise ValueError(f"crops: found {crops.dtype} {crops.shape}, expected uint8 (B, {SIZE}, {SIZE}, 3)")
        if torch.device(device) != self._device:
            self._device = torch.device(device)
            self.network.to(self._device)
        if len(crops) == 0:
            return np.empty((0, self.feature_size), dtype=np.float16)
        with devices.precision(tf32=False), torch.inference_mode():
            # One layout in memory gives one rounding. Frames out of the object store are read-only, which torch does not
            # take: a batch is small, so it is copied.
            plain = np.ascontiguousarray(crops)
            pixels = torch.from_numpy(plain if plain.flags.writeable else plain.copy()).to(self._device)
            batch = _BATCH[self.precision] if self._device.type == "cpu" else len(crops)
            features = torch.cat([self.features(part) for part in pixels.split(batch)])
            if not torch.isfinite(features.sum(dtype=torch.float32)):  # one that is not makes the sum so
                raise InputError(f"{self.name}: a feature does not fit float16 (input kind {self._scaling!r})")
            return features.cpu().numpy()

    def shared(self) -> Shared:
        """What `trunk_from_shared` makes the same trunk of, in other processes, on memory that they share."""
        arrays = {}
        for key, tensor in self.network.state_dict().items():
            value = tensor.cpu().permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor.cpu()
            arrays[key] = (value.view(torch.int16) if value.dtype == torch.bfloat16 else value).numpy()
        return Shared(arrays, (self.fingerprint, self.provenance))

    def features(self, crops_BYXC: torch.Tensor) -> torch.Tensor:
        """The same as tensors on the network's device, unchecked."""
        if isinstance(getattr(self.network, "conv1", None), PixelConv):
            x = crops_BYXC
        else:
            x = (
                scaled(crops_BYXC, self._scaling)
                .to(PRECISIONS[self.precision])
                .contiguous(memory_format=torch.channels_last)
            )
        return self._entry.trunk(self.network, x).to(torch.float16)


def scaled(crops_BYXC: torch.Tensor, scaling: str) -> torch.Tensor:
    """uint8 RGB (B, 227, 227, 3) as the network's input, float32 (B, 3, 227, 227), or (B, 1, 64, 64) for `grey64`."""
    pixels = crops_BYXC.to(torch.float32)
    entry = SCALINGS[scaling]
    if entry is None:
        luma = pixels.new_tensor(_LUMA)
        if torch.compiler.is_exporting():  # onnxruntime takes seven times as long for a product with three numbers
            grey = functional.conv2d(pixels.permute(0, 3, 1, 2), luma[None, :, None, None])
        else:
            grey = (pixels @ luma)[:, None]
        return functional.interpolate(grey, (64, 64), mode="bilinear", antialias=True) / 127.5 - 1
    factor, shift = (pixels.new_tensor(values) for values in entry)
    return pixels.mul_(factor).add_(shift).permute(0, 3, 1, 2)  # in place: a batch of 32 is 20 MB


def load_trunk(
    name: str,
    *,
    weights: Path | None = None,
    random: bool = False,
    seed: int = 0,
    scaling: str | None = None,
    precision: str = "float32",
) -> Trunk:
    """The frozen trunk of a backbone, with the weights given, shipped or imported, or with random ones from `seed`.

    Raises WeightsMissing if there are none, ValueError for an unknown name, scaling or precision or a wrong file.
    """
    mark = trunk_fingerprint(name, weights=weights, random=random, seed=seed, scaling=scaling, precision=precision)
    if random:
        state, sentence = whole_state(name, random=True, seed=seed)
    else:
        path = find_weights(name, weights)
        state, sentence = read_weights(name, path, only=trunk_names(name)), provenance(name, path)
    scaling = scaling or backbone(name).scalings[0]
    return trunk_from_state(name, state, scaling=scaling, precision=precision, origin=(mark, sentence))


def whole_state(name: str, *, weights: Path | None = None, random: bool = False, seed: int = 0) -> tuple[State, str]:
    """The whole network's tensors, and one sentence on where they come from. Raises like `load_trunk`."""
    if not random:
        path = find_weights(name, weights)
        return read_weights(name, path), provenance(name, path)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        state = backbone(name).build().apply(_he).state_dict()
    return (
        {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
        f"{name}: RANDOM WEIGHTS from seed {seed}, not trained on anything.",
    )


def trunk_from_state(name: str, state: State, *, scaling: str, precision: str, origin: tuple[str, str]) -> Trunk:
    """The frozen trunk of tensors such as `whole_state` gives, those of the head not needed; the trunk keeps the tensors.

    `origin` is its fingerprint and provenance.
    """
    network = skeleton(name)
    network.load_state_dict({key: state[key] for key in trunk_names(name)}, strict=False, assign=True)
    return Trunk(backbone(name), network, scaling=scaling, precision=precision, origin=origin)


def trunk_from_shared(name: str, shared: Shared, *, scaling: str, precision: str) -> Trunk:
    """The trunk that `Trunk.shared` was asked of, on the very same memory: nothing is copied, read-only arrays are fine."""
    network = skeleton(name)
    _fold(network, scaling, precision)
    tensors = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of memory that it may not write to: nobody does
        for key, array in shared.arrays.items():
            tensor = torch.from_numpy(array)
            tensor = tensor.view(torch.bfloat16) if array.dtype == np.int16 else tensor
            tensors[key] = tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor
    network.load_state_dict(tensors, strict=False, assign=True)
    return Trunk(backbone(name), network, scaling=scaling, precision=precision, origin=shared.origin)


def trunk_fingerprint(
    name: str,
    *,
    weights: Path | None = None,
    random: bool = False,
    seed: int = 0,
    scaling: str | None = None,
    precision: str = "float32",
) -> str:
    """What `load_trunk` of the same arguments would give as `fingerprint`, without building the network. Raises like it."""
    entry = backbone(name)
    scaling = scaling or entry.scalings[0]
    if scaling not in entry.scalings:
        raise InputError(f"scaling of {name}: found {scaling!r}, expected one of {', '.join(entry.scalings)}")
    if precision not in PRECISIONS:
        raise InputError(f"precision: found {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if random and weights is not None:
        raise InputError(f"{name}: random weights and a weight file ({weights}) exclude each other")
    tensors = f"random {seed}" if random else file_digest(find_weights(name, weights))
    identity = json.dumps([_VERSIONS[precision], name, scaling, precision, tensors])
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def head_start(name: str, *, weights: Path | None = None, fold: bool = True) -> dict[str, np.ndarray]:
    """The pre-trained FC-7 that continues the trunk, as `initial` weights of the `fc7` head; empty if it has none.

    `fc7.weight` (4096, feature_size), `fc7.bias` (4096,), float32, BatchNorm folded in; without `fold` its four arrays, too,
    as `bn7.NAME`. Raises WeightsMissing.
    """
    take = backbone(name).fc7
    if take is None:
        return {}
    state = read_weights(name, find_weights(name, weights))
    return {key: value.numpy() for key, value in take(state, fold=fold).items()}


def _he(module: nn.Module) -> None:
    """He initialisation: keeps the size of activations through the layers, which the default of PyTorch does not."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _fold(network: nn.Module, scaling: str, precision: str) -> None:
    """Put into the weights what need not be computed for every frame; nothing the second time."""
    _fold_batchnorm(network)
    entry = SCALINGS[scaling]
    if precision == "bfloat16" and isinstance(network, AlexNet) and isinstance(network.conv1, nn.Conv2d) and entry:
        network.conv1 = PixelConv(network.conv1, *entry)


def _fold_batchnorm(network: nn.Module) -> None:
    """Put frozen BatchNorm into the convolution before it, where the pairs are known: the same function, faster."""
    pairs: list[tuple[Any, str, str]] = []
    if isinstance(network, AlexNet):
        pairs = [(network, f"{kind}{k}", f"bn{k}") for k, kind in enumerate(("conv",) * 5 + ("fc",) * 2, start=1)]
    elif isinstance(network, MiniXception):
        pairs = [(network, "conv1", "norm1"), (network, "conv2", "norm2")]
        for block in network.blocks:
            pairs += [(block, "shortcut", "norm"), *((part, "pointwise", "norm") for part in (block.first, block.second))]
    for owner, conv, norm in pairs:
        before, after = getattr(owner, conv), getattr(owner, norm)
        if isinstance(after, nn.BatchNorm2d):
            if before.weight.is_meta:  # arithmetic on nothing would load a compiler, 150 MB
                before.bias = nn.Parameter(torch.empty(before.out_channels, device="meta"))
            else:
                setattr(owner, conv, fuse_conv_bn_eval(before.eval(), after.eval()))
            setattr(owner, norm, nn.Identity())
