"""A data set that is a table: `manifest.csv` (or .parquet) with a row per trial, and `dataset.toml`, how its files are read.

The whole of what both may say is in dataprep/manifest (`layout`, `table`); `python -m dataprep.manifest FOLDER` drafts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dataprep.manifest.layout import SETTINGS, Layout, layout_of, read_layout
from dataprep.manifest.people import people_of, tells_order, time_order
from dataprep.manifest.signals import explain, rates, read_signals
from dataprep.manifest.table import is_counted, manifest_of, read_rows, read_trials, subset_members
from dataprep.records import DataSet
from dataprep.storage import Place

VERSION = 1
LAYOUT = (
    "manifest.csv (trial, subject, label, signals, …) and dataset.toml: `python -m dataprep.manifest FOLDER` drafts both"
)


def recognise(path: Place) -> bool:
    """True if the folder holds a manifest and dataset.toml."""
    return (path / SETTINGS).is_file() and manifest_of(path) is not None


def dataset_of(path: Place) -> DataSet:
    """The data set of a folder. Raises InputError if its two files cannot be used."""
    path = path.absolute()
    layout, rows = read_layout(path), read_rows(path)
    counted = is_counted(layout, rows.columns)
    description = {**layout.reading, "clock_hz": layout.clock_hz, "length_s": layout.window.length_s, "counted": counted}
    return _dataset(
        layout,
        description,
        read_trials=lambda folder: read_trials(folder.absolute(), rows, layout),
        subsets=subset_members(rows, layout),
        holdout=frozenset(layout.holdout) or None,
        person=people_of(rows).get,
        time_order=time_order if tells_order(rows) and layout.baseline is None else None,
    )


def described(name: str, description: Mapping[str, Any], *, whole: bool = False) -> DataSet:
    """The data set of a description, to read signals: it has no trials. `whole`: recordings are not cut to a trial."""
    table = {
        "name": name,
        "clock_hz": description["clock_hz"],
        "window": {"length_s": description["length_s"]},
        "classes": {"order": ["0", "1"]},
        "files": description["files"],
        "channels": description["channels"],
    }
    return _dataset(layout_of(table, "description"), description, whole=whole)


def _dataset(layout: Layout, description: Mapping[str, Any], *, whole: bool = False, **more: Any) -> DataSet:
    how: dict[str, Any] = {"layout": layout, "counted": bool(description["counted"]) and not whole}
    classes = layout.classes
    return DataSet(
        **{
            "name": layout.name,
            "title": layout.title or layout.name,
            "population": layout.population,
            "source": layout.source,
            "clock_hz": layout.clock_hz,
            "n_steps": layout.n_steps,
            "channels": tuple(layout.channels),
            "classes": dict(enumerate(classes.order)),
            "negative": classes.order.index(classes.two[0]),
            "positive": classes.order.index(classes.two[1]),
            "recognise": recognise,
            "read_trials": lambda folder: ((), ()),
            "read_signals": partial(read_signals, whole=whole, **how),
            "rates_hz": rates(layout),
            "units": {name: channel.unit for name, channel in layout.channels.items() if channel.unit},
            "layout": LAYOUT,
            "version": VERSION,
            "description": description,
            "explain": partial(explain, **how),
            **more,
        }
    )
