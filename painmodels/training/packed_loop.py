"""Fits of many physiological LSTMs of one shape at once, each with the result that `fit.fit` gives it alone.

The order of an epoch's batches and the first weights come from the same generators, so results differ by rounding only.
Packed are networks with equal `key`: one layout of weights, one batch size, one length of trials. Free are data, number of
trials, seed, learning rate and its milestones, epochs, and how far each has come: a fit goes on from its checkpoint, whether
that was written here or alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from painmodels.devices import precision
from painmodels.networks.physiological_lstm import NETWORK, Settings
from painmodels.training.checkpoints import Checkpoint, Row, arrays_of, resume, signature_of, state_of
from painmodels.training.learning import Learning, recorded
from painmodels.training.loop import Fitted, check_inputs, evaluated, finite, one_thread, seeded
from painmodels.training.packed_lstm import PackedLSTM, PackedTrainer

PACKABLE = NETWORK
"""The sub-network that can be packed."""


@dataclass(frozen=True)
class Job:
    """One fit: signals (N, T, C), scaled, their labels (N,), and what else `fit.fit` would get."""

    settings: Settings
    x_NTC: np.ndarray
    labels_N: np.ndarray
    seed: int
    checkpoint: Checkpoint | None = None
    until: int | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for jobs that can be packed."""
        return layout(self.settings, self.x_NTC.shape[1], self.x_NTC.shape[2])

    @property
    def last(self) -> int:
        """The number of epochs at which the fit ends, this time."""
        return self.settings.epochs if self.until is None else min(self.until, self.settings.epochs)


def layout(settings: Any, n_steps: int, n_channels: int) -> tuple[Any, ...]:
    """Equal for fits that can be packed; empty for one that cannot: an LSTM without dropout, whose draws depend on the batch,
    that is the paper's (no convolution, the last state)."""
    if not isinstance(settings, Settings) or settings.dropout or not settings.plain:
        return ()
    s = settings
    return (n_steps, n_channels, s.hidden, s.layers, s.batch, s.classes, s.task, s.weight_decay, s.tf32)


class _Alone:
    """A fit as it would be alone: the module and optimiser that its state comes from and goes into."""

    def __init__(self, job: Job) -> None:
        self.job = job
        with seeded(job.seed, 0, "cpu"):
            self.model = NETWORK.build(job.settings, [job.x_NTC.shape[-1]])
        self.optimiser = torch.optim.Adam(self.model.parameters())
        self.signature = signature_of(NETWORK, job.settings, [job.x_NTC], job.labels_N, job.seed, {})
        self.curve: list[Row] = resume(job.checkpoint, self.model, self.optimiser, self.signature)
        self.begun = len(self.curve)

    def give(self, trainer: PackedTrainer, k: int) -> None:
        """Adam's state, if the fit goes on from a checkpoint; the weights are already there."""
        for name, parameter in self.model.named_parameters():
            state = self.optimiser.state.get(parameter)
            if state:
                first, second = trainer.moments(name)
                first[k], second[k] = state["exp_avg"], state["exp_avg_sq"]
                trainer.counts_K[k] = float(state["step"])

    def take(self, trainer: PackedTrainer, k: int) -> None:
        """Weights and Adam's state, as they are now."""
        for name, parameter in self.model.named_parameters():
            first, second = trainer.moments(name)
            parameter.data.copy_(trainer.model.part(name)[k])
            moments = {"exp_avg": first[k].cpu().clone(), "exp_avg_sq": second[k].cpu().clone()}
            self.optimiser.state[parameter] = {"step": trainer.counts_K[k].cpu().clone(), **moments}

    def learning(self, device: str | torch.device) -> Learning | None:
        """What happened, once the fit is over."""
        job = self.job
        if not self.curve or len(self.curve) < job.settings.epochs:
            return None
        task = job.settings.learns
        inputs, target = (torch.from_numpy(np.array(x)).to(device) for x in (job.x_NTC, job.labels_N))
        loss, accuracy = evaluated(self.model.to(device), [inputs], target.to(task.dtype), task=task)
        constant = task.constant_loss(np.asarray(job.labels_N))
        return recorded(constant, self.curve, train_loss=loss, train_accuracy=accuracy)

    def keep(self, trainer: PackedTrainer, k: int, epoch: int) -> None:
        """After an epoch: a checkpoint where `fit.fit` would make one."""
        job, point = self.job, self.job.checkpoint
        due = point is not None and ((epoch + 1) % point.every == 0 or epoch + 1 == job.last)
        if point and due and self.begun <= epoch < job.last and epoch + 1 < job.settings.epochs:
            self.take(trainer, k)
            point.save(state_of(self.model, self.optimiser, self.curve, self.signature))


