"""One experiment is one TOML file, read here and nowhere else. The command line selects; it does not configure.

`base = "paper"` in a file: what the file does not say is as in that experiment, key by key.
Every table is checked against the dataclass or model that uses it: an unknown key is an error with a suggestion, so that a
misspelt hyperparameter never silently leaves its default in place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dataprep.faces import FaceSettings
from dataprep.records import InputError
from grid.experiment.cells import Scenario, suggestion
from grid.experiment.checks import OF_THE_TASK, check
from grid.experiment.config_tables import (
    Axes,
    Claims,
    Execution,
    FitTable,
    ProtocolTable,
    ScenarioTable,
    Search,
    Sensitivity,
    Signals,
    Space,
    Synthetic,
    Table,
    TaskTable,
    Trunk,
    explained,
)
from grid.experiment.families import RULES, added_pairs
from grid.experiment.weight_files import beside_file, marked
from painmodels import registry
from painmodels.methods.graph import Estimator, Part
from painmodels.tasks import Task, kind_of, task
from painmodels.training.augment import Augment

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


class ConfigError(InputError):
    """An experiment file that cannot be used. The message names the file and the key."""


class Experiment(Table):
    """A whole experiment. The five role tables hold `network` and that network's settings.

    [methods.NAME] has the settings of another method, [methods.NAME.ROLE] those of its parts where it has several.
    """

    name: str
    title: str = ""
    axes: Axes
    scenarios: dict[str, ScenarioTable]
    protocol: ProtocolTable = ProtocolTable()
    fit: FitTable = FitTable()
    faces: dict[str, Any] = Field(default_factory=dict)
    trunk: Trunk
    signals: Signals = Signals()
    task: TaskTable = TaskTable()
    spatial: dict[str, Any] = Field(default_factory=dict)
    temporal: dict[str, Any] = Field(default_factory=dict)
    attention: dict[str, Any] = Field(default_factory=dict)
    physiological: dict[str, Any] = Field(default_factory=dict)
    fusion: dict[str, Any] = Field(default_factory=dict)
    search: Search = Search()
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)
    augment: dict[str, Any] = Field(default_factory=dict)
    claims: Claims = Claims()
    sensitivity: Sensitivity = Sensitivity()
    synthetic: Synthetic = Synthetic()
    execution: Execution = Execution()

    @property
    def face_settings(self) -> FaceSettings:
        """The [faces] table as the preparation takes it."""
        return settings_of(FaceSettings, self.faces, "[faces]")

    @property
    def augmentation(self) -> Augment:
        """The [augment] table as a fit takes it."""
        return settings_of(Augment, self.augment, "[augment]")

    def network(self, role: str) -> tuple[registry.SubNetwork, registry.Training]:
        """The sub-network chosen for a role and its settings."""
        table = {key: value for key, value in getattr(self, role).items() if role != "fusion" or key not in FUSION_KEYS}
        chosen = registry.network(role, table.pop("network", _DEFAULT_NETWORK[role]))
        return chosen, self._told(settings_of(chosen.settings, table, f"[{role}]"))

    def refits(self, part: Part) -> int:
        """On how many inner folds what feeds a part is fitted once more; 0 unless [fusion] asks for out-of-fold features."""
        if part.role != "fusion" or part.trained is not None:
            return 0
        table = settings_of(Fusion, {key: v for key, v in self.fusion.items() if key in FUSION_KEYS}, "[fusion]")
        return max(1, table.inner_folds) if table.features == "out-of-fold" else 0

    def calibrates(self, name: str) -> str:
        """How the probabilities of a method are recalibrated; empty: not at all, as those of the trivial rules."""
        return "" if name in RULES or self.fit.calibrate == "off" else self.fit.calibrate

    @property
    def learns(self) -> Task:
        """The task; where the file names no classes, those of the data set are not known here."""
        return task(self.task.kind, self.task.classes or ("no pain", "pain"), **self.task.options)

    def _told(self, settings: Any) -> Any:
        """Settings that know the task, except those of an estimator that can do one task alone."""
        known = {f.name for f in fields(settings)}
        task = self.learns
        kind = "" if task.kind == kind_of("", task.n_classes) else task.kind
        return replace(settings, **{k: v for k, v in (("classes", task.n_classes), ("task", kind)) if k in known})

    def trained(self, name: str, part: Part) -> tuple[registry.SubNetwork | Estimator, Any]:
        """What is trained for a part of the method `name`, and its settings."""
        if part.trained is None:
            return self.network(part.role)
        table, where = self.methods.get(name, {}), f"[methods.{name}]"
        if isinstance(table.get(part.role), dict):
            table, where = table[part.role], f"[methods.{name}.{part.role}]"
        return part.trained, self._told(marked(settings_of(part.trained.settings, table, where), where))

    def space(self, name: str, part: Part) -> Space:
        """What is searched for a part of a method, `normalise` (of signals) among it; empty without a search."""
        if not self.search.trials:
            return {}
        return getattr(self.search, part.role) if part.trained is None else self.search.methods.get(name, {})

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name."""
        table = self.scenarios[name]
        return Scenario(name=name, subset=table.subset, skip_s=table.skip_s, end_s=table.end_s, adapt=table.adapt)

    def facts(self) -> dict[str, Any]:
        """Everything, defaults filled in, as plain JSON types: what a report prints."""
        out = self.model_dump(mode="json")
        out["faces"], out["augment"] = asdict(self.face_settings), asdict(self.augmentation)
        out["claims"] |= {"pairs": [list(pair) for pair in self.claims.pairs or added_pairs(self.axes.modalities)]}
        out["task"]["kind"] = self.learns.kind
        later = ("end_s", "adapt")  # said where they are set
        out["scenarios"] = {n: {k: v for k, v in t.items() if k not in later or v} for n, t in out["scenarios"].items()}
        for role in registry.ROLES:
            chosen, settings = self.network(role)
            out[role] = {"network": chosen.name, **registry.said(settings)}
        if asked := self.refits(Part("fusion")):
            out["fusion"] |= {"features": "out-of-fold", "inner_folds": asked}
        return out


