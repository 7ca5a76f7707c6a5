"""Runs fits and predictions. Pure functions of a stage and prepared blocks, the same in any executor.

Inputs of a sub-network are the frozen outputs of those before it, recomputed from their stored weights (cheap next to
training): nothing flows between fits but artefacts in the store.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import numpy as np

from dataprep.storage import Place
from grid.plan.specs import Fit, Predict, Search
from grid.store.artefacts import Store
from grid.work.adapted import adapted
from grid.work.blocks import FC7, Blocks, weights_of_file
from grid.work.calibration import held_out, recalibrated
from grid.work.stored_networks import StoredNetworks, weights_of
from grid.work.windows import Windows
from painmodels.devices import peak_gpu_mb
from painmodels.methods.calibrate import ROLE as CALIBRATION
from painmodels.methods.calibrate import UNCALIBRATED
from painmodels.methods.graph import Estimator
from painmodels.registry import SubNetwork
from painmodels.training.augment import augmented
from painmodels.training.checkpoints import Checkpoint, file_checkpoint
from painmodels.training.loop import Fitted
from painmodels.training.loop import fit as train
from painmodels.training.normalise import Limits
from painmodels.training.packed_loop import Job, fit_packed

CHECKPOINT_EPOCHS = 50
"""A killed fit goes on from its last multiple of this, to the very same weights."""


def with_made(
    job: Fit | Search, inputs: list[np.ndarray], labels: np.ndarray, seed: int, normalise: str
) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs and labels of a training side, and after them the windows that the part's augmentation makes of them."""
    if job.part.augment is None:
        return inputs, labels
    x_NTC, labels = augmented(inputs[0], labels, job.part.augment, seed=seed, normalise=normalise)
    return [x_NTC], labels


def checkpoint_of(store: Store, job: Fit) -> Place:
    """Where a fit that is not done keeps what it has."""
    return store.root / ".checkpoints" / f"{job.stage.name}-{job.stage.key}.safetensors"


def resumable(store: Store, job: Fit) -> Checkpoint:
    """The checkpoint of a fit."""
    checkpoint_of(store, job).parent.mkdir(parents=True, exist_ok=True)
    return file_checkpoint(checkpoint_of(store, job), every=CHECKPOINT_EPOCHS)


def facts_of(job: Fit, fitted: Fitted, device: str, seconds: float, packed: int) -> dict[str, Any]:
    """What the store says of a fit beside its weights. `packed`: how many fits the computation trained."""
    return {
        "label": job.label,
        "subjects": sorted(set(job.train.subjects)),
        "trials": len(job.train.trial_ids),
        "curve": list(fitted.curve),
        "learning": asdict(fitted.learning) if fitted.learning else None,
        "seconds": round(seconds, 3),
        "device": device,
        "packed": packed,
        "peak_gpu_mb": peak_gpu_mb(device),
        "parameters": sum(int(value.size) for value in fitted.weights.values()),
        "upstream": [f"{u.stage.name}/{u.stage.key}" for u in job.upstream],
        "scenario": job.scenario,
        "fold": job.fold,
        "repeat": job.repeat,
        "seed": job.seed,
    }


