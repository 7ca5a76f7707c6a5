"""What a fit and a prediction do. Pure functions of a stage and prepared blocks, the same in any executor.

Inputs of a sub-network are the frozen outputs of those before it, recomputed from their stored weights (cheap next to
training): nothing flows between fits but artefacts in the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from grid.keys import Stage
from grid.plan import Fit, Predict
from grid.store import Store
from painmodels import registry
from painmodels.devices import peak_gpu_mb
from painmodels.fit import file_checkpoint, outputs
from painmodels.fit import fit as train
from painmodels.normalise import Limits, minmax
from painmodels.spatial import head_start

CHECKPOINT_EPOCHS = 50
"""A killed fit goes on from its last multiple of this, to the very same weights."""


class Blocks(Protocol):
    """Prepared trials, wherever they are held."""

    def video(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Features of each trial, float16 (n_frames, F); a clip that ended early has fewer rows than the data set's steps."""

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""


class StoreBlocks:
    """Features read from the store on demand, signals (small) held in memory."""

    def __init__(self, store: Store, video: Mapping[str, Stage], signals: Mapping[str, np.ndarray]) -> None:
        self.store, self.video_stages, self.signal_arrays = store, video, signals

    def video(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Features of each trial, float16 (n_frames, F)."""
        return [self.store.arrays(self.video_stages[t])["features"] for t in trial_ids]

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""
        return [self.signal_arrays[t] for t in trial_ids]


class Runner:
    """Runs fits and predictions against a store and blocks, on one device ('cpu' or 'cuda')."""

    def __init__(self, store: Store, blocks: Blocks, device: str = "cpu") -> None:
        self.store, self.blocks, self.device = store, blocks, device
        self._n_frames: dict[str, int] = {}  # of the trials whose video was read

    def fit(self, job: Fit) -> None:
        """Train a sub-network and store its weights, scaling and learning curve; nothing to do if it is stored."""
        if self.store.has(job.stage):
            return
        started = time.monotonic()
        inputs, limits = self._inputs(job, job.train.trial_ids, job.train.subjects, fitting=True)
        drafts = self.store.root / ".checkpoints"
        drafts.mkdir(parents=True, exist_ok=True)
        kept = drafts / f"{job.stage.name}-{job.stage.key}.safetensors"
        fitted = train(
            registry.network(job.role, job.network),
            job.settings,
            inputs,
            np.asarray(job.train.labels),
            seed=job.stage.seed,
            device=self.device,
            initial=head_start(job.start.name, weights=job.start.path) if job.start else None,
            checkpoint=file_checkpoint(kept, every=CHECKPOINT_EPOCHS),
        )
        arrays = {f"network.{name}": value for name, value in fitted.weights.items()}
        if limits:
            arrays.update({"scale.low": limits.low, "scale.high": limits.high})
        facts = {
            "label": job.label,
            "trials": len(job.train.trial_ids),
            "curve": list(fitted.curve),
            "seconds": round(time.monotonic() - started, 3),
            "device": self.device,
            "peak_gpu_mb": peak_gpu_mb(self.device),
            "upstream": [f"{u.stage.name}/{u.stage.key}" for u in job.upstream],
            "scenario": job.scenario,
            "fold": job.fold,
        }
        self.store.write(job.stage, arrays, facts)
        kept.unlink(missing_ok=True)

    def predict(self, job: Predict) -> None:
        """Store the held-out trials' probabilities of pain, float32 (N,) or (N, T) per frame; nothing to do if stored."""
        if self.store.has(job.stage):
            return
        started = time.monotonic()
        p = self._outputs(job.fit, job.test.trial_ids, job.test.subjects, "probability")
        facts = {
            "trial_ids": list(job.test.trial_ids),
            "first_step": job.fit.steps[0],
            "seconds": round(time.monotonic() - started, 3),
        }
        arrays = {"p_pain": p.astype(np.float32)}
        if job.fit.settings.classes > 2:  # the first class is no pain, all others are pain
            arrays = {"p_pain": 1 - arrays["p_pain"][..., 0], "p_classes": arrays["p_pain"]}
        self.store.write(job.stage, arrays, facts)

    def _outputs(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], what: Any) -> np.ndarray:
        inputs, _ = self._inputs(job, ids, subjects, fitting=False)
        stored = self.store.arrays(job.stage)
        weights = {name.removeprefix("network."): a for name, a in stored.items() if name.startswith("network.")}
        network = registry.network(job.role, job.network)
        return outputs(network, job.settings, weights, inputs, what=what, device=self.device)

    def _inputs(
        self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], *, fitting: bool
    ) -> tuple[list[np.ndarray], Limits | None]:
        """What the sub-network is fed with, one array per input, and the scaling fitted on the way (signals only)."""
        first, last = job.steps
        if job.upstream:
            stepwise = registry.network(job.role, job.network).sequences
            inputs = [
                self._outputs(u, ids, subjects, "sequence" if stepwise and u.role == "physiological" else "features")
                for u in job.upstream
            ]
            if job.role == "attention":  # its mask: the steps that have a frame
                inputs.append(np.stack([np.arange(first, last) < self._n_frames[t] for t in ids]))
            return inputs, None
        if job.role == "physiological":
            x_NTC = np.stack([x[first:last, list(job.channels)] for x in self.blocks.signals(ids)])
            known = None
            if job.normalise == "train" and not fitting:
                stored = self.store.arrays(job.stage)
                known = Limits(stored["scale.low"], stored["scale.high"])
            x_NTC, limits = minmax(x_NTC, how=job.normalise, subjects=subjects, fitted=known)
            return [x_NTC], limits
        blocks = self.blocks.video(ids)
        self._n_frames.update({t: len(x) for t, x in zip(ids, blocks, strict=True)})
        # a step without a frame shows the last one again
        return [np.stack([x[np.arange(first, last).clip(max=len(x) - 1)] for x in blocks])], None
