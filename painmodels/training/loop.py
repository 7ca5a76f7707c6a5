"""The one training loop of all sub-networks, and running them once they are trained.

Adam on the loss of the task (painmodels/tasks), gradients scaled down to `clip_norm` where they are larger, the learning rate of
`torch.optim.lr_scheduler.MultiStepLR`, a fixed number of epochs.
All data are tensors on the device; only a batch at a time is float32. Equal arguments give equal bytes on a CPU,
whatever the number of threads the process has: initialisation, dropout and the order of an epoch's batches depend on
(seed, epoch) alone, arithmetic runs in one thread, and the global generators are left as they were.
A fit that is killed goes on from its last checkpoint to the very same weights.
"""

from __future__ import annotations

import hashlib
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from painmodels.devices import precision
from painmodels.registry import SubNetwork, Training
from painmodels.tasks import Task
from painmodels.training.checkpoints import Checkpoint, Row, arrays_of, resume, signature_of, start_from, state_of
from painmodels.training.learning import Learning, recorded

PICTURES = 2**25
"""Values of pictures that are turned into numbers at once, 128 MB; what a network makes of them takes some times as much."""


class DivergedError(ValueError):
    """The loss or the gradient is not finite any more, because of the settings or the data; not a bug."""


@dataclass(frozen=True)
class Fitted:
    """`weights`: tensor name -> float32 array. `curve`: a row per epoch; loss and accuracy are means over the epoch, and
    `gradient_norm` is the largest of any step, before clipping. `learning`: what happened, None where there were no epochs or
    more are to come.
    """

    weights: dict[str, np.ndarray]
    curve: tuple[Row, ...]
    learning: Learning | None = None


def fit(
    network: SubNetwork,
    settings: Training,
    inputs: Sequence[np.ndarray],
    labels: np.ndarray,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    initial: Mapping[str, np.ndarray] | None = None,
    on_epoch: Callable[[Row], None] | None = None,
    checkpoint: Checkpoint | None = None,
    until: int | None = None,
) -> Fitted:
    """Train a sub-network from `seed` for `settings.epochs` epochs.

    `until` ends after that many epochs, at a state that the checkpoint keeps: called again, the fit goes on from there.

    `inputs` are float arrays (N, T, F) or (N, F), one per input of the network; `labels` (N,), targets of the task: of
    classes 0 … classes - 1. A `per_frame`
    network takes (N, T, F) and is trained on the N·T frames, each with its trial's label. `initial` replaces some of
    the initial weights; `on_epoch` is called with each row of the curve. Raises ValueError for inputs and labels that
    do not fit each other and for training that diverges.
    """
    task = settings.learns
    check_inputs(network, inputs, labels, task=task)
    with one_thread(), precision(tf32=settings.tf32):
        tensors = [_tensor(x, device) for x in inputs]
        target = torch.as_tensor(np.asarray(labels), dtype=task.dtype, device=device)
        if network.per_frame:
            target = target.repeat_interleave(inputs[0].shape[1])
            tensors = [x.flatten(0, 1) for x in tensors]
        with seeded(seed, 0, device):
            model = network.build(settings, [x.shape[-1] for x in inputs]).to(device)
        start_from(model, initial or {})
        optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        signature = signature_of(network, settings, inputs, labels, seed, initial or {})
        curve = resume(checkpoint, model, optimiser, signature)
        last = settings.epochs if until is None else min(until, settings.epochs)
        for epoch in range(len(curve), last):
            rate = settings.lr * settings.gamma ** bisect_right(settings.milestones, epoch)
            optimiser.param_groups[0]["lr"] = rate
            with seeded(seed, epoch + 1, device):
                try:
                    row = _epoch(model, optimiser, tensors, target, settings)
                except RuntimeError as error:
                    if "overflow" not in str(error):
                        raise
                    raise DivergedError(f"{network.role} {network.name}: epoch {epoch}, lr {rate}: {error}") from error
            curve.append(finite({"epoch": epoch, **row, "lr": rate}, f"{network.role} {network.name}"))
            if on_epoch:
                on_epoch(curve[-1])
            pause = (epoch + 1) % checkpoint.every == 0 or epoch + 1 == last if checkpoint else False
            if checkpoint and pause and epoch + 1 < settings.epochs:
                checkpoint.save(state_of(model, optimiser, curve, signature))
        learning = None
        if curve and len(curve) == settings.epochs:
            loss, accuracy = evaluated(model, tensors, target, task=task)
            constant = task.constant_loss(np.asarray(labels))
            learning = recorded(constant, curve, train_loss=loss, train_accuracy=accuracy)
        return Fitted(arrays_of(model), tuple(curve), learning)