@dataclass(frozen=True)
class Fusion:
    """What [fusion] says beside the settings of its network.

    `features` "in-sample" (the paper): the fusion is trained on features of the very trials that what feeds it was trained on.
    "out-of-fold": on probabilities of the classes for trials of people that were left out of `inner_folds` further fits of what
    feeds it.
    """

    features: Literal["in-sample", "out-of-fold"] = "in-sample"
    inner_folds: int = 5


FUSION_KEYS = tuple(f.name for f in fields(Fusion))
_DEFAULT_NETWORK = {
    "spatial": "fc7",
    "temporal": "lstm",
    "attention": "additive",
    "physiological": "lstm",
    "fusion": "concat",
}


def settings_of(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `kind` from a TOML table. Raises ConfigError for unknown keys and wrong types."""
    known = [f.name for f in fields(kind) if f.name not in OF_THE_TASK]
    for key in table:
        if key in OF_THE_TASK:
            raise ConfigError(f"{where}: found {key!r}, expected it in [task] alone, which all methods are told")
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{suggestion(key, known)}; there are: {', '.join(known)}")
    try:
        return _adapter(kind).validate_python(dict(table))
    except ValidationError as error:
        raise ConfigError(f"{where}: {explained(error, known)}") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # making one takes milliseconds, and a grid asks a thousand times
    return TypeAdapter(kind)


def _keys(kind: type[BaseModel], within: str = "") -> list[str]:
    """Every key that a file may have, with its tables: `fit`, `fit.seeds` …"""
    found = []
    for name, about in kind.model_fields.items():
        found.append(f"{within}{name}")
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            found += _keys(about.annotation, f"{within}{name}.")
    return found


def names() -> tuple[str, ...]:
    """The experiments that ship with the project."""
    return tuple(sorted(p.stem for p in EXPERIMENTS.glob("*.toml")))


def load(name_or_file: str, **changes: Any) -> Experiment:
    """The experiment of that name or file. `changes` replaces tables, as {"trunk": {...}}. Raises ConfigError."""
    path, table = _read(name_or_file, "--experiment")
    if "base" in table:
        _, base = _read(table.pop("base"), f"{path}: base", beside=path.parent)
        if "base" in base:
            raise ConfigError(f"{path}: base: found an experiment that has a base itself, expected one that has none")
        table = _merged(base, table)
    if "seed" in table:
        raise ConfigError(
            f"{path}: found the key 'seed', expected what it was split into: [protocol] seed (which subjects are held out "
            "together), [fit] seeds (initial weights), [trunk] seed (of a random trunk)"
        )
    for key, values in changes.items():
        table[key] = {**table.get(key, {}), **values}
    try:
        experiment = Experiment.model_validate(table)
        check(experiment)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explained(error, _keys(Experiment))}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return experiment


def _read(name_or_file: str, where: str, *, beside: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """The file of an experiment and what it holds; a path in it (weights, folds) is relative to the file."""
    path = EXPERIMENTS / f"{name_or_file}.toml"
    if not path.exists():
        path = (beside or Path()) / name_or_file
        if not path.is_file():
            near = suggestion(name_or_file, names())
            raise ConfigError(f"{where} {name_or_file!r}: neither a file nor one of {', '.join(names())}{near}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    trunk, protocol = table.get("trunk"), table.get("protocol")
    if isinstance(protocol, dict) and isinstance(protocol.get("folds_from"), str) and protocol["folds_from"]:
        protocol["folds_from"] = str(path.parent.resolve() / protocol["folds_from"])
    if isinstance(trunk, dict) and isinstance(trunk.get("weights"), str) and trunk["weights"]:
        trunk["weights"] = str(path.parent.resolve() / trunk["weights"])
    for of_method in table["methods"].values() if isinstance(table.get("methods"), dict) else ():
        beside_file(of_method, path.parent.resolve())
    return path, table


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `own` in place of its own, table by table. Where `own` chooses another network for a role, the
    base's settings and search space of that role, which are those of its own network, are left out."""
    base = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for role in registry.ROLES:
        chosen = own.get(role, {}).get("network", base.get(role, {}).get("network"))
        if chosen != base.get(role, {}).get("network"):
            base.pop(role)
            base.get("search", {}).pop(role, None)
    return _laid_over(base, own)


def _laid_over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key, value in own.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **{key: _laid_over(base[key], value) if key in both else value for key, value in own.items()}}
