"""What work costs, in seconds of one processor, before anything of it was measured here.

It is the one place that `--plan`, the order of work and the time left take it from.

Once a store holds stages of a kind, `--plan` takes their seconds instead; the time left takes those of the run. Figures were
measured on one core of a server by tests/benchmarks/plan_costs.py, which shows planned beside measured. A GPU was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from dataprep.recordings import recording
from dataprep.recordings.kind import VIDEO
from dataprep.records import DataSet
from grid.experiment.config import Experiment
from grid.plan.specs import Fit, PartSpec, Search, fits_of
from painmodels.methods.graph import Estimator
from painmodels.trunks.backbones import backbone

PICTURE_S = 0.0074
"""A frame of a video of 1388 x 1038, decoded, its face followed and cut out. One of 640 x 480 takes a quarter."""
TRUNK_S = {
    "mini-xception-fer": 0.0012,
    "alexnet-table1": 0.021,
    "alexnet-fer-bn": 0.0134,
    "vgg16": 0.32,
    "resnet50": 0.114,
    "mobilenet_v2": 0.025,
    "vit_b_16": 0.47,
}
"""A frame through the trunk, in float32; in bfloat16, where the processor has it, half."""
OTHER_TRUNK_S = 0.02
OF_FACE_S = {"mesh": 0.0022, "pixels": 0.0003}
"""What a kind of recording takes of a frame beside the picture."""
SIGNAL_S = 0.005
"""A trial of a recording that is made of the signals."""
BASE_S = 0.01
"""What every fit takes to begin and to be stored."""
WEIGHT_S, WEIGHT_AHEAD_S = 2.4e-10, 2.8e-11
"""A weight of FC-7 and a frame, in training and in being applied once."""
LSTM_S, LSTM_INPUT_S = (4e-8, 1.4e-9), 4.4e-10
"""A step of a sequence in training an LSTM of two layers of h units: h and h squared of the first, h times the width of
its input of the second."""
STEP_S = {
    "attention": 1e-6,
    "cnn": 1e-5,
    "cnn-lstm": 1.5e-6,
    "cnn-lstm-native": 3e-6,
    "crossmod": 3e-4,
    "painattn": 3.5e-5,
    "painattn-native": 5e-5,
}
"""A step of a trial in an epoch, by role; at the published sizes, where these are a network of its own."""
OTHER_STEP_S = 1e-5
"""The same of a network that is not in the table."""
FACE_STEP_S = {
    "vgg16": (0.31, 3e-4),
    "resnet50": (0.098, 3e-4),
    "mobilenet": (1e-4, 3e-5),
    "3dcnn": (2.6e-3, 3e-5),
    "lstm-3dcnn": (6.6e-4, 3e-5),
    "stgcn-gru": (4.1e-4, 3e-5),
    "gnn": (1.2e-4, 3e-5),
    "vit": (6e-5, 3e-5),
    "sparse-lstm": (3.4e-5, 3e-5),
    "cnn2d": (3.5e-5, 3e-5),
}
"""The same of networks on the face: at their default sizes, of which SIZES says how much less or more others need, and the
least that is added whatever the size."""
SIZES = {"side": 2, "width": 2, "widths": 1, "filters": 2, "every": -1}
"""A setting that says how large a network is -> the power of it that its work grows with; of several numbers, the first."""
FUSION_S = 7e-5
"""A trial in an epoch."""
ESTIMATOR_S = {
    "rf": (0.15, 1e-3),
    "landmarks-rf": (0.15, 8e-3),
    "logistic": (0.005, 1e-4),
    "mlp": (0.0, 5e-5),
    "multitask": (0.0, 2e-4),
}
"""An estimator by its method, and a trial of it (in an epoch, where it has such); the others take no time."""
APPLIED = 1 / 3
"""A pass without training beside one with it."""


@dataclass(frozen=True)
class Costs:
    """The estimates for an experiment. `trunk`: the name of its backbone; `n_steps`: those of a trial."""

    trunk: str
    precision: str
    n_steps: int

    @classmethod
    def of(cls, experiment: Experiment, dataset: DataSet) -> Costs:
        """Those of an experiment on a data set."""
        return cls(experiment.trunk.name, experiment.trunk.precision, dataset.n_steps)

    def recording(self, name: str, trials: int = 1) -> float:
        """An artefact of a kind of recording, of so many trials. The face is followed in the pass that makes the features."""
        kind = recording(name)
        if kind.of != VIDEO:
            return trials * SIGNAL_S
        half = 2 if self.precision == "bfloat16" else 1
        trunk_s = TRUNK_S.get(self.trunk, OTHER_TRUNK_S) / half if kind.trunk else 0.0
        return trials * self.n_steps * (PICTURE_S + trunk_s + OF_FACE_S.get(name, 0.0))

    def fit(self, fit: Fit) -> float:
        """A fit: its own training, and the networks before it, which are applied to the training side once."""
        before = {f.stage.key: f for u in fit.upstream for f in fits_of(u)}
        return self._all(fit.part, fit.settings, fit.epochs, len(fit.train.trial_ids), before.values())

    def search(self, search: Search) -> float:
        """About what a trial of a search takes."""
        inner = search.inner[0]
        before = {f.stage.key: f for u in inner.upstream for f in fits_of(u)}
        trials = len(inner.train.trial_ids) + len(inner.validation.trial_ids)
        return self._all(search.part, search.settings, getattr(search.settings, "epochs", 1), trials, before.values())

    def _all(self, part: PartSpec, settings: Any, epochs: int, trials: int, before: Iterable[Fit]) -> float:
        wide = next((getattr(f.settings, "width", 0) for f in before if f.role == "spatial"), 0)
        ahead = sum(self._pass(f.part, f.settings, trials, wide, trained=False) for f in before)
        return BASE_S + ahead + epochs * self._pass(part, settings, trials, wide, trained=True)

    def _pass(self, part: PartSpec, settings: Any, trials: int, wide: int, *, trained: bool) -> float:
        """One pass of so many trials through a part. `wide`: the width of FC-7, which the temporal LSTM is fed with."""
        steps = trials * (part.steps[1] - part.steps[0])
        if part.own is None and part.role == "spatial":
            weights = backbone(self.trunk).feature_size * getattr(settings, "width", 0)
            return steps * weights * (WEIGHT_S if trained else WEIGHT_AHEAD_S)
        share = 1.0 if trained else APPLIED
        if part.own is None and part.role in ("temporal", "physiological"):
            units, each = getattr(settings, "hidden", 64), getattr(settings, "layers", 2) / 2
            strides = getattr(settings, "stride", 1) if getattr(settings, "filters", 0) else 1
            fed = units * (wide if part.role == "temporal" else 0) * LSTM_INPUT_S
            return share * steps / strides * (fed + each * (LSTM_S[0] * units + LSTM_S[1] * units**2))
        if part.role == "fusion":
            return share * trials * FUSION_S
        if isinstance(part.own, Estimator):
            once, of_trial = ESTIMATOR_S.get(part.method, (0.0, 0.0))
            return share * (once + trials * of_trial)
        if part.role in FACE_STEP_S:
            whole, least = FACE_STEP_S[part.role]
            return share * steps * (least + whole * _size(settings))
        return share * steps * STEP_S.get(part.role, OTHER_STEP_S)


def _size(settings: Any) -> float:
    """How much work a network of these settings is, where one of their defaults is 1."""
    found = 1.0
    for field in fields(settings):
        if field.name in SIZES and field.default is not MISSING:
            now, usual = (x[0] if isinstance(x, tuple) else x for x in (getattr(settings, field.name), field.default))
            found *= (now / usual) ** SIZES[field.name]
    return found