def outputs(
    network: SubNetwork,
    settings: Training,
    weights: Mapping[str, np.ndarray],
    inputs: Sequence[np.ndarray],
    *,
    what: str,
    device: str | torch.device = "cpu",
    batch: int = 256,
) -> np.ndarray:
    """What a trained sub-network gives for (N, …) inputs, in eval mode: one row a trial, in order.

    `what = "prediction"`: what the task predicts, float32 (N,) or (N, C), of a `per_frame` network (N, T) or (N, T, C): of two
    classes the probability of the second.
    `what = "sequence"`: the hidden states of every step, float32 (N, T, H), of a network that has them (`sequence`).
    `what = "probabilities"`: of each class, float32 (N, classes); of a task without classes the network's outputs.
    `what = "features"`: what the next network is fed with, float32 (N, …); float16 (N, T, width) of a `per_frame` one.
    `what = "attention"`: the weight of each step, float32 (N, T), of a network that has `weights`.
    Raises ValueError for another `what`, unfitting inputs and weights, and features beyond float16.
    """
    if what not in ("features", "probabilities", "sequence", "prediction", "attention"):
        raise ValueError(
            f"what: found {what!r}, expected 'features', 'probabilities', 'sequence', 'prediction' or 'attention'"
        )
    task = settings.learns
    check_inputs(network, inputs, None)
    with one_thread(), precision(tf32=settings.tf32), torch.inference_mode():
        with torch.random.fork_rng(devices=[]):
            model = network.build(settings, [x.shape[-1] for x in inputs]).to(device).eval()
        start_from(model, weights, whole=True)
        parts = []
        batch = _rows_at_once(inputs, batch)
        for start in range(0, len(inputs[0]), batch):
            rows = [_tensor(x[start : start + batch], device) for x in inputs]
            if network.per_frame:  # a trial at a time: the frames of a batch of trials would fill the memory
                parts += [
                    _forward(model, [x[i].float() for x in rows], what, task).to(_dtype(network, what))[None]
                    for i in range(len(rows[0]))
                ]
            else:
                parts.append(_forward(model, [x.float() for x in rows], what, task))
        if not parts:  # no rows: the shape is that of one made-up row
            return outputs(network, settings, weights, [np.zeros((1, *x.shape[1:]), x.dtype) for x in inputs], what=what)[:0]
        result = torch.cat([part.cpu() for part in parts])
        if not torch.isfinite(result).all():
            raise DivergedError(f"{network.role} {network.name}: found {what} that are not finite in {result.dtype}")
        return result.numpy()


