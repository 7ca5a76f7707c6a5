"""The grid's way of training one fold, against the way it is usually written; one run, same seeds, same data, one process.

    python tests/benchmarks/training.py [--json] [--trials 16] [--steps 12] [--epochs 30] [--physiological-epochs 80]

*naive*: each row trained alone, from a DataLoader of single items, the whole CNN run forward for every batch of every epoch of
whatever is trained on top of it. *ours*: the plan with its shared stages, the frozen trunk's activations computed once, tensors
in memory. Both are given the same face crops and signals in memory, so that decoding and detection, which both do once, count
for neither. The eight rows of one (scenario, fold), the paper's epochs but for the physiological LSTM, whose 800 are cut alike
on both sides: nothing but sharing helps there, so the ratio falls as they grow. CPU seconds. Predictions must agree to 1e-4.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dataprep.datasets.biovid import DATASET
from dataprep.records import SampleIndex
from grid.experiment import config
from grid.experiment.cells import PAPER_ROWS
from grid.plan.planner import Planner
from grid.plan.specs import Fit, Inputs, Plan, Predict
from grid.results.files import fits_of
from grid.store.artefacts import Store
from grid.work.fit_predict import Runner
from painmodels import registry
from painmodels.training.loop import seeded
from painmodels.training.normalise import normalised
from painmodels.trunks.trunk import Trunk, load_trunk

TOML = """
name = "benchmark"
[axes]
modalities = {rows}
scenarios = ["all87"]
[scenarios.all87]
subset = "all"
[protocol]
folds = 4
[trunk]
name = "{trunk}"
random = {random}
[spatial]
width = {width}
epochs = {epochs}
lr = 1e-4
milestones = [20]
[temporal]
epochs = {epochs}
[attention]
epochs = {epochs}
[physiological]
epochs = {physiological}
[fusion]
epochs = {epochs}
lr = 1e-3
"""


class Recordings:
    """Face crops and signals of made-up trials, in memory. Implements the grid's `Blocks` once `features` are there."""

    def __init__(self, trials: int, steps: int) -> None:
        rng = np.random.default_rng(0)
        ids = tuple(f"t{i}" for i in range(trials))
        self.index = SampleIndex(ids, tuple(f"s{i // 2}" for i in range(trials)), tuple(i % 2 for i in range(trials)))
        field = rng.uniform(0, 255, (trials, steps, 9, 9, 3)).astype(np.uint8)
        self.crops = {
            t: np.ascontiguousarray(f.repeat(26, 1).repeat(26, 2)[:, :227, :227]) for t, f in zip(ids, field, strict=True)
        }
        self.raw = {t: rng.normal(size=(steps, 3)).astype(np.float32).cumsum(0) for t in ids}
        self.features: dict[str, np.ndarray] = {}

    def of_video(self, kind: str, trial_ids) -> list[np.ndarray]:
        return [self.features[t] for t in trial_ids]

    def signals(self, trial_ids) -> list[np.ndarray]:
        return [self.raw[t] for t in trial_ids]

    def start(self, name: str) -> dict[str, np.ndarray]:
        return {}


def plan_of(experiment: config.Experiment, data: Recordings, steps: int) -> Plan:
    keys = {t: t for t in data.index.trial_ids}
    dataset = dataclasses.replace(DATASET, n_steps=steps)
    return Planner(experiment, dataset, Inputs(data.index, dict.fromkeys(("video", "eda", "ecg"), keys))).build(
        PAPER_ROWS, ["all87"], [0]
    )


def ours(plan: Plan, data: Recordings, trunk: Trunk) -> dict[str, np.ndarray]:
    data.features = {t: trunk(crops) for t, crops in data.crops.items()}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        runner = Runner(store, data)
        for fit in plan.fits.values():
            runner.fit(fit)
        for predict in plan.predicts.values():
            runner.predict(predict)
        return {cell.modality: store.arrays(p.stage)["p_pain"] for cell, p in plan.predicts.items()}


class Items(Dataset):
    """One item a trial, (crops, signals, label), or one a frame."""

    def __init__(self, data: Recordings, ids: tuple[str, ...], labels: tuple[int, ...], *, frames: bool) -> None:
        self.data, self.labels = data, labels
        self.items = [(t, k) for t in ids for k in (range(len(data.crops[t])) if frames else [-1])]
        self.of = dict(zip(ids, labels, strict=True))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int):
        trial, k = self.items[i]
        crops = self.data.crops[trial][k] if k >= 0 else self.data.crops[trial]
        return torch.from_numpy(crops), torch.from_numpy(self.data.raw[trial]), self.of[trial]


