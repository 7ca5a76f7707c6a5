"""Runs fits and predictions. Pure functions of a stage and prepared blocks, the same in any executor.

Inputs of a sub-network are the frozen outputs of those before it, recomputed from their stored weights (cheap next to
training): nothing flows between fits but artefacts in the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from dataprep.storage import Place
from grid.plan.specs import Fit, Predict, Search
from grid.store.artefacts import Store
from grid.store.identity import Stage
from painmodels.devices import peak_gpu_mb
from painmodels.methods.graph import Estimator, Recordings
from painmodels.registry import SubNetwork
from painmodels.training.augment import augmented
from painmodels.training.checkpoints import Checkpoint, file_checkpoint
from painmodels.training.loop import Fitted, outputs
from painmodels.training.loop import fit as train
from painmodels.training.normalise import Limits, minmax
from painmodels.training.packed_loop import Job, fit_packed

CHECKPOINT_EPOCHS = 50
"""A killed fit goes on from its last multiple of this, to the very same weights."""


class Blocks(Protocol):
    """Prepared trials, wherever they are held."""

    def video(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Features of each trial, float16 (n_frames, F); a clip that ended early has fewer rows than the data set's steps."""

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""

    def faces(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Face track of each trial, float32 (n_steps, 15): box, landmarks, score, as `read_tracks` gives them."""

    def head(self) -> Mapping[str, np.ndarray]:
        """The trunk's own FC-7, as the driver read it (painmodels.trunks.trunk.head_start); empty if it has none."""


class StoreBlocks:
    """Features and face tracks read from the store on demand, signals (small) held in memory."""

    def __init__(
        self,
        store: Store,
        video: Mapping[str, Stage],
        signals: Mapping[str, np.ndarray],
        tracks: Mapping[str, Stage],
        head: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.store, self.video_stages, self.signal_arrays, self.tracks = store, video, signals, tracks
        self.head_arrays = head or {}

    def video(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Features of each trial, float16 (n_frames, F)."""
        return [self.store.arrays(self.video_stages[t])["features"] for t in trial_ids]

    def signals(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Signals of each trial, float32 (n_steps, C)."""
        return [self.signal_arrays[t] for t in trial_ids]

    def faces(self, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """Face track of each trial, float32 (n_steps, 15)."""
        return read_tracks(self.store, [self.tracks[t] for t in trial_ids])

    def head(self) -> Mapping[str, np.ndarray]:
        """The trunk's own FC-7."""
        return self.head_arrays


def read_tracks(store: Store, stages: Iterable[Stage]) -> list[np.ndarray]:
    """Stored face tracks, float32 (n_steps, 15) each: box, landmarks, score."""
    found = [store.arrays(stage) for stage in stages]
    return [
        np.concatenate([a["boxes_T4"], a["landmarks_T52"].reshape(-1, 10), a["scores_T"][:, None]], axis=1) for a in found
    ]


def with_made(
    job: Fit | Search, inputs: list[np.ndarray], labels: np.ndarray, seed: int, normalise: str
) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs and labels of a training side, and after them the windows that the part's augmentation makes of them."""
    if job.part.augment is None:
        return inputs, labels
    x_NTC, labels = augmented(inputs[0], labels, job.part.augment, seed=seed, normalise=normalise)
    return [x_NTC], labels


class Runner:
    """Runs fits and predictions against a store and blocks, on one device ('cpu' or 'cuda').

    `packs`: how many fits of one layout it trains side by side.
    """

    def __init__(self, store: Store, blocks: Blocks, device: str = "cpu", packs: int = 1) -> None:
        self.store, self.blocks, self.device, self.packs = store, blocks, device, packs
        self.kept: dict[tuple[str, str, str], tuple[list[Any], list[Any]]] = {}
        self._n_frames: dict[str, int] = {}  # of the trials whose video was read

    def fit(self, job: Fit) -> None:
        """Train a sub-network and store its weights, scaling and learning curve; nothing to do if it is stored."""
        if not self.store.has(job.stage):
            with self.store.marked(job.stage):
                self._fit(job)

    def _fit(self, job: Fit) -> None:
        started = time.monotonic()
        limits, trained = None, job.part.trained
        if isinstance(trained, Estimator):
            recordings = self.recordings(job, job.train.trial_ids, job.train.subjects)
            fitted = trained.fit(recordings, np.asarray(job.train.labels), job.settings, job.stage.seed, self.device)
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
            inputs = [self.inputs(job, job.train.trial_ids, job.train.subjects) for job in jobs]
            packed = []
            for job, (x, _) in zip(jobs, inputs, strict=True):
                (x_NTC,), labels = with_made(job, x, np.asarray(job.train.labels), job.stage.seed, job.normalise)
                packed.append(Job(job.settings, x_NTC, labels, job.stage.seed, self._resumable(job)))
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
        self._checkpoint(job).unlink(missing_ok=True)

    def _trained(self, job: Fit, network: SubNetwork) -> tuple[Fitted, Limits | None]:
        """A network, trained, and the scaling of its inputs."""
        inputs, limits = self.inputs(job, job.train.trial_ids, job.train.subjects)
        inputs, labels = with_made(job, inputs, np.asarray(job.train.labels), job.stage.seed, job.normalise)
        fitted = train(
            network,
            job.settings,
            inputs,
            labels,
            seed=job.stage.seed,
            device=self.device,
            initial=self.blocks.head() if job.pretrained else None,
            checkpoint=self._resumable(job),
        )
        return fitted, limits

    def _resumable(self, job: Fit) -> Checkpoint:
        self._checkpoint(job).parent.mkdir(parents=True, exist_ok=True)
        return file_checkpoint(self._checkpoint(job), every=CHECKPOINT_EPOCHS)

    def _checkpoint(self, job: Fit) -> Place:
        return self.store.root / ".checkpoints" / f"{job.stage.name}-{job.stage.key}.safetensors"

    def predict(self, job: Predict) -> None:
        """Store what the task says of the held-out trials, float32, of the row `frame` per frame; nothing to do if stored.

        What the last part of the method keeps is stored, too: of the attention the weight of each step, float32 (N, T).
        """
        if self.store.has(job.stage):
            return
        started = time.monotonic()
        arrays: dict[str, np.ndarray] = {}
        if kept := job.fit.part.keeps:
            inputs = self._known_inputs(job.fit, job.test.trial_ids, job.test.subjects)
            p = self._apply(job.fit, inputs, "prediction")
            arrays[kept] = self._apply(job.fit, inputs, kept).astype(np.float32)
        else:
            p = self._outputs(job.fit, job.test.trial_ids, job.test.subjects, "prediction")
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
            return trained.predict(self._weights(job), self.recordings(job, ids, subjects), job.settings, self.device)
        return self._apply(job, self._known_inputs(job, ids, subjects), what)

    def _known_inputs(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...]) -> list[np.ndarray]:
        """Inputs scaled as they were when the sub-network was fitted."""
        limits = None
        if job.normalise == "train":
            stored = self.store.arrays(job.stage)
            limits = Limits(stored["scale.low"], stored["scale.high"])
        return self.inputs(job, ids, subjects, limits)[0]

    def _apply(self, job: Fit, inputs: list[np.ndarray], what: str) -> np.ndarray:
        network = job.part.trained
        assert isinstance(network, SubNetwork)
        return outputs(network, job.settings, self._weights(job), inputs, what=what, device=self.device)

    def _weights(self, job: Fit) -> dict[str, np.ndarray]:
        stored = self.store.arrays(job.stage)
        return {name.removeprefix("network."): a for name, a in stored.items() if name.startswith("network.")}

    def recordings(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...]) -> Recordings:
        """What an estimator sees of these trials, in the window that is used and in the data set's units."""
        part = job.part
        taken = {i.recording for i in part.inputs}
        signals, faces = {}, None
        if "signals" in taken:
            x_NTC = self._signals(job, ids)
            signals = {word: x_NTC[..., i] for i, word in enumerate(w for w in part.words if w != "video")}
        if "faces" in taken:
            faces = self._of_video("faces", job, ids)
        controls = tuple(part.controls[t] for t in ids) if "control" in taken else ()
        return Recordings(len(ids), part.clock_hz, signals, faces, subjects if "subject" in taken else (), controls)

    def inputs(
        self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], limits: Limits | None = None
    ) -> tuple[list[np.ndarray], Limits | None]:
        """What a network is fed with, one array per input, and the limits signals are scaled with (`train` only)."""
        upstream, inputs = {u.role: u for u in job.upstream}, []
        for taken in job.part.inputs:
            if taken.part:
                inputs.append(self._outputs(upstream[taken.part], ids, subjects, taken.output))
            elif taken.recording == "signals":
                x_NTC = self._signals(job, ids)
                x_NTC, limits = minmax(x_NTC, how=job.normalise, subjects=subjects, fitted=limits)
                inputs.append(x_NTC)
            else:
                inputs.append(self._of_video(taken.recording, job, ids))
        return inputs, limits

    def _signals(self, job: Fit, ids: tuple[str, ...]) -> np.ndarray:
        first, last = job.steps
        return np.stack([x[first:last, list(job.part.channels)] for x in self.blocks.signals(ids)])

    def _of_video(self, recording: str, job: Fit, ids: tuple[str, ...]) -> np.ndarray:
        """One of the recordings that are made of the video, (N, T, …), of the steps that are used."""
        first, last = job.steps
        if recording == "faces":
            return np.stack([x[first:last] for x in self.blocks.faces(ids)])
        blocks = self.blocks.video(ids) if recording == "features" or not self._n_frames.keys() >= set(ids) else []
        self._n_frames.update({t: len(x) for t, x in zip(ids, blocks, strict=False)})
        if recording == "mask":
            return np.stack([np.arange(first, last) < self._n_frames[t] for t in ids])
        # a step without a frame shows the last one again
        return np.stack([x[np.arange(first, last).clip(max=len(x) - 1)] for x in blocks])