def _rows_at_once(inputs: Sequence[np.ndarray] | Sequence[torch.Tensor], batch: int) -> int:
    """`batch` trials, or fewer where the inputs hold a picture of each step."""
    sizes = [int(np.prod(x.shape[1:])) for x in inputs if x.ndim > 3]
    return max(1, min(batch, PICTURES // sum(sizes))) if sizes else batch


def _dtype(network: SubNetwork, what: str) -> torch.dtype:
    return torch.float16 if network.per_frame and what == "features" else torch.float32


def _forward(model: torch.nn.Module, rows: list[torch.Tensor], what: str, task: Task) -> torch.Tensor:
    if what == "features":
        return model.features(*rows)  # type: ignore[operator]
    if what == "probabilities":
        return model(*rows).softmax(-1) if task.softmax else model(*rows)
    if what == "sequence":
        if not hasattr(model, "sequence"):
            raise ValueError(f"{type(model).__name__} has no `sequence`: expected a network that gives every step")
        return model.sequence(*rows)  # type: ignore[operator]
    if what == "attention":
        return model.weights(*rows)  # type: ignore[operator]
    return task.predicted(model(*rows))


def _epoch(
    model: torch.nn.Module, optimiser: torch.optim.Adam, inputs: list[torch.Tensor], target: torch.Tensor, settings: Training
) -> Row:
    """One pass over all rows in an order from the CPU's generator (the same on every device): a row of the curve."""
    model.train()
    task = settings.learns
    weights = [p for p in model.parameters() if p.requires_grad]
    order = torch.randperm(len(target), generator=torch.default_generator).to(target.device)
    sums = torch.zeros(2, dtype=torch.float64, device=target.device)  # on the device: reading them would wait for it
    largest = torch.zeros((), device=target.device)
    for rows in order.split(settings.batch):
        logits = model(*(x[rows].float() for x in inputs))
        loss = task.loss(logits, target[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = get_total_norm([p.grad for p in weights if p.grad is not None])
        # asking a GPU for the norm would wait for it; scaling by 1 changes no bit, so where it is known it is left out
        if settings.clip_norm and (norm.is_cuda or norm > settings.clip_norm):
            clip_grads_with_norm_(weights, settings.clip_norm, norm)
        optimiser.step()
        largest = torch.maximum(largest, norm)
        sums += torch.stack([loss.detach() * len(rows), task.right(logits, target[rows]).sum()])
    loss_sum, right, largest_norm = torch.cat([sums, largest.double()[None]]).tolist()
    return {"loss": loss_sum / len(target), "accuracy": right / len(target), "gradient_norm": largest_norm}


def finite(row: Row, what: str) -> Row:
    """A row of the curve. Raises DivergedError if training has diverged; in the last step only the gradient shows it."""
    for name in ("loss", "gradient_norm"):
        if not np.isfinite(row[name]):
            title = name.replace("_", " ")
            raise DivergedError(
                f"{what}: the {title} is {row[name]} in epoch {row['epoch']}, lr {row['lr']}: expected finite"
            )
    return row


def evaluated(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor], target: torch.Tensor, *, task: Task, batch: int = 256
) -> tuple[float, float]:
    """Mean loss and accuracy of a network over all rows, in evaluation mode."""
    model.eval()
    loss = right = 0.0
    with torch.inference_mode():
        batch = _rows_at_once(inputs, batch)
        for start in range(0, len(target), batch):
            rows = slice(start, start + batch)
            logits = model(*(x[rows].float() for x in inputs))
            loss += float(task.loss(logits, target[rows], reduction="sum"))
            right += float(task.right(logits, target[rows]).sum())
    return loss / len(target), right / len(target)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums over threads depend on their number; with one thread the bytes do not."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, epoch: int, device: str | torch.device) -> Iterator[None]:
    """Generators of the CPU and the device seeded from (seed, epoch) inside, put back after."""
    value = int.from_bytes(hashlib.sha256(f"{seed}/{epoch}".encode()).digest()[:7], "big")
    cuda = torch.device(device) if torch.device(device).type == "cuda" else None
    with torch.random.fork_rng(devices=[cuda] if cuda else []):
        torch.default_generator.manual_seed(value)
        if cuda:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(value)
        yield


def _tensor(x: np.ndarray, device: str | torch.device) -> torch.Tensor:
    with warnings.catch_warnings():
        # arrays of an object store are read-only; they are never written to here, and a copy could fill the memory
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(x).to(device)


def check_inputs(
    network: SubNetwork, inputs: Sequence[np.ndarray], labels: np.ndarray | None, *, task: Task | None = None
) -> None:
    title = f"{network.role} {network.name}"
    shapes = [x.shape for x in inputs]
    if not inputs or len({s[0] for s in shapes}) > 1 or any(len(s) < (3 if network.per_frame else 2) for s in shapes):
        wanted = "(N, T, F)" if network.per_frame else "(N, T, F) or (N, F)"
        raise ValueError(f"{title}: found inputs of shapes {shapes}, expected {wanted} with one N")
    if labels is None or task is None:
        return
    values = np.unique(labels)
    if np.shape(labels) != (shapes[0][0],) or len(labels) == 0 or not task.fits(values):
        found = f"{np.shape(labels)} labels with values {values[:5].tolist()}"
        wanted = f"0 … {task.n_classes - 1}" if task.n_classes else "finite numbers"
        raise ValueError(f"{title}: found {found}, expected {shapes[0][0]} (at least 1) of {wanted}")