class Runner:
    """Runs fits and predictions against a store and blocks, on one device ('cpu' or 'cuda').

    `packs`: how many fits of one layout it trains side by side.
    """

    def __init__(self, store: Store, blocks: Blocks, device: str = "cpu", packs: int = 1) -> None:
        self.store, self.blocks, self.device, self.packs = store, blocks, device, packs
        self.kept: dict[tuple[str, str, str], tuple[list[Any], list[Any]]] = {}
        self.windows = Windows(blocks)
        self.networks = StoredNetworks(store, self.windows, device)

    def fit(self, job: Fit) -> None:
        """Train a sub-network and store its weights, scaling and learning curve; nothing to do if it is stored."""
        if not self.store.has(job.stage):
            with self.store.marked(job.stage):
                self._fit(job)

    def _fit(self, job: Fit) -> None:
        started = time.monotonic()
        limits, trained = None, job.part.trained
        if isinstance(trained, Estimator):
            if job.role == CALIBRATION:
                seen, labels = held_out(job, self.networks.outputs)
            else:
                seen = self.windows.recordings(job, job.train.trial_ids, job.train.subjects)
                labels = np.asarray(job.train.labels)
            fitted = trained.fit(seen, labels, job.settings, job.stage.seed, self.device)
        else:
            fitted, limits = self._trained(job, trained)
        self._keep(job, fitted, limits, time.monotonic() - started)

    def fit_together(self, jobs: Sequence[Fit]) -> None:
        """Train fits of one layout as one computation and store each, as `fit` would; the time is shared among them."""
        jobs = [job for job in jobs if not self.store.has(job.stage)]
        if not jobs:
            return
        started = time.monotonic()
        with ExitStack() as marks:
            for job in jobs:
                marks.enter_context(self.store.marked(job.stage))
            inputs = [self.networks.training_inputs(job) for job in jobs]
            packed = []
            for job, (x, _) in zip(jobs, inputs, strict=True):
                (x_NTC,), labels = with_made(job, x, np.asarray(job.train.labels), job.stage.seed, job.normalise)
                packed.append(
                    Job(
                        settings=job.settings,
                        x_NTC=x_NTC,
                        labels_N=labels,
                        seed=job.stage.seed,
                        checkpoint=resumable(self.store, job),
                    )
                )
            results = fit_packed(packed, device=self.device)
            seconds = (time.monotonic() - started) / len(jobs)
            for job, (_, limits), fitted in zip(jobs, inputs, results, strict=True):
                self._keep(job, fitted, limits, seconds, packed=len(jobs))

    def _keep(self, job: Fit, fitted: Fitted, limits: Limits | None, seconds: float, packed: int = 1) -> None:
        """Store a fit's weights, scaling and learning curve; its checkpoint is not needed any more."""
        arrays = {f"network.{name}": value for name, value in fitted.weights.items()}
        if limits:
            arrays.update({"scale.low": limits.low, "scale.high": limits.high})
        self.store.write(job.stage, arrays, facts_of(job, fitted, self.device, seconds, packed))
        checkpoint_of(self.store, job).unlink(missing_ok=True)

    def _trained(self, job: Fit, network: SubNetwork) -> tuple[Fitted, Limits | None]:
        """A network, trained, and the scaling of its inputs."""
        inputs, limits = self.networks.training_inputs(job)
        inputs, labels = with_made(job, inputs, np.asarray(job.train.labels), job.stage.seed, job.normalise)
        fitted = train(
            network,
            job.settings,
            inputs,
            labels,
            seed=job.stage.seed,
            device=self.device,
            initial=self.blocks.start(FC7) if job.pretrained else weights_of_file(self.blocks, job.settings),
            checkpoint=resumable(self.store, job),
        )
        return fitted, limits

    def predict(self, job: Predict) -> None:
        """Store what the task says of the held-out trials, float32, of the row `frame` per frame; nothing to do if stored.

        What the last part of the method keeps is stored, too: of the attention the weight of each step, float32 (N, T); and what
        was predicted before a recalibration.
        """
        if self.store.has(job.stage):
            return
        started = time.monotonic()
        arrays: dict[str, np.ndarray] = {}
        last = job.fit.upstream[0] if job.fit.role == CALIBRATION else job.fit
        if kept := last.part.keeps:
            inputs = self.networks.known_inputs(last, job.test.trial_ids, job.test.subjects)
            p = self.networks.apply(last, inputs, "prediction")
            arrays[kept] = self.networks.apply(last, inputs, kept).astype(np.float32)
        elif job.adapt:
            p = adapted(self, last, weights_of(self.store, last), job.adapt, job.test.trial_ids, job.test.subjects)
        else:
            p = self.networks.outputs(last, job.test.trial_ids, job.test.subjects, "prediction")
        if last is not job.fit:
            arrays[UNCALIBRATED] = p.astype(np.float32)
            p = recalibrated(job.fit, weights_of(self.store, job.fit), p, self.device)
        facts = {
            "trial_ids": list(job.test.trial_ids),
            "subjects": sorted(set(job.test.subjects)),
            "first_step": job.fit.steps[0],
            "seconds": round(time.monotonic() - started, 3),
        }
        arrays[job.stored] = p.astype(np.float32)
        self.store.write(job.stage, arrays, facts)
