"""The tables of an experiment file: what each key is called, what it may be, and what it is where it is not written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dataprep.records import InputError
from grid.experiment.cells import suggestion
from painmodels.training.normalise import How


class Table(BaseModel):
    """A table that cannot change and has no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Axes(Table):
    """What is crossed: rows x scenarios (x folds x partitions x seeds: [protocol] and [fit]).

    `baselines`: rows without networks that stand beside them, unless --no-baselines or --modalities says otherwise; `derived`:
    rows that learn from signals made of recorded ones, likewise.
    """

    modalities: tuple[str, ...]
    scenarios: tuple[str, ...]
    derived: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()


class ScenarioTable(Table):
    """A subset of subjects by the data set's name for it, and the part of each trial that is used, in seconds from its start.

    `skip_s`: where it begins; `end_s`: where it ends, where that is not the trial's end. `adapt`: how trained rows are adapted to
    the tested people without their labels (painmodels/methods/adaptation.py).
    """

    subset: str
    skip_s: float = Field(0.0, ge=0)
    end_s: float | None = Field(None, gt=0)
    adapt: Literal["", "batch-statistics", "coral"] = ""


class ProtocolTable(Table):
    """How subjects or trials are split (a file of grid/protocols/). `seed` decides the partition into folds, and nothing else.

    `repeats`: how many partitions are drawn; the first is that of the seed. `stratify`: what of people is dealt evenly to the
    folds, where the data set tells it. `inherit`: a scenario has the folds of the whole data set, so that nobody is in another
    fold there. `folds_from`: a table of subjects and folds to use instead, such as the folds.csv of another run.
    """

    name: str = "subject"
    folds: int = Field(10, ge=2)
    seed: int = Field(0, ge=0, strict=True)
    repeats: int = Field(1, ge=1, strict=True)
    stratify: tuple[Literal["sex", "expressive", "age"], ...] = ()
    inherit: bool = False
    folds_from: str = ""


def check_folds(protocol: ProtocolTable) -> None:
    """Raises InputError for settings of the folds that exclude each other."""
    for key in ("stratify", "folds_from"):
        if getattr(protocol, key) and protocol.name != "subject":
            raise InputError(f"protocol.{key}: is for the protocol subject, found protocol.name {protocol.name!r}")
    if protocol.folds_from and (protocol.stratify or protocol.inherit):
        raise InputError(
            "protocol.folds_from: the file alone says who is in which fold; expected no stratify and no inherit"
        )


