"""What an experiment's tables must be together: rows, protocols, detectors and searches that there are, and fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dataprep.records import InputError
from dataprep.video.decode import DECODERS
from dataprep.video.decoders import not_here
from dataprep.video.retinaface import DETECTORS
from grid.experiment.cells import ONSET, is_further, row, suggestion
from grid.experiment.config_tables import Space, check_folds
from grid.experiment.families import FRAME_MEAN, group
from grid.protocols import has_one_partition, protocols
from grid.search_algorithms import algorithms
from painmodels import registry
from painmodels.methods import method
from painmodels.methods.graph import Estimator, Part
from painmodels.tasks import PAIN

if TYPE_CHECKING:
    from grid.experiment.config import Experiment


AXES = {"modalities": "cells", "derived": "derived", "baselines": "baselines"}
"""Key of [axes] -> the group of its rows; those that learn may all be `modalities`."""
PLACE = {what: axis for axis, what in AXES.items()}
OF_THE_TASK = ("classes", "task")
"""Settings that no table but [task] may hold."""


def check(experiment: Experiment) -> None:
    for axis, what in AXES.items():
        for name in getattr(experiment.axes, axis):
            if row(name).name != name:
                raise InputError(f"axes.{axis}: write {name!r} as {row(name).name!r}")
            if group(name) != what and (axis != "modalities" or group(name) == "baselines"):
                raise InputError(f"axes.{axis}: found {name!r}, expected it under {PLACE[group(name)]}")
    for name in {name for pair in experiment.claims.pairs for name in pair} - {FRAME_MEAN}:
        if row(name).name != name:
            raise InputError(f"claims.pairs: write {name!r} as {row(name).name!r}")
    for name in experiment.scenarios:
        if is_further(name):
            raise InputError(
                f"scenarios.{name}: found {ONSET!r} in a name, expected [sensitivity] onsets_s to make such scenarios"
            )
    for name in experiment.axes.scenarios:
        if name not in experiment.scenarios:
            raise InputError(f"axes.scenarios: {name!r} has no table [scenarios.{name}]")
    learns, metric = experiment.learns, experiment.search.metric
    if experiment.search.trials and metric not in learns.searched:
        raise InputError(
            f"search.metric: found {metric!r}, expected one of {', '.join(learns.searched)} for the task {learns.kind}"
        )
    settings = experiment.face_settings
    for key, name, known in (
        ("protocol.name", experiment.protocol.name, list(protocols())),
        ("search.algorithm", experiment.search.algorithm, list(algorithms())),
        ("faces.detector", settings.detector, list(DETECTORS)),
        ("faces.decoder", settings.decoder, list(DECODERS)),
    ):
        if name not in known:
            raise InputError(f"{key}: found {name!r}, expected one of {', '.join(known)}{suggestion(name, known)}")
    if reason := not_here(settings.decoder):
        raise InputError(f"faces.decoder: {reason}")
    if experiment.protocol.repeats > 1 and has_one_partition(experiment.protocol.name):
        raise InputError(
            f"protocol.repeats: found {experiment.protocol.repeats}, expected 1: the protocol {experiment.protocol.name} "
            "has one partition only; vary [fit] seeds, or choose the protocol subject"
        )
    check_folds(experiment.protocol)
    if experiment.fit.calibrate != "off" and learns.kind != PAIN.kind:
        raise InputError(
            f"fit.calibrate: found {experiment.fit.calibrate!r}, expected 'off' for the task {learns.kind}: what is "
            "recalibrated is a probability of pain, of two classes"
        )
    _check_fusion(experiment)
    spaces = [getattr(experiment.search, role) for role in registry.ROLES] + list(experiment.search.methods.values())
    if experiment.search.trials and not any(spaces):
        raise InputError("a search was asked for, but no space is given: add [search.physiological] or another role's table")
    for role in registry.ROLES:
        network, chosen = experiment.network(role)
        own = {f.name: getattr(chosen, f.name) for f in fields(network.settings) if f.name not in OF_THE_TASK}
        if role == "physiological":
            own["normalise"] = experiment.signals.normalise
        _check_space(getattr(experiment.search, role), own, f"search.{role}", f"the {network.name} network")
    for name in {**experiment.methods, **experiment.search.methods}:
        words = method(name).on[:1]
        for part in method(name).parts(words, lambda role: experiment.network(role)[0]):
            trained, settings = experiment.trained(name, part)
            own = {f.name: getattr(settings, f.name) for f in fields(trained.settings) if f.name not in OF_THE_TASK}
            if "signals" in part.recordings and not isinstance(trained, Estimator):
                own["normalise"] = experiment.signals.normalise
            _check_space(experiment.search.methods.get(name, {}), own, f"search.methods.{name}", f"the method {name}")


def _check_fusion(experiment: Experiment) -> None:
    asked = experiment.refits(Part("fusion"))
    if not asked:
        return
    if experiment.network("fusion")[0].sequences:
        reason = "the hidden states of every step, which it takes, have no common basis in different fits"
        raise InputError(f"fusion.features: found 'out-of-fold' with a fusion step by step, expected 'in-sample': {reason}")
    if asked < 2:
        raise InputError(f"fusion.inner_folds: found {asked}, expected at least 2")
    if experiment.search.trials and experiment.search.fusion:
        raise InputError("search.fusion: found a space, expected none where fusion.features is 'out-of-fold'")


def _check_space(space: Space, own: Mapping[str, Any], where: str, what: str) -> None:
    for name, values in space.items():
        if name not in own:
            raise InputError(f"{where}.{name}: {what} has no such setting{suggestion(name, list(own))}")
        inside = own[name] in values if isinstance(values, list) else values.low <= own[name] <= values.high
        if not inside:
            raise InputError(
                f"{where}.{name}: the experiment's own value {own[name]!r}, tried first, is not among {values!r}"
            )
