"""What `dataset.toml` may say: one pydantic table each, with the meaning of every key. Unknown keys are errors with a suggestion.

Times are in seconds of the recording file: of its time column where it has one, else since its first sample. Of a video they
count from its first frame, which is at the time `video_at_s` of the manifest, 0 without such a column.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dataprep.records import InputError, RecordingError
from dataprep.signals.files import read_text
from dataprep.storage import Place

SETTINGS = "dataset.toml"
NAME = r"^[a-z][a-z0-9_]{0,30}$"
TIME_UNITS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
RESERVED = ("frame", "video", "hybrid", "majority", "signals")
Column = str | int
"""A column's name, or its number, counted from 1."""


class Table(BaseModel):
    """A table that cannot change and has no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Table):
    """The part of a recording that is a trial: `length_s` seconds from `offset_s` after its `begin` on.

    `begin`: "start", the column start_s of the manifest (the file's first sample where there is no such column), or "onset",
    the column onset_s.
    """

    length_s: float = Field(gt=0)
    begin: Literal["start", "onset"] = "start"
    offset_s: float = 0.0


class Baseline(Table):
    """A further trial for each row: the window that begins `before_s` seconds before onset_s, as a trial of class `label`."""

    label: str
    before_s: float = Field(gt=0)


class Classes(Table):
    """The labels of the manifest in their order, no pain first. `negative` and `positive`: the two that are compared by default.

    Without them: the first and the last.
    """

    order: tuple[str, ...] = Field(min_length=2)
    negative: str = ""
    positive: str = ""

    @model_validator(mode="after")
    def _known(self) -> Classes:
        if len(set(self.order)) < len(self.order):
            raise ValueError(f"order: found {list(self.order)}, expected each label once")
        for key in ("negative", "positive"):
            if getattr(self, key) and getattr(self, key) not in self.order:
                raise ValueError(f"{key}: found {getattr(self, key)!r}, expected one of {', '.join(self.order)}")
        if self.two[0] == self.two[1]:
            raise ValueError(f"negative and positive: found {self.two[0]!r} twice, expected two labels")
        return self

    @property
    def two(self) -> tuple[str, str]:
        """The two labels that are compared by default."""
        return self.negative or self.order[0], self.positive or self.order[-1]


class Files(Table):
    """How signal files are read. The first five keys concern text files alone.

    `delimiter`: one character, "space" (any run of blanks and tabs), or "" for one value a line; `decimal`: the decimal sign;
    `header`: whether a line of column names comes first, after `skip_rows` lines that are not read; `encoding` of the text.
    `time`: the column of times, `time_unit` their unit; `rate_hz`: samples a second, needed where there is no time column and
    the format says no rate. `outside`: folders, relative to the data set's, in which files may lie beside it.
    `video_per_trial`: each video file is of one trial, from its first frame on, although trials begin at start_s or onset_s.
    `frames_hz`: where a video is a folder of pictures, how many there are a second; 0: all of them together last as long as a
    trial.
    """

    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    header: bool = True
    skip_rows: int = Field(0, ge=0)
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    time: Column | None = None
    time_unit: Literal["s", "ms", "us", "min"] = "s"
    rate_hz: float | None = Field(None, gt=0)
    outside: tuple[str, ...] = ()
    video_per_trial: bool = False
    frames_hz: float | None = Field(None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _apart(self) -> Files:
        if self.delimiter != "space" and len(self.delimiter) > 1:
            raise ValueError(f'delimiter: found {self.delimiter!r}, expected one character, "space" or ""')
        if self.delimiter == self.decimal:
            raise ValueError(f"delimiter and decimal: found {self.decimal!r} for both, expected two signs")
        return self


class Channel(Table):
    """Where a channel is: a `column` of a text or Parquet file or of a matrix, or a signal of EDF, BIOPAC or WFDB by name.

    `key`: the variable of a .mat or HDF5 file (a path such as "data/eda"); `column` then chooses one where it is a matrix.
    A value is taken as value * `scale` + `shift`, in `unit`. `rate_hz` is its own rate where it has another than the file.
    """

    column: Column | None = None
    key: str = ""
    unit: str = ""
    scale: float = 1.0
    shift: float = 0.0
    rate_hz: float | None = Field(None, gt=0)


class Layout(Table):
    """The whole of dataset.toml. `clock_hz`: steps a second of what the networks see, for video frames and signals alike.

    `source`: who made the data, as a publication of results must cite it. `population`: data sets that say the same word have
    people in common, under the same names: none of them is trained on where another is tested. `subsets`: name -> subjects, or
    {column = value} of the manifest; `holdout`: the validation subjects of a fixed split.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    title: str = ""
    source: str = ""
    population: str = Field("", max_length=64)
    clock_hz: float = Field(25.0, gt=0, le=10_000)
    window: Window
    classes: Classes
    files: Files = Files()
    channels: dict[str, Channel] = {}
    baseline: Baseline | None = None
    subsets: dict[str, tuple[str, ...] | dict[str, str]] = {}
    holdout: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _together(self) -> Layout:
        for name, channel in self.channels.items():
            if not name.isascii() or not name.replace("_", "a").isalnum() or name != name.lower() or name in RESERVED:
                raise ValueError(
                    f"channels.{name}: expected a name of small letters, digits and '_', none of {', '.join(RESERVED)}"
                )
            if channel.column is None and not channel.key:
                raise ValueError(f"channels.{name}: found neither 'column' nor 'key', expected where it is in the file")
        if self.baseline and self.baseline.label not in self.classes.order:
            raise ValueError(
                f"baseline.label: found {self.baseline.label!r}, expected one of {', '.join(self.classes.order)}"
            )
        if "all" in self.subsets:
            raise ValueError("subsets.all: 'all' is everybody and needs no list")
        if self.n_steps < 2:
            raise ValueError(
                f"window.length_s: found {self.window.length_s:g} s, which is no two steps at {self.clock_hz:g} Hz"
            )
        return self

    @property
    def n_steps(self) -> int:
        """How many steps a trial has."""
        return round(self.window.length_s * self.clock_hz)

    @property
    def reading(self) -> dict[str, Any]:
        """All that the values of a signal depend on beside its file and its start: what is kept with what is made of them."""
        files = self.files.model_dump(mode="json", exclude={"outside", "video_per_trial", "frames_hz"})
        return {"files": files, "channels": {name: c.model_dump(mode="json") for name, c in self.channels.items()}}


def read_layout(folder: Place) -> Layout:
    """The layout of a folder. Raises InputError that names the file, the key, what was found and what is allowed."""
    path = folder / SETTINGS
    try:
        return layout_of(tomllib.loads(read_text(path)), str(path))
    except FileNotFoundError:
        hint = f"`python -m dataprep.manifest {folder}` drafts it"
        raise InputError(f"{path}: found no such file, expected how the recordings are read; {hint}") from None
    except (tomllib.TOMLDecodeError, RecordingError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None


def layout_of(table: Mapping[str, Any], where: str) -> Layout:
    """The layout that a table describes. Raises InputError."""
    try:
        return Layout.model_validate(table)
    except ValidationError as error:
        raise InputError(f"{where}: {_explained(error)}") from None


def _explained(error: ValidationError) -> str:
    """The first problem in one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("str", "int"))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        kind: Any = Layout
        for part in first["loc"][:-1]:
            tables = {"window": Window, "classes": Classes, "files": Files, "baseline": Baseline}
            kind = tables.get(str(part), Channel)
        known = list(kind.model_fields)
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        meant = f": did you mean {near[0]!r}?" if near else ""
        return f"unknown key {where!r}{meant}; there are: {', '.join(known)}{more}"
    if where == "classes.order" and first["type"] == "missing":
        return (
            f"{where}: found no such key, expected the labels in their order: without pain first, the strongest last{more}"
        )
    if first["type"] == "missing":
        return f"{where}: found no such key, expected one{more}"
    if first["type"] == "value_error":
        return f"{where}{': ' if where else ''}{first['ctx']['error']}{more}"
    return f"{where}: {first['msg']}, found {first['input']!r}{more}"
