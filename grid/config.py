"""One experiment is one TOML file, read here and nowhere else. The command line selects; it does not configure.

Every table is checked against the dataclass or model that uses it: an unknown key is an error with a suggestion, so that a
misspelt hyperparameter never silently leaves its default in place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dataprep.faces import FaceSettings
from dataprep.retinaface import DETECTORS
from dataprep.video import DECODERS
from grid.cells import Scenario, row, suggestion
from grid.protocols import protocols
from painmodels import registry
from painmodels.baselines import Baseline
from painmodels.baselines import baseline as baseline_named

EXPERIMENTS = Path(__file__).parent / "experiments"


class ConfigError(ValueError):
    """An experiment file that cannot be used. The message names the file and the key."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Axes(_Table):
    """What is crossed: rows x scenarios (x folds)."""

    modalities: tuple[str, ...]
    scenarios: tuple[str, ...]


class ScenarioTable(_Table):
    """A subset of subjects by the data set's name for it, and seconds dropped at the start of each trial."""

    subset: str
    skip_s: float = Field(0.0, ge=0)


class ProtocolTable(_Table):
    """How subjects or trials are split (a file of grid/protocols/)."""

    name: str = "subject"
    folds: int = Field(10, ge=2)


class Trunk(_Table):
    """The frozen spatial CNN. `weights`: a file, empty for the shipped or cached one; `random`: untrained, said in the report."""

    name: str
    random: bool = False
    weights: str = ""
    scaling: str = ""
    precision: Literal["float32", "bfloat16"] = "float32"


class Signals(_Table):
    """Over what minimum and maximum are taken when signals are scaled to [0, 1]."""

    normalise: Literal["trial", "subject", "train"] = "trial"


class Task(_Table):
    """What is told apart: names of the data set's classes, no pain first; empty: its own two (BioVid: BL1 and PA4)."""

    classes: tuple[str, ...] = ()


class Synthetic(_Table):
    """The data set written when no --data is given. `trials` per class and subject."""

    subjects: int = Field(20, ge=2, le=87)
    trials: int = Field(2, ge=1)
    signal: Literal["all", "eda", "ecg", "video", "face", "none"] = "all"
    size: str = "640x480"
    seed: int = 0


class Range(_Table):
    """Numbers from `low` to `high`, on a logarithmic scale or in steps."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


Space = dict[str, Range | list[Any]]
"""Hyperparameter -> a range of numbers or a list of choices."""


class Search(_Table):
    """Hyperparameter search inside each training side. Role tables name what is searched; `trials` 0: no search.

    `scope` "fold": nested, once per outer fold. "scenario": once, on all subjects, test subjects included: optimistic.
    """

    trials: int = Field(0, ge=0)
    scope: Literal["fold", "scenario"] = "fold"
    inner_folds: int = Field(3, ge=2)
    metric: Literal["balanced_accuracy", "log_loss"] = "balanced_accuracy"
    halving: int = Field(3, ge=2)
    prune: bool = True
    spatial: Space = {}
    temporal: Space = {}
    attention: Space = {}
    physiological: Space = {}
    fusion: Space = {}


class Execution(_Table):
    """How work is run; none of it changes a result or a key. Times in seconds, memory in megabytes.

    `retries`: how often work is done again whose process died or exceeded its limit; after that, fits that died (out of
    memory, most likely) are tried once more with a machine to themselves. Errors in the work itself are not retried.
    `packed_fits`: how many physiological LSTMs of one shape a worker trains side by side as one computation (0: 60 on a GPU,
    and one on a CPU, where packing gains nothing). `*_memory_mb`: reserved for each of those that run at once.
    `nodes_wait_s`: how long to wait for a first node.
    """

    fits_per_gpu: int = Field(4, ge=1)
    prepares_per_gpu: int = Field(4, ge=1)
    packed_fits: int = Field(0, ge=0)
    retries: int = Field(2, ge=0)
    prepare_limit_s: float = Field(1800, gt=0)
    fit_limit_s: float = Field(86400, gt=0)
    prepare_memory_mb: int = Field(1000, ge=0)
    fit_memory_mb: int = Field(1000, ge=0)
    nodes_wait_s: float = Field(1800, ge=0)


class Experiment(_Table):
    """A whole experiment. The five role tables hold `network` and that network's settings (painmodels/)."""

    name: str
    title: str = ""
    seed: int = 0
    axes: Axes
    scenarios: dict[str, ScenarioTable]
    protocol: ProtocolTable = ProtocolTable()
    faces: dict[str, Any] = {}
    trunk: Trunk
    signals: Signals = Signals()
    task: Task = Task()
    spatial: dict[str, Any] = {}
    temporal: dict[str, Any] = {}
    attention: dict[str, Any] = {}
    physiological: dict[str, Any] = {}
    fusion: dict[str, Any] = {}
    search: Search = Search()
    baselines: dict[str, dict[str, Any]] = {}
    synthetic: Synthetic = Synthetic()
    execution: Execution = Execution()

    @property
    def face_settings(self) -> FaceSettings:
        """The [faces] table as the preparation takes it."""
        return settings_of(FaceSettings, self.faces, "[faces]")

    def network(self, role: str) -> tuple[registry.SubNetwork, registry.Training]:
        """The sub-network chosen for a role and its settings."""
        table = dict(getattr(self, role))
        chosen = registry.network(role, table.pop("network", _DEFAULT_NETWORK[role]))
        if "classes" in table:
            raise ConfigError(f"[{role}]: found 'classes', expected it in [task] alone, as names of the data set's classes")
        settings = settings_of(chosen.settings, table, f"[{role}]")
        return chosen, replace(settings, classes=len(self.task.classes) or 2)

    def space(self, role: str) -> Space:
        """What is searched for a role, `normalise` (of signals) among it; empty without a search."""
        return getattr(self.search, role) if self.search.trials else {}

    def baseline(self, name: str) -> tuple[Baseline, Any]:
        """The baseline of that name and its settings, the table [baselines.NAME]."""
        chosen = baseline_named(name)
        return chosen, settings_of(chosen.settings, self.baselines.get(name, {}), f"[baselines.{name}]")

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name."""
        table = self.scenarios[name]
        return Scenario(name, table.subset, table.skip_s)

    def facts(self) -> dict[str, Any]:
        """Everything, defaults filled in, as plain JSON types: what a report prints."""
        out = self.model_dump(mode="json")
        out["faces"] = asdict(self.face_settings)
        for role in registry.ROLES:
            chosen, settings = self.network(role)
            out[role] = {"network": chosen.name, **asdict(settings)}
        return out


_DEFAULT_NETWORK = {
    "spatial": "fc7",
    "temporal": "lstm",
    "attention": "additive",
    "physiological": "lstm",
    "fusion": "concat",
}


def settings_of(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `kind` from a TOML table. Raises ConfigError for unknown keys and wrong types."""
    known = [f.name for f in fields(kind)]
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{suggestion(key, known)}; there are: {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(table))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, known)}") from None


