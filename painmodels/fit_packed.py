"""Fits of many physiological LSTMs of one shape at once, each with the result that `fit.fit` gives it alone.

The order of an epoch's batches and the first weights come from the same generators, so results differ by rounding only.
Packed are networks with equal `key`: one layout of weights, one batch size, one length of trials. Free are data, number of
trials, seed, learning rate and its milestones, and epochs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from painmodels.devices import precision
from painmodels.fit import Fitted, Row, check_inputs, one_thread, seeded
from painmodels.packed import PackedLSTM, PackedTrainer
from painmodels.physiological import NETWORK, Settings


@dataclass(frozen=True)
class Job:
    """One fit: signals (N, T, C), scaled, their labels (N,), and the seed that `fit.fit` would get."""

    settings: Settings
    x_NTC: np.ndarray
    labels_N: np.ndarray
    seed: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for jobs that can be packed."""
        s = self.settings
        return (*self.x_NTC.shape[1:], s.hidden, s.layers, s.batch, s.classes, s.weight_decay, s.tf32)


def packable(settings: Any) -> bool:
    """Whether fits of these settings can be packed: the LSTM, without dropout, whose draws depend on the batch's shape."""
    return isinstance(settings, Settings) and settings.dropout == 0


def fit_packed(jobs: Sequence[Job], *, device: str | torch.device = "cpu") -> list[Fitted]:
    """Train all jobs side by side; results in their order. Raises ValueError for jobs that do not fit each other, or diverge."""
    if len({job.key for job in jobs}) != 1 or not all(packable(job.settings) for job in jobs):
        raise ValueError(f"packed fits: found {len({j.key for j in jobs})} layouts, expected one, without dropout")
    for job in jobs:
        check_inputs(NETWORK, [job.x_NTC], job.labels_N, classes=job.settings.classes)
    settings = jobs[0].settings
    with one_thread(), precision(tf32=settings.tf32):
        states = []
        for job in jobs:
            with seeded(job.seed, 0, device):
                states.append(NETWORK.build(job.settings, [job.x_NTC.shape[-1]]).state_dict())
        model = PackedLSTM(states, layers=settings.layers).to(device)
        n_steps, n_inputs = jobs[0].x_NTC.shape[1:]
        trainer = PackedTrainer(
            model, batch=settings.batch, n_steps=n_steps, n_inputs=n_inputs, weight_decay=settings.weight_decay
        )
        data, labels = _stacked(jobs, device)
        curves: list[list[Row]] = [[] for _ in jobs]
        for epoch in range(max(job.settings.epochs for job in jobs)):
            rates = _rates(jobs, epoch)
            order_KSB, weight_KSB = _order(jobs, epoch, device)
            lr_K = torch.tensor(rates, dtype=torch.float32, device=device)
            each_K1 = torch.arange(len(jobs), device=device)[:, None]
            for s in range(order_KSB.shape[1]):
                rows_KB = order_KSB[:, s]
                trainer.step(data[each_K1, rows_KB], labels[each_K1, rows_KB], weight_KSB[:, s], lr_K)
            _note(curves, jobs, epoch, rates, trainer.take_sums())
    return [
        Fitted({name: value.numpy() for name, value in state.items()}, tuple(curve))
        for state, curve in zip(model.states(), curves, strict=True)
    ]


def _stacked(jobs: Sequence[Job], device: str | torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """All data (K, N, T, C) float32 and labels (K, N), shorter sets padded with zeros that no order ever names."""
    longest = max(len(job.x_NTC) for job in jobs)
    data = np.zeros((len(jobs), longest, *jobs[0].x_NTC.shape[1:]), np.float32)
    labels = np.zeros((len(jobs), longest), np.int64)
    for k, job in enumerate(jobs):
        data[k, : len(job.x_NTC)], labels[k, : len(job.x_NTC)] = job.x_NTC, job.labels_N
    return torch.from_numpy(data).to(device), torch.from_numpy(labels).to(device)


def _rates(jobs: Sequence[Job], epoch: int) -> list[float]:
    return [s.lr * s.gamma ** bisect_right(s.milestones, epoch) for s in (job.settings for job in jobs)]


def _order(jobs: Sequence[Job], epoch: int, device: str | torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of every batch (K, S, B) and their weights, 1 or 0 for padding: the order in which `fit` takes them."""
    batch = jobs[0].settings.batch
    n_batches = -(-max(len(job.x_NTC) for job in jobs) // batch)
    order = torch.zeros(len(jobs), n_batches * batch, dtype=torch.int64)
    weight = torch.zeros(len(jobs), n_batches * batch)
    for k, job in enumerate(jobs):
        if epoch < job.settings.epochs:
            n = len(job.x_NTC)
            with seeded(job.seed, epoch + 1, device):
                order[k, :n] = torch.randperm(n, generator=torch.default_generator)
            weight[k, :n] = 1
    return tuple(x.view(len(jobs), n_batches, batch).to(device) for x in (order, weight))  # type: ignore[return-value]


def _note(curves: list[list[Row]], jobs: Sequence[Job], epoch: int, rates: list[float], sums_2K: torch.Tensor) -> None:
    for k, job in enumerate(jobs):
        if epoch < job.settings.epochs:
            loss, accuracy = (float(v) / len(job.x_NTC) for v in sums_2K[:, k])
            if not np.isfinite(loss):
                raise ValueError(f"packed fit {k}: the loss is {loss} in epoch {epoch}, lr {rates[k]}: expected finite")
            curves[k].append({"epoch": epoch, "loss": loss, "accuracy": accuracy, "lr": rates[k]})