class FitTable(Table):
    """What a fit is drawn from. Every fit is made from each of `seeds`: initial weights, order of batches, dropout, trees.

    They are kept in ascending order. A hyperparameter search uses the first, and all seeds train what it chose.
    `calibrate`: how probabilities of pain are recalibrated, on what `calibration_folds` inner folds of the training side predict.
    """

    seeds: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = (0,)
    calibrate: Literal["off", "platt", "isotonic"] = "off"
    calibration_folds: int = Field(3, ge=2, strict=True)

    @field_validator("seeds")
    @classmethod
    def _ascending(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError("expected at least one number, and each once")
        return tuple(sorted(seeds))


class Trunk(Table):
    """The frozen spatial CNN. `weights`: a file (a relative path: from the TOML's folder), empty for the shipped or cached one.

    `random`: untrained, said in the report.

    `seed`: what random weights are drawn from. Fits of all seeds share one trunk and its features.
    """

    name: str
    random: bool = False
    seed: int = Field(0, strict=True)
    weights: str = ""
    scaling: str = ""
    precision: Literal["float32", "bfloat16"] = "float32"


class Signals(Table):
    """How signals are scaled for networks (painmodels/training/normalise.py)."""

    normalise: How = "trial"


class TaskTable(Table):
    """What is learnt of a trial. `kind`: a file of painmodels/tasks/; empty: binary of two classes, multiclass of more.

    `classes`: names of the data set's classes in order, no pain first, several taken as one by a plus (`PA1+PA2+PA3`); empty: its
    own two (BioVid: BL1 and PA4). Of the kind regression: `values`, the number of each class (empty: 0, 1, 2 …), or
    `column` of the data set's table with its `range`, lowest and highest; `unit` of the number.
    """

    kind: str = ""
    classes: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    column: str = ""
    range: tuple[float, ...] = ()
    unit: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What is there beside kind and classes."""
        return {"values": self.values, "column": self.column, "range": self.range, "unit": self.unit}


class Claims(Table):
    """Which pairs of rows are compared, fixed before there are results: each is a test of one family. All others are numbers.

    Empty: the pairs of the experiment's rows of which the second sees one recording more, and (frame:mean, video).
    `fewest_trials`: people of whom fewer were tested are named in the report. `chosen_on`: names of data sets on whose people the
    experiment's settings were chosen by their results: a report on one of them says so.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    fewest_trials: int = Field(10, ge=1, strict=True)
    chosen_on: tuple[str, ...] = ()


class Sensitivity(Table):
    """What is computed once more with other choices, apart from the grid's own cells.

    `onsets_s`: every scenario with windows that begin so many seconds after the beginning of a trial (`all87@3s`).
    """

    onsets_s: tuple[Annotated[float, Field(ge=0)], ...] = ()


class Synthetic(Table):
    """The data set written when no --data is given. `trials` per class and subject."""

    subjects: int = Field(20, ge=2, le=87)
    trials: int = Field(2, ge=1)
    signal: Literal["all", "eda", "ecg", "video", "face", "none"] = "all"
    size: str = "640x480"
    seed: int = 0


class Range(Table):
    """Numbers from `low` to `high`, on a logarithmic scale or in steps."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


Space = dict[str, Range | list[Any]]
"""Hyperparameter -> a range of numbers or a list of choices."""


class Search(Table):
    """Hyperparameter search inside each training side. Role tables name what is searched of the paper's method,
    [search.methods.NAME] what of another; `trials` 0: no search.

    `algorithm`: a file of grid/search_algorithms/. `scope` "fold": nested, once per outer fold. "scenario": once, on all
    subjects, test subjects included: optimistic.
    """

    algorithm: str = "tpe"
    trials: int = Field(0, ge=0)
    scope: Literal["fold", "scenario"] = "fold"
    inner_folds: int = Field(3, ge=2)
    metric: str = "balanced_accuracy"
    halving: int = Field(3, ge=2)
    prune: bool = True
    spatial: Space = {}
    temporal: Space = {}
    attention: Space = {}
    physiological: Space = {}
    fusion: Space = {}
    methods: dict[str, Space] = {}

    def identity(self) -> dict[str, Any]:
        """What a search depends on beside its spaces and its algorithm. A key that came later counts where it is set."""
        always = ("trials", "scope", "inner_folds", "metric", "halving", "prune")
        apart = ("algorithm", "spatial", "temporal", "attention", "physiological", "fusion", "methods")
        set_later = [k for k, f in type(self).model_fields.items() if k not in apart and getattr(self, k) != f.default]
        return {k: getattr(self, k) for k in dict.fromkeys((*always, *set_later))}


class Execution(Table):
    """How work is run; none of it changes a result or a key. Times in seconds, memory in megabytes.

    `retries`: how often work is done again whose process died or exceeded its limit; after that, fits that died (out of
    memory, most likely) are tried once more with a machine to themselves. Errors in the work itself are not retried.
    `packed_fits`: how many physiological LSTMs of one shape a worker trains side by side as one computation. It gains nothing
    on a CPU, and was not measured on a GPU yet (tests/benchmarks/gpu.sh does it), so it is one. `*_memory_mb`: reserved for
    each of those that run at once.
    `nodes_wait_s`: how long to wait for a first node. `cpus`: processors of this machine to work on at most, 0: all of them.
    """

    fits_per_gpu: int = Field(4, ge=1)
    prepares_per_gpu: int = Field(4, ge=1)
    packed_fits: int = Field(1, ge=1)
    retries: int = Field(2, ge=0)
    prepare_limit_s: float = Field(1800, gt=0)
    fit_limit_s: float = Field(86400, gt=0)
    prepare_memory_mb: int = Field(1000, ge=0)
    fit_memory_mb: int = Field(1000, ge=0)
    nodes_wait_s: float = Field(1800, ge=0)
    cpus: int = Field(0, ge=0)


SHOWN = 3
"""Problems of a file that are told at once."""


def explained(error: ValidationError, known: list[str]) -> str:
    """The problems of a pydantic error in one line: everything that is missing, else the first `SHOWN` that are wrong."""
    absent = [".".join(str(part) for part in e["loc"]) for e in error.errors() if e["type"] == "missing"]
    if absent:
        also = f"; and {error.error_count() - len(absent)} other problems" if error.error_count() > len(absent) else ""
        return f'missing: {", ".join(absent)}; base = "paper" as the first line takes them from there{also}'
    told = []
    for e in error.errors()[:SHOWN]:
        where = ".".join(str(part) for part in e["loc"])
        if e["type"] == "extra_forbidden":
            told.append(f"unknown key {where!r}{suggestion(where, known)}")
        else:
            told.append(f"{where}: {e['msg']}, found {e['input']!r}")
    more = error.error_count() - SHOWN
    return "; ".join(told) + (f" (and {more} more)" if more > 0 else "")