def names() -> tuple[str, ...]:
    """The experiments that ship with the project."""
    return tuple(sorted(p.stem for p in EXPERIMENTS.glob("*.toml")))


def load(name_or_file: str, **changes: Any) -> Experiment:
    """The experiment of that name or file. `changes` replaces tables, as {"trunk": {...}}. Raises ConfigError."""
    path = EXPERIMENTS / f"{name_or_file}.toml"
    if not path.exists():
        path = Path(name_or_file)
        if not path.is_file():
            near = suggestion(name_or_file, names())
            raise ConfigError(f"--experiment {name_or_file!r}: neither a file nor one of {', '.join(names())}{near}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    for key, values in changes.items():
        table[key] = {**table.get(key, {}), **values}
    try:
        experiment = Experiment.model_validate(table)
        _check(experiment)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error, list(Experiment.model_fields))}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return experiment


def _check(experiment: Experiment) -> None:
    for name in experiment.axes.modalities:
        if row(name).name != name:
            raise ValueError(f"axes.modalities: write {name!r} as {row(name).name!r}")
    for name in experiment.axes.scenarios:
        if name not in experiment.scenarios:
            raise ValueError(f"axes.scenarios: {name!r} has no table [scenarios.{name}]")
    classes = experiment.task.classes
    if len(classes) == 1 or len(set(classes)) != len(classes):
        raise ValueError(f"task.classes: found {list(classes)}, expected at least two different names, or none")
    settings = experiment.face_settings
    for key, name, known in (
        ("protocol.name", experiment.protocol.name, list(protocols())),
        ("faces.detector", settings.detector, list(DETECTORS)),
        ("faces.decoder", settings.decoder, list(DECODERS)),
    ):
        if name not in known:
            raise ValueError(f"{key}: found {name!r}, expected one of {', '.join(known)}{suggestion(name, known)}")
    if experiment.search.trials and not any(getattr(experiment.search, role) for role in registry.ROLES):
        raise ValueError("a search was asked for, but no space is given: add [search.physiological] or another role's table")
    for role in registry.ROLES:
        network, chosen = experiment.network(role)
        own = {f.name: getattr(chosen, f.name) for f in fields(network.settings)}
        if role == "physiological":
            own["normalise"] = experiment.signals.normalise
        for name, values in getattr(experiment.search, role).items():
            where = f"search.{role}.{name}"
            if name not in own:
                raise ValueError(f"{where}: the {network.name} network has no such setting{suggestion(name, list(own))}")
            inside = own[name] in values if isinstance(values, list) else values.low <= own[name] <= values.high
            if not inside:
                raise ValueError(f"{where}: the experiment's own value {own[name]!r}, tried first, is not among {values!r}")
    for name in experiment.baselines:
        experiment.baseline(name)


def _explain(error: ValidationError, known: list[str]) -> str:
    """The first problem of a pydantic error in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}{suggestion(where, known)}"
    found = "" if first["type"] == "missing" else f", found {first['input']!r}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {first['msg']}{found}{more}"
