"""Reading the files of a result folder: tables with the columns that are expected, or a message that names the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dataprep.records import InputError
from grid.experiment.cells import CELL
from grid.results.axes import AXES, with_axes


def read_json(path: Path) -> Mapping[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(run, dict):
        raise InputError(f"{path}: holds a {type(run).__name__}; expected an object")
    return run


def table_of(
    path: Path, columns: list[str], *, optional: bool = False, numbers: Sequence[str] = (), more: tuple[str, ...] = ()
) -> pd.DataFrame:
    """A table with these columns, and with `more`, which are empty in folders of older versions."""
    if (optional and not path.is_file()) or path.stat().st_size == 0:
        return pd.DataFrame(columns=[*columns, *more])
    text = {name: str for name in (*columns, *more) if name not in (*numbers, *AXES, "n_test")}
    try:
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={name: [""] for name in numbers})
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a CSV table: {error}") from error
    table = axes_of(table)
    check_columns(path, table, columns)
    return table.assign(**{name: "" for name in more if name not in table})[[*columns, *more]]


def as_numbers(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The table with these columns as numbers, NaN where they are empty."""
    return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in columns})


def axes_of(table: pd.DataFrame) -> pd.DataFrame:
    """A table of cells with partition and fit seed: both 0 in folders written before there were others."""
    return with_axes(table) if "fold" in table else table


def parquet_of(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a parquet table: {error}") from error


def curves_of(path: Path) -> pd.DataFrame:
    """Training curves, their first column called `stage`; empty where none were kept."""
    if not path.is_file():
        return pd.DataFrame(columns=["stage", "scenario", "fold", "epoch", "loss", "accuracy"])
    table = parquet_of(path).rename(columns={"modality": "stage"})
    check_columns(path, table, ["stage", "scenario", "fold", "epoch", "loss", "accuracy"])
    return table


def attention_of(path: Path) -> pd.DataFrame:
    """Mean attention by cell, class and step; empty where no row has it."""
    columns = [*CELL, "y_true", "step", "weight"]
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    table = axes_of(parquet_of(path))
    check_columns(path, table, columns)
    return table[columns]


def check_columns(path: Path, table: pd.DataFrame, columns: list[str]) -> None:
    lacking = [name for name in columns if name not in table.columns]
    if lacking:
        raise InputError(f"{path}: has no column {', '.join(lacking)}; found {', '.join(map(str, table.columns))}")
