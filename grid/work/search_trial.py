"""A trial of a hyperparameter search: one configuration, fitted on every inner fold of a training side, a rung at a time."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dataprep.storage import Place, write_whole
from grid.plan.specs import Fit, InnerFold, Search
from grid.store.artefacts import Store
from grid.store.identity import Stage, digest
from grid.work.blocks import weights_of_file
from grid.work.fit_predict import Runner, with_made
from painmodels.methods.graph import Estimator
from painmodels.registry import SubNetwork
from painmodels.training.checkpoints import Checkpoint, file_checkpoint
from painmodels.training.loop import Fitted, outputs
from painmodels.training.loop import fit as train
from painmodels.training.packed_loop import PACKABLE, Job, fit_packed, layout

TIE_BREAK = 1e-4
"""Weight of the log-likelihood beside a search's score: it orders configurations that are right equally often."""


RUNGS = 3
"""Reports of a trial: at halving^-2, halving^-1 and all of its epochs."""


def search_trial(runner: Runner, job: Search, trial: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a report a rung: mean inner-validation score after a part of the epochs, and at last after all of them.

    A report has rung (1, 2, …), epochs, score (higher is better), rank (the score, ties broken), inner (a score per inner
    fold), seconds and last. Fits keep checkpoints, and reports are kept beside them: a trial that was killed says again what it
    said (`passed`: that it was allowed to go on after this) and goes on from its last rung.
    """
    settings, normalise = configured(job, dict(trial["params"]))
    trained_by = job.part.trained
    folder, name = checkpoints_of(runner.store, job, trial)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [folder / f"{name}-{i}.safetensors" for i in range(len(job.inner))]
    said = folder / f"{name}-reports.json"
    reports = _read(said)
    if not reports:  # a checkpoint is never further than one rung beyond the last report
        for file in kept:
            file.unlink(missing_ok=True)
    for report in reports:
        yield {**report, "passed": report is not reports[-1]}
    seeds = [
        Stage(name="inner", version=1, params={"trial": int(trial["number"]), "fold": i}, inputs=(job.stage.key,)).seed
        for i in range(len(job.inner))
    ]
    rungs = rung_epochs(getattr(settings, "epochs", 1), job.options.halving)
    for number, epochs in enumerate(rungs[len(reports) :], len(reports) + 1):
        started = time.monotonic()
        scores, likelihoods = [], []
        sides = [_inputs(runner, job, inner, normalise) for inner in job.inner]
        fits = [
            InnerFit(
                *with_made(job, x_train, np.asarray(inner.train.labels), seed, normalise),
                *(seed, file_checkpoint(file, every=max(1, rungs[-1]))),
            )
            for (x_train, _), inner, seed, file in zip(sides, job.inner, seeds, kept, strict=True)
        ]
        trained = train_folds(trained_by, settings, fits, runner, until=epochs)
        for (_, x_validation), inner, fitted in zip(sides, job.inner, trained, strict=True):
            if isinstance(trained_by, Estimator):
                p = trained_by.predict(fitted.weights, x_validation[0], settings, runner.device)
            else:
                p = outputs(trained_by, settings, fitted.weights, x_validation, what="prediction", device=runner.device)
            of_fold = job.learns.inner_scores(np.asarray(inner.validation.labels), p)
            scores.append(of_fold[job.options.metric])
            likelihoods.append(list(of_fold.values())[-1])
        score, seconds = float(np.mean(scores)), round(time.monotonic() - started, 3)
        report = {"rung": number, "epochs": epochs, "score": score, "inner": scores, "seconds": seconds}
        report |= {"last": number == len(rungs), "rank": score + TIE_BREAK * float(np.mean(likelihoods))}
        reports.append(report)
        write_whole(said, json.dumps(reports).encode())
        yield report


def checkpoints_of(store: Store, job: Search, trial: Mapping[str, Any]) -> tuple[Place, str]:
    """The folder of a trial's checkpoints, and how their names begin: with its number, and the digest of its parameters."""
    return store.root / ".checkpoints", f"{job.stage.name}-{job.stage.key}-{trial['number']}-{digest(trial['params'])}"


def _read(said: Place) -> list[dict[str, Any]]:
    """The reports of a trial that was killed."""
    try:
        return list(json.loads(said.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []


@dataclass(frozen=True)
class InnerFit:
    """The fit of one inner fold: scaled inputs, labels, seed and checkpoint."""

    x: list[Any]
    labels: np.ndarray
    seed: int
    checkpoint: Checkpoint


def train_folds(
    trained: SubNetwork | Estimator, settings: Any, fits: list[InnerFit], runner: Runner, *, until: int
) -> Iterable[Fitted]:
    """All inner folds as one computation where the worker packs, one after another elsewhere."""
    if isinstance(trained, Estimator):
        return (trained.fit(f.x[0], f.labels, settings, f.seed, runner.device) for f in fits)
    shape = fits[0].x[0].shape
    if runner.packs > 1 and trained is PACKABLE and layout(settings, *shape[1:]):
        return fit_packed(
            [
                Job(settings=settings, x_NTC=f.x[0], labels_N=f.labels, seed=f.seed, checkpoint=f.checkpoint, until=until)
                for f in fits
            ],
            device=runner.device,
        )
    options: dict[str, Any] = {"device": runner.device, "until": until, "initial": weights_of_file(runner.blocks, settings)}
    return (train(trained, settings, f.x, f.labels, seed=f.seed, checkpoint=f.checkpoint, **options) for f in fits)


def _inputs(runner: Runner, job: Search, inner: InnerFold, normalise: str) -> tuple[list[Any], list[Any]]:
    """Inputs of an inner fold's two halves, kept in memory while trials of the same search follow each other."""
    ident = (job.stage.key, inner.train.key, normalise)
    if ident not in runner.kept:
        if any(key[0] != job.stage.key for key in runner.kept):
            runner.kept.clear()
        place = Fit(
            stage=job.stage,
            part=job.part,
            settings=job.settings,
            upstream=inner.upstream,
            normalise=normalise,
            train=inner.train,
            scenario=job.scenario,
            fold=job.fold,
        )
        train_ids, validation_ids = inner.train.trial_ids, inner.validation.trial_ids
        if isinstance(job.part.trained, Estimator):
            train, validation = inner.train, inner.validation
            runner.kept[ident] = (
                [runner.windows.recordings(place, train_ids, train.subjects)],
                [runner.windows.recordings(place, validation_ids, validation.subjects)],
            )
        else:
            x_train, limits = runner.networks.inputs(place, train_ids, inner.train.subjects)
            x_validation, _ = runner.networks.inputs(place, validation_ids, inner.validation.subjects, limits)
            runner.kept[ident] = (x_train, x_validation)
    return runner.kept[ident]


def rung_epochs(epochs: int, halving: int) -> list[int]:
    """After how many epochs a trial of that many reports, the last being all."""
    return sorted({max(1, math.ceil(epochs / halving**k)) for k in range(RUNGS)})


def trial_epochs(search: Search, params: Mapping[str, Any]) -> int:
    """Epochs that a trial with these parameters trains in full."""
    return int(params.get("epochs", getattr(search.settings, "epochs", 1)))


def configured(search: Search, params: dict[str, Any]) -> tuple[Any, str]:
    """Settings and normalisation of a trial."""
    settings = replace(search.settings, **{k: v for k, v in params.items() if k != "normalise"})
    return settings, params.get("normalise", search.normalise)