class Naive:
    """One row, trained alone: its chain of sub-networks, each on the frozen ones before it, which run from the pixels up."""

    def __init__(self, data: Recordings, trunk: Trunk) -> None:
        self.data, self.trunk = data, trunk
        self.models: dict[str, torch.nn.Module] = {}

    def inputs(self, fit: Fit, crops: torch.Tensor, signals: torch.Tensor) -> list[torch.Tensor]:
        """What a sub-network is fed with, from pixels and samples."""
        if fit.upstream:
            with torch.no_grad():
                values = [self.models[u.role].features(*self.inputs(u, crops, signals)) for u in fit.upstream]
            if fit.role == "temporal":
                values = [values[0].half().float()]  # as the grid rounds what it hands on
            if fit.role == "attention":
                values.append(torch.ones(values[0].shape[:2]))
            return values
        if fit.role == "physiological":
            x_NTC = signals[..., list(fit.part.channels)].numpy()
            return [torch.from_numpy(normalised(x_NTC, how=fit.normalise, subjects=[""] * len(x_NTC))[0])]
        frames = torch.from_numpy(self.trunk(crops.reshape(-1, *crops.shape[-3:]).numpy())).float()
        return [frames.view(*crops.shape[:-3], -1)]

    def fit(self, fit: Fit) -> None:
        network, settings = registry.network(fit.role, fit.part.network), fit.settings
        items = Items(self.data, fit.train.trial_ids, fit.train.labels, frames=network.per_frame)
        crops, signals, _ = next(iter(DataLoader(items, batch_size=1)))
        sizes = [x.shape[-1] for x in self.inputs(fit, crops, signals)]
        with seeded(fit.stage.seed, 0, "cpu"):
            model = network.build(settings, sizes)
        self.models[fit.role] = model
        optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, list(settings.milestones), settings.gamma)
        for epoch in range(settings.epochs):
            with seeded(fit.stage.seed, epoch + 1, "cpu"):
                order = torch.randperm(len(items), generator=torch.default_generator).tolist()
            for crops, signals, labels in DataLoader(items, batch_size=settings.batch, sampler=order):
                loss = torch.nn.functional.cross_entropy(model(*self.inputs(fit, crops, signals)), labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            scheduler.step()
        model.eval()

    def predict(self, predict: Predict) -> np.ndarray:
        items = Items(self.data, predict.test.trial_ids, (0,) * len(predict.test.trial_ids), frames=False)
        rows = []
        for crops, signals, _ in DataLoader(items, batch_size=8):
            with torch.no_grad():
                rows.append(self.models[predict.fit.role](*self.inputs(predict.fit, crops, signals)).softmax(-1)[..., 1])
        return torch.cat(rows).numpy()


def naive(plan: Plan, data: Recordings, trunk: Trunk) -> dict[str, np.ndarray]:
    out = {}
    for cell, predict in plan.predicts.items():
        row = Naive(data, trunk)
        for fit in fits_of(predict.fit):
            row.fit(fit)
        out[cell.modality] = row.predict(predict)
    return out


def measure(a: argparse.Namespace) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        rows, random = json.dumps(PAPER_ROWS), str(a.trunk != "mini-xception-fer").lower()
        text = TOML.format(
            rows=rows, trunk=a.trunk, random=random, width=a.width, epochs=a.epochs, physiological=a.physiological_epochs
        )
        file.write(text)
        file.flush()
        experiment = config.load(file.name)
    data = Recordings(a.trials, a.steps)
    plan = plan_of(experiment, data, a.steps)
    trunk = load_trunk(a.trunk, random=experiment.trunk.random)
    trunk(next(iter(data.crops.values())))  # the first call sets things up
    our_p, our_s = timed(lambda: ours(plan, data, trunk))
    naive_p, naive_s = timed(lambda: naive(plan, data, trunk))
    return {
        "trunk": a.trunk,
        "rows": len(plan.predicts),
        "fits": {"ours": len(plan.fits), "naive": sum(len(fits_of(p.fit)) for p in plan.predicts.values())},
        "trials": a.trials,
        "steps": a.steps,
        "epochs": {"physiological": a.physiological_epochs, "others": a.epochs},
        "width": a.width,
        "naive_s": round(naive_s, 2),
        "ours_s": round(our_s, 2),
        "speedup": round(naive_s / our_s, 1),
        "spread_of_predictions": round(max(float(np.ptp(p)) for p in naive_p.values()), 3),
        "largest_difference_of_predictions": max(float(np.abs(our_p[row] - p).max()) for row, p in naive_p.items()),
    }


def timed(work: Callable[[], dict]) -> tuple[dict, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--trunk", default="mini-xception-fer", help="alexnet-table1 is the paper's size, with random weights"
    )
    for name, value in (("trials", 16), ("steps", 12), ("epochs", 30), ("physiological-epochs", 80), ("width", 256)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(chosen)
    print(json.dumps(found, indent=1) if chosen.json else "  ".join(f"{k}={v}" for k, v in found.items()))
    return 0 if found["largest_difference_of_predictions"] < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
