"""Runs fits and predictions. Pure functions of a stage and prepared blocks, the same in any executor.

Inputs of a sub-network are the frozen outputs of those before it, recomputed from their stored weights (cheap next to
training): nothing flows between fits but artefacts in the store.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from dataprep.recordings import recording
from dataprep.storage import Place
from grid.plan.specs import Fit, Predict, Search
from grid.store.artefacts import Store
from grid.work.adapted import adapted
from grid.work.blocks import Blocks
from grid.work.calibration import held_out, recalibrated
from grid.work.windows import Windows
from painmodels.devices import peak_gpu_mb
from painmodels.methods.calibrate import ROLE as CALIBRATION
from painmodels.methods.calibrate import UNCALIBRATED
from painmodels.methods.graph import Estimator
from painmodels.registry import SubNetwork
from painmodels.training.augment import augmented
from painmodels.training.checkpoints import Checkpoint, file_checkpoint
from painmodels.training.loop import Fitted, outputs
from painmodels.training.loop import fit as train
from painmodels.training.normalise import FITTED, Limits
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


def weights_of(store: Store, job: Fit) -> dict[str, np.ndarray]:
    """The stored weights of a fit, by the names that it gave them."""
    stored = store.arrays(job.stage)
    return {name.removeprefix("network."): a for name, a in stored.items() if name.startswith("network.")}


def checkpoint_of(store: Store, job: Fit) -> Place:
    """Where a fit that is not done keeps what it has."""
    return store.root / ".checkpoints" / f"{job.stage.name}-{job.stage.key}.safetensors"


def resumable(store: Store, job: Fit) -> Checkpoint:
    """The checkpoint of a fit."""
    checkpoint_of(store, job).parent.mkdir(parents=True, exist_ok=True)
    return file_checkpoint(checkpoint_of(store, job), every=CHECKPOINT_EPOCHS)


class Runner:
    """Runs fits and predictions against a store and blocks, on one device ('cpu' or 'cuda').

    `packs`: how many fits of one layout it trains side by side.
    """

    def __init__(self, store: Store, blocks: Blocks, device: str = "cpu", packs: int = 1) -> None:
        self.store, self.blocks, self.device, self.packs = store, blocks, device, packs
        self.kept: dict[tuple[str, str, str], tuple[list[Any], list[Any]]] = {}
        self.windows = Windows(blocks)

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
                seen, labels = held_out(job, self._outputs)
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
            inputs = [self.training_inputs(job) for job in jobs]
            packed = []
            for job, (x, _) in zip(jobs, inputs, strict=True):
                (x_NTC,), labels = with_made(job, x, np.asarray(job.train.labels), job.stage.seed, job.normalise)
                packed.append(Job(job.settings, x_NTC, labels, job.stage.seed, resumable(self.store, job)))
            results = fit_packed(packed, device=self.device)
            seconds = (time.monotonic() - started) / len(jobs)
            for job, (_, limits), fitted in zip(jobs, inputs, results, strict=True):
                self._keep(job, fitted, limits, seconds, packed=len(jobs))

    def _keep(self, job: Fit, fitted: Fitted, limits: Limits | None, seconds: float, packed: int = 1) -> None:
        """Store a fit's weights, scaling and learning curve; its checkpoint is not needed any more."""
        arrays = {f"network.{name}": value for name, value in fitted.weights.items()}
        if limits:
            arrays.update({"scale.low": limits.low, "scale.high": limits.high})
        facts = {
            "label": job.label,
            "subjects": sorted(set(job.train.subjects)),
            "trials": len(job.train.trial_ids),
            "curve": list(fitted.curve),
            "learning": asdict(fitted.learning) if fitted.learning else None,
            "seconds": round(seconds, 3),
            "device": self.device,
            "packed": packed,
            "peak_gpu_mb": peak_gpu_mb(self.device),
            "parameters": sum(int(value.size) for value in fitted.weights.values()),
            "upstream": [f"{u.stage.name}/{u.stage.key}" for u in job.upstream],
            "scenario": job.scenario,
            "fold": job.fold,
            "repeat": job.repeat,
            "seed": job.seed,
        }
        self.store.write(job.stage, arrays, facts)
        checkpoint_of(self.store, job).unlink(missing_ok=True)

    def _trained(self, job: Fit, network: SubNetwork) -> tuple[Fitted, Limits | None]:
        """A network, trained, and the scaling of its inputs."""
        inputs, limits = self.training_inputs(job)
        inputs, labels = with_made(job, inputs, np.asarray(job.train.labels), job.stage.seed, job.normalise)
        fitted = train(
            network,
            job.settings,
            inputs,
            labels,
            seed=job.stage.seed,
            device=self.device,
            initial=self.blocks.head() if job.pretrained else None,
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
            inputs = self.known_inputs(last, job.test.trial_ids, job.test.subjects)
            p = self._apply(last, inputs, "prediction")
            arrays[kept] = self._apply(last, inputs, kept).astype(np.float32)
        elif job.adapt:
            p = adapted(self, last, weights_of(self.store, last), job.adapt, job.test.trial_ids, job.test.subjects)
        else:
            p = self._outputs(last, job.test.trial_ids, job.test.subjects, "prediction")
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

    def _outputs(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], what: Any) -> np.ndarray:
        trained = job.part.trained
        if isinstance(trained, Estimator):
            return trained.predict(
                weights_of(self.store, job), self.windows.recordings(job, ids, subjects), job.settings, self.device
            )
        return self._apply(job, self.known_inputs(job, ids, subjects), what)

    def known_inputs(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...]) -> list[np.ndarray]:
        """Inputs scaled as they were when the sub-network was fitted."""
        limits = None
        if job.normalise in FITTED:
            stored = self.store.arrays(job.stage)
            limits = Limits(stored["scale.low"], stored["scale.high"])
        return self.inputs(job, ids, subjects, limits)[0]

    def _apply(self, job: Fit, inputs: list[np.ndarray], what: str) -> np.ndarray:
        network = job.part.trained
        assert isinstance(network, SubNetwork)
        return outputs(network, job.settings, weights_of(self.store, job), inputs, what=what, device=self.device)

    def training_inputs(self, job: Fit) -> tuple[list[np.ndarray], Limits | None]:
        """What a network is trained on: outputs for people that the fits which gave them have not seen, if it has refits."""
        if not job.refits:
            return self.inputs(job, job.train.trial_ids, job.train.subjects)
        ids: list[str] = []
        found: list[list[np.ndarray]] = []
        for refit in job.refits:
            inner = replace(job, upstream=refit.upstream, refits=())
            found.append(self.inputs(inner, refit.held_out.trial_ids, refit.held_out.subjects)[0])
            ids += refit.held_out.trial_ids
        row_of = {t: n for n, t in enumerate(ids)}
        order = [row_of[t] for t in job.train.trial_ids]  # one that a person was calibrated with may be there several times
        return [np.concatenate(parts)[order] for parts in zip(*found, strict=True)], None

    def inputs(
        self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], limits: Limits | None = None
    ) -> tuple[list[np.ndarray], Limits | None]:
        """What a network is fed with, one array per input, and the limits signals are scaled with (where these are fitted)."""
        upstream, inputs = {u.role: u for u in job.upstream}, []
        for taken in job.part.inputs:
            if taken.part:
                inputs.append(self._outputs(upstream[taken.part], ids, subjects, taken.output))
            elif taken.recording == "signals" or recording(taken.recording).of_channel:
                x_NTC, limits = self.windows.of_network(taken.recording, job, ids, subjects, limits)
                inputs.append(x_NTC)
            else:
                inputs.append(self.windows.of_video(taken.recording, job, ids))
        return inputs, limits
