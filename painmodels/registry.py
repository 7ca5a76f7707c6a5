"""Defines sub-networks and finds them: every module of painmodels/networks that exports `NETWORK` adds one.

A sub-network has a role in the method (`spatial`, `temporal`, `attention`, `physiological`, `fusion`) and a name; an
experiment's TOML chooses among those of a role by name. Adding one is adding one file.

Shape legend, used in every module: B trials (or frames) in a batch, T steps, F features, C channels, H hidden units.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, ClassVar

import torch

from dataprep.records import InputError
from painmodels.tasks import Task, unnamed

NETWORKS = "painmodels.networks"
RANDOM = "random"
ROLES = ("spatial", "temporal", "attention", "physiological", "fusion")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a sub-network is trained; the settings of each network extend it. Defaults are common ground, not the paper's.

    `classes` (0: the target is a number) and `task` (empty: what so many classes mean, `binary` or `multiclass`) are set by the
    experiment's task, for all sub-networks alike; a network's last layer has `outputs` values. `clip_norm`: before each step
    the gradient is scaled down to this norm (of all of the network's weights together) where it is larger; 0: never. `tf32`
    lets a GPU round the factors of products to ten bits, which is faster; off, products are float32 as on a CPU.
    """

    epochs: int
    batch: int
    lr: float
    weight_decay: float = 0.0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    classes: int = 2
    clip_norm: float = 1.0
    tf32: bool = False
    task: str = ""

    unsaid: ClassVar[Mapping[str, Any]] = {"task": ""}

    def __post_init__(self) -> None:
        if not 0 <= self.clip_norm < math.inf:
            raise InputError(f"clip_norm: found {self.clip_norm}, expected a finite number of at least 0 (0: no clipping)")

    @property
    def learns(self) -> Task:
        """The task that it is trained on; the names of its classes are not known here."""
        return unnamed(self.task, self.classes)

    @property
    def outputs(self) -> int:
        """How many values the network gives: for most tasks a logit per class."""
        return self.learns.n_outputs

    @property
    def softmax(self) -> bool:
        """Whether these are logits of classes, whose softmax gives probabilities."""
        return self.learns.softmax


@dataclass(frozen=True, kw_only=True)
class Pretrained(Training):
    """Settings of a network that can start from weights of a `backbone` of painmodels/trunks/backbones.py.

    `weights`: "random", or in an experiment's file the path of a .safetensors file, and everywhere else what stands for its
    content. `begins`: how the names of the tensors begin that are taken from the file; the network has them in `start`.
    """

    weights: str = RANDOM

    backbone: ClassVar[str]

    @property
    def begins(self) -> tuple[str, ...]:
        """By default all."""
        return ("",)

    @property
    def from_file(self) -> bool:
        """Whether it starts from a file's weights."""
        return self.weights != RANDOM


def said(settings: Any) -> dict[str, Any]:
    """Settings as plain values: their identity. What is `unsaid` is left out where it has that value, as before it was there."""
    left_out = getattr(settings, "unsaid", {})
    return {name: value for name, value in asdict(settings).items() if name not in left_out or value != left_out[name]}


@dataclass(frozen=True)
class SubNetwork:
    """One entry: `build(settings, input_sizes)` makes the module; `input_sizes` are the last dimensions of its inputs.

    The module's inputs are the outputs of the sub-networks that feed it. Calling it gives logits, (B, outputs);
    `features(*inputs)` gives what the next sub-network takes, computed frozen and in eval mode.
    `per_frame`: trained on single frames, each carrying its trial's label, instead of on whole trials.
    `sequences`: a fusion that is fed with the streams step by step, (B, T, H) each, instead of with their summaries (B, H):
    hidden states of the temporal network, and what `sequence(*inputs)` of the physiological one gives.
    `least_steps(settings)`: the fewest steps (or samples) of a recording that it can take; a cell with fewer is refused.
    `keeps_statistics`: it has normalisation layers that keep means and variances of the training side (BatchNorm).
    `version` is raised when the behaviour changes, so that results of older code are not taken for this one's.
    """

    role: str
    name: str
    settings: type[Training]
    build: Callable[[Any, Sequence[int]], torch.nn.Module]
    per_frame: bool = False
    sequences: bool = False
    version: int = 1
    keeps_statistics: bool = False
    least_steps: Callable[[Any], int] = lambda settings: 1


@cache
def networks() -> Mapping[tuple[str, str], SubNetwork]:
    """All sub-networks by (role, name), found by importing the modules of painmodels/networks."""
    package = importlib.import_module(NETWORKS)
    found: dict[tuple[str, str], SubNetwork] = {}
    for info in pkgutil.iter_modules(package.__path__):
        network = getattr(importlib.import_module(f"{NETWORKS}.{info.name}"), "NETWORK", None)
        if isinstance(network, SubNetwork):
            found[network.role, network.name] = network
    return found


def network(role: str, name: str) -> SubNetwork:
    """The sub-network `name` of `role`. Raises ValueError that lists the names there are."""
    table = networks()
    if (role, name) not in table:
        known = sorted(n for r, n in table if r == role)
        raise InputError(f"no {role} network is called {name!r}; there are: {', '.join(known) or 'none'}")
    return table[role, name]