def fit_packed(jobs: Sequence[Job], *, device: str | torch.device = "cpu") -> list[Fitted]:
    """Train all jobs side by side; results in their order. Raises ValueError for jobs that do not fit each other, or diverge."""
    if len({job.key for job in jobs}) != 1 or not jobs[0].key:
        raise ValueError(f"packed fits: found {len({j.key for j in jobs})} layouts, expected one, without dropout")
    for job in jobs:
        check_inputs(NETWORK, [job.x_NTC], job.labels_N, task=job.settings.learns)
    settings = jobs[0].settings
    with one_thread(), precision(tf32=settings.tf32):
        fits = [_Alone(job) for job in jobs]
        model = PackedLSTM([f.model.state_dict() for f in fits], layers=settings.layers).to(device)
        n_steps, n_inputs = jobs[0].x_NTC.shape[1:]
        trainer = PackedTrainer(
            model,
            batch=settings.batch,
            n_steps=n_steps,
            n_inputs=n_inputs,
            clip_norms=[job.settings.clip_norm for job in jobs],
            weight_decay=settings.weight_decay,
            task=settings.learns,
        )
        for k, one in enumerate(fits):
            one.give(trainer, k)
        data, labels = _stacked(jobs, device)
        each_K1 = torch.arange(len(jobs), device=device)[:, None]
        for epoch in range(min(f.begun for f in fits), max(job.last for job in jobs)):
            active = [f.begun <= epoch < f.job.last for f in fits]
            rates = _rates(jobs, epoch)
            order_KSB, weight_KSB = _order(jobs, active, epoch, device)
            lr_K = torch.tensor(rates, dtype=torch.float32, device=device)
            for s in range(order_KSB.shape[1]):
                rows_KB = order_KSB[:, s]
                trainer.step(data[each_K1, rows_KB], labels[each_K1, rows_KB], weight_KSB[:, s], lr_K)
            _note(fits, active, epoch, rates, trainer.take_sums())
            for k, one in enumerate(fits):
                one.keep(trainer, k, epoch)
        for k, one in enumerate(fits):
            one.take(trainer, k)
        return [Fitted(arrays_of(f.model), tuple(f.curve), f.learning(device)) for f in fits]


def _stacked(jobs: Sequence[Job], device: str | torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """All data (K, N, T, C) float32 and labels (K, N), shorter sets padded with zeros that no order ever names."""
    longest = max(len(job.x_NTC) for job in jobs)
    data = np.zeros((len(jobs), longest, *jobs[0].x_NTC.shape[1:]), np.float32)
    labels = np.zeros((len(jobs), longest), np.float64)
    for k, job in enumerate(jobs):
        data[k, : len(job.x_NTC)], labels[k, : len(job.x_NTC)] = job.x_NTC, job.labels_N
    return torch.from_numpy(data).to(device), torch.from_numpy(labels).to(jobs[0].settings.learns.dtype).to(device)


def _rates(jobs: Sequence[Job], epoch: int) -> list[float]:
    return [s.lr * s.gamma ** bisect_right(s.milestones, epoch) for s in (job.settings for job in jobs)]


def _order(
    jobs: Sequence[Job], active: Sequence[bool], epoch: int, device: str | torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of every batch (K, S, B) and their weights, 1 or 0 for padding: the order in which `fit` takes them."""
    batch = jobs[0].settings.batch
    n_batches = -(-max(len(job.x_NTC) for job in jobs) // batch)
    order = torch.zeros(len(jobs), n_batches * batch, dtype=torch.int64)
    weight = torch.zeros(len(jobs), n_batches * batch)
    for k, job in enumerate(jobs):
        if active[k]:
            n = len(job.x_NTC)
            with seeded(job.seed, epoch + 1, device):
                order[k, :n] = torch.randperm(n, generator=torch.default_generator)
            weight[k, :n] = 1
    return tuple(x.view(len(jobs), n_batches, batch).to(device) for x in (order, weight))  # type: ignore[return-value]


def _note(fits: Sequence[_Alone], active: Sequence[bool], epoch: int, rates: list[float], sums_3K: torch.Tensor) -> None:
    for k, (one, is_on) in enumerate(zip(fits, active, strict=True)):
        if is_on:
            loss, accuracy = (float(v) / len(one.job.x_NTC) for v in sums_3K[:2, k])
            row = {"epoch": epoch, "loss": loss, "accuracy": accuracy, "gradient_norm": float(sums_3K[2, k]), "lr": rates[k]}
            one.curve.append(finite(row, f"packed fit {k}"))
