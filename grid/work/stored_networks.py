"""What stored fits give for trials, and what the fits that follow them are fed with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dataprep.recordings import recording
from grid.plan.specs import Fit
from grid.store.artefacts import Store
from grid.work.windows import Windows
from painmodels.methods.graph import Estimator
from painmodels.registry import SubNetwork
from painmodels.training.loop import outputs as run
from painmodels.training.normalise import FITTED, Limits


def weights_of(store: Store, job: Fit) -> dict[str, np.ndarray]:
    """The stored weights of a fit, by the names that it gave them."""
    stored = store.arrays(job.stage)
    return {name.removeprefix("network."): a for name, a in stored.items() if name.startswith("network.")}


class StoredNetworks:
    """Reads fits from a store and runs them on the recordings of `windows`, on one device ('cpu' or 'cuda')."""

    def __init__(self, store: Store, windows: Windows, device: str) -> None:
        self.store, self.windows, self.device = store, windows, device

    def outputs(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...], what: Any) -> np.ndarray:
        """What a stored fit gives for trials: of a network `what` it is asked for, of an estimator its prediction."""
        trained = job.part.trained
        if isinstance(trained, Estimator):
            return trained.predict(
                weights_of(self.store, job), self.windows.recordings(job, ids, subjects), job.settings, self.device
            )
        return self.apply(job, self.known_inputs(job, ids, subjects), what)

    def known_inputs(self, job: Fit, ids: tuple[str, ...], subjects: tuple[str, ...]) -> list[np.ndarray]:
        """Inputs scaled as they were when the sub-network was fitted."""
        limits = None
        if job.normalise in FITTED:
            stored = self.store.arrays(job.stage)
            limits = Limits(stored["scale.low"], stored["scale.high"])
        return self.inputs(job, ids, subjects, limits)[0]

    def apply(self, job: Fit, inputs: list[np.ndarray], what: str) -> np.ndarray:
        """What a stored network gives for inputs."""
        network = job.part.trained
        assert isinstance(network, SubNetwork)
        return run(network, job.settings, weights_of(self.store, job), inputs, what=what, device=self.device)

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
                inputs.append(self.outputs(upstream[taken.part], ids, subjects, taken.output))
            elif taken.recording == "signals" or recording(taken.recording).of_channel:
                x_NTC, limits = self.windows.of_network(taken.recording, job, ids, subjects, limits)
                inputs.append(x_NTC)
            else:
                inputs.append(self.windows.of_video(taken.recording, job, ids))
        return inputs, limits
