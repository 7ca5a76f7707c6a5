"""Settings of a fit's device: the precision of products, and the memory used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def precision(*, tf32: bool) -> Iterator[None]:
    """Whether a GPU's products may be TF32. PyTorch allows it to cuDNN, and so to every LSTM, unless told otherwise."""
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, cudnn.allow_tf32
    products.allow_tf32 = cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32 = before


def peak_gpu_mb(device: str | torch.device) -> float | None:
    """The most memory that tensors took on a GPU since the last call, in MB; None for a CPU."""
    if torch.device(device).type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device) / 1e6
    torch.cuda.reset_peak_memory_stats(device)
    return round(peak, 1)
