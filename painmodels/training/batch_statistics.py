"""Normalisation layers with the statistics of other recordings than those of the training side (Li et al. 2018, "AdaBN").

No weight that was learnt changes, and no label is looked at: the means and variances that a layer keeps of its training side are
replaced by those of the given recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from painmodels.devices import precision
from painmodels.registry import SubNetwork
from painmodels.training.checkpoints import arrays_of, start_from
from painmodels.training.loop import one_thread

BATCH = 256


def with_statistics_of(
    network: SubNetwork,
    settings: Any,
    weights: Mapping[str, np.ndarray],
    inputs: Sequence[np.ndarray],
    device: str | torch.device = "cpu",
) -> dict[str, np.ndarray]:
    """The weights with the layers' means and variances over the given inputs, (N, …) each, N at least 2.

    Over batches of 256 rows in their order, each weighing alike. Equal arguments give equal bytes on a CPU.
    """
    with one_thread(), precision(tf32=settings.tf32), torch.no_grad():
        with torch.random.fork_rng(devices=[]):
            model = network.build(settings, [x.shape[-1] for x in inputs]).to(device).eval()
        start_from(model, weights, whole=True)
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                layer.reset_running_stats()
                layer.momentum = None  # a mean over batches
                layer.train()
        n = len(inputs[0])
        bounds = np.linspace(0, n, -(-n // BATCH) + 1).astype(int)  # of nearly one size: none of a single row
        for first, last in pairwise(bounds):
            model(*(torch.as_tensor(x[first:last]).float().to(device) for x in inputs))
        return arrays_of(model)
