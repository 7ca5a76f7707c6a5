"""Predictions of a fit adapted to the recordings that it judges (painmodels/methods/adaptation.py), each data set by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dataprep.records import MARK
from grid.plan.specs import Fit
from painmodels.methods.adaptation import judged
from painmodels.methods.graph import Estimator
from painmodels.training.batch_statistics import with_statistics_of
from painmodels.training.loop import outputs

if TYPE_CHECKING:
    from grid.work.fit_predict import Runner


Weights = Mapping[str, np.ndarray]


def adapted(
    runner: Runner, job: Fit, weights: Weights, how: str, ids: tuple[str, ...], subjects: tuple[str, ...]
) -> np.ndarray:
    """What the fit of these weights says of the trials, a row a trial. People of one data set are adapted to together."""
    of = [subject.partition(MARK)[0] if MARK in subject else "" for subject in subjects]
    found: dict[int, np.ndarray] = {}
    for label in dict.fromkeys(of):
        rows = [n for n, own in enumerate(of) if own == label]
        said = _of_one(runner, job, weights, how, tuple(ids[n] for n in rows), tuple(subjects[n] for n in rows))
        found.update(zip(rows, said, strict=True))
    return np.stack([found[n] for n in range(len(ids))])


def _of_one(
    runner: Runner, job: Fit, weights: Weights, how: str, ids: tuple[str, ...], subjects: tuple[str, ...]
) -> np.ndarray:
    trained = job.part.trained
    if isinstance(trained, Estimator):
        assert trained.features
        x_NF = trained.features(runner.windows.recordings(job, ids, subjects))
        of_training = (job, job.train.trial_ids, job.train.subjects)
        to_MF = trained.features(runner.windows.recordings(*of_training)) if how == "coral" else x_NF
        return judged(trained, how, weights, x_NF, to_MF, job.settings, runner.device)
    inputs = runner.networks.known_inputs(job, ids, subjects)
    if len(ids) > 1:  # one recording has no spread between recordings
        weights = with_statistics_of(trained, job.settings, weights, inputs, runner.device)
    return outputs(trained, job.settings, weights, inputs, what="prediction", device=runner.device)
