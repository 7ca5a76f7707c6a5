"""Files of every kind as columns of numbers: text, Parquet, NumPy, MATLAB, HDF5; with the extra `formats` EDF, BDF, BIOPAC, WFDB.

Nothing that a file holds is run: NumPy files with pickled objects are refused, and so are HDF5 links that lead out of the file.
A matrix has its samples along its longer side.
"""

from __future__ import annotations

import importlib.util
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataprep import file_names
from dataprep.manifest import text
from dataprep.manifest.layout import Channel, Column, Layout
from dataprep.records import InputError, RecordingError
from dataprep.storage import Place, Remote

EXTRA: Mapping[str, str] = {".edf": "edfio", ".bdf": "edfio", ".acq": "bioread", ".dat": "wfdb"}
"""Ending -> the package that reads it. A .dat file is WFDB's where a .hea file lies beside it, else text."""
HDF5 = b"\x89HDF\r\n\x1a\n"
NOT_TEXT = (".parquet", ".npy", ".npz", ".mat", ".h5", ".hdf5", *EXTRA)


@dataclass(frozen=True)
class Samples:
    """One file read: channel -> values, and their rate where the format says it; `time` in the unit of the file, or None."""

    values: Mapping[str, np.ndarray]
    rates_hz: Mapping[str, float]
    time: np.ndarray | None = None


def kind_of(path: Place) -> str:
    """The ending that says how a file is read; empty for text."""
    ending = path.name[path.name.rfind(".") :].lower() if "." in path.name else ""
    if ending == ".dat" and not header_of(path).is_file():
        return ""
    return ending if ending in NOT_TEXT else ""


def header_of(path: Place) -> Place:
    """The header of a WFDB record, by the name of its signal file."""
    return path.parent / f"{path.name[:-4]}.hea"


def require_readers(paths: Iterable[Place]) -> None:
    """Raises InputError if a file is of a kind whose reader is not installed."""
    seen: set[str] = set()
    for path in paths:
        ending = path.name[path.name.rfind(".") :].lower()
        if ending in seen or kind_of(path) not in EXTRA:
            continue
        seen.add(ending)
        if importlib.util.find_spec(EXTRA[ending]) is None:
            raise InputError(f"{path}: is read by {EXTRA[ending]}, which is not installed: pip install 'pain-grid[formats]'")


_last: tuple[Any, Samples] | None = None


def read_file(path: Place, layout: Layout) -> Samples:
    """The channels of a file. The last file is kept: trials of a long recording follow each other.

    Raises RecordingError for what is in it, OSError where it cannot be reached.
    """
    global _last
    if path.exists() and not path.is_file():
        raise RecordingError(f"{path}: cannot be read (a folder or a device), expected a file of signals")
    facts = path.stat()
    key = (str(path), facts.st_mtime, facts.st_size, json.dumps(layout.reading, sort_keys=True))
    if _last is None or _last[0] != key:
        samples = _read(path, layout)
        for values in samples.values.values():
            values.setflags(write=False)
        _last = (key, samples)
    return _last[1]


def _read(path: Place, layout: Layout) -> Samples:
    reader = _READERS.get(kind_of(path))
    content = path.read_bytes()
    if not content:
        raise RecordingError(f"{path}: the file is empty (0 bytes); expected signals")
    if reader is None:
        return _of_text(content, path, layout)
    try:
        return reader(content, path, layout)
    except (RecordingError, InputError, MemoryError):
        raise
    except ImportError as error:
        raise InputError(f"{path}: cannot be read here ({error}): pip install 'pain-grid[formats]'") from None
    except Exception as error:  # its bytes are in memory already: whatever a library says is about them
        raise RecordingError(f"{path}: cannot be read as {kind_of(path)} ({str(error)[:200]})") from error


def _column(name: str, channel: Channel) -> Column:
    return channel.column if channel.column is not None else channel.key


def _scaled(values: Any, channel: Channel) -> np.ndarray:
    x = np.array(values, dtype=np.float64)
    return x if (channel.scale, channel.shift) == (1.0, 0.0) else x * channel.scale + channel.shift


def _of_text(content: bytes, path: Place, layout: Layout) -> Samples:
    time = layout.files.time
    wanted = [_column(name, channel) for name, channel in layout.channels.items()]
    found = text.table(content, path, layout.files, [*wanted, *([] if time is None else [time])])
    values = {name: _scaled(found[_column(name, c)], c) for name, c in layout.channels.items()}
    return Samples(values, {}, None if time is None else found[time])


def _of_parquet(content: bytes, path: Place, layout: Layout) -> Samples:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    names = tuple(file.schema_arrow.names)
    time = layout.files.time
    wanted = [_column(name, c) for name, c in layout.channels.items()] + ([] if time is None else [time])
    places = text.column_places(text.Lines(names, "", 1), wanted, path)
    table = file.read(columns=[names[place] for place in set(places.values())])
    found = {column: table.column(names[place]).to_numpy() for column, place in places.items()}
    values = {name: _scaled(found[_column(name, c)], c) for name, c in layout.channels.items()}
    return Samples(values, {}, None if time is None else np.array(found[time], dtype=np.float64))


def _of_arrays(get: Callable[[str], Any], path: Place, layout: Layout) -> Samples:
    """The channels of variables that `get` gives by name; the times are a variable too, or a column of the first channel's."""
    values = {name: _scaled(_series(get(c.key), c.column, path, c.key), c) for name, c in layout.channels.items()}
    time = layout.files.time
    if time is None:
        return Samples(values, {})
    first = next(iter(layout.channels.values()))
    at: tuple[str, Column | None] = (time, None) if isinstance(time, str) and first.key else (first.key, time)
    return Samples(values, {}, np.array(_series(get(at[0]), at[1], path, at[0]), dtype=np.float64))


def _series(array: Any, column: Column | None, path: Place, key: str) -> np.ndarray:
    """One column of a vector, a matrix or a table of named fields."""
    x, where = np.asarray(array), f"{path}{f': variable {key!r}' if key else ''}"
    if x.dtype.names:
        if not isinstance(column, str) or column not in x.dtype.names:
            raise RecordingError(f"{where}: found the fields {', '.join(x.dtype.names)}, expected {column!r} among them")
        return np.asarray(x[column]).reshape(-1)
    if x.dtype.kind not in "biuf":
        raise RecordingError(f"{where}: found values of the type {x.dtype}, expected real numbers")
    if x.ndim == 2 and min(x.shape) > 1:
        x = x if x.shape[0] >= x.shape[1] else x.T
        if not isinstance(column, int) or not 1 <= column <= x.shape[1]:
            raise RecordingError(
                f"{where}: found {x.shape[1]} columns, expected the number of one as 'column', found {column!r}"
            )
        return x[:, column - 1]
    if x.ndim > 2 and max(x.shape) < x.size:
        raise RecordingError(f"{where}: found an array of shape {x.shape}, expected a vector or a matrix")
    if isinstance(column, int) and column > 1:
        raise RecordingError(f"{where}: found one column, expected column number {column}")
    return x.reshape(-1)


def _of_numpy(content: bytes, path: Place, layout: Layout) -> Samples:
    found = np.load(io.BytesIO(content), allow_pickle=False)
    return _of_arrays(lambda key: _member(found, key, path) if key else _only(found, path), path, layout)


def _member(found: Any, key: str, path: Place) -> Any:
    names = list(getattr(found, "files", getattr(found, "keys", list)()))
    if key not in names:
        hint = file_names.hint(file_names.near(key, names))
        raise RecordingError(
            f"{path}: found the variables {', '.join(names[:12]) or '(none)'}, expected {key!r} among them{hint}"
        )
    return found[key]


def _only(found: Any, path: Place) -> Any:
    if isinstance(found, np.ndarray):
        return found
    raise RecordingError(f"{path}: found the variables {', '.join(found.files)}, expected the 'key' of one for each channel")


def _of_matlab(content: bytes, path: Place, layout: Layout) -> Samples:
    from scipy.io import loadmat

    if HDF5 in (content[:8], content[512:520]):  # version 7.3, which has 512 bytes of its own before it
        return _of_hdf5(content, path, layout)
    found = {k: v for k, v in loadmat(io.BytesIO(content)).items() if not k.startswith("__")}  # type: ignore[arg-type]

    def get(key: str) -> Any:
        first, *rest = re.split(r"[/.]", key)
        value: Any = _member(found, first, path)
        for part in rest:
            if not value.dtype.names or part not in value.dtype.names or value.size != 1:
                raise RecordingError(
                    f"{path}: found in {first!r} {value.dtype.names or 'no fields'}, expected {part!r} among them"
                )
            value = value[part].item()
        return value

    return _of_arrays(get, path, layout)


def _of_hdf5(content: bytes, path: Place, layout: Layout) -> Samples:
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:

        def get(key: str) -> Any:
            at: Any = file
            for part in key.strip("/").split("/"):
                if not isinstance(at, h5py.Group) or part not in at.keys():  # noqa: SIM118  (`in at` follows links)
                    names = list(at.keys()) if isinstance(at, h5py.Group) else []
                    hint = file_names.hint(file_names.near(part, names))
                    raise RecordingError(f"{path}: found {', '.join(names[:12]) or 'nothing'} there, expected {key!r}{hint}")
                if not isinstance(at.get(part, getlink=True), h5py.HardLink):
                    raise RecordingError(f"{path}: {key!r} is a link; expected values in the file itself")
                at = at[part]
            if not isinstance(at, h5py.Dataset) or at.external or at.is_virtual:
                raise RecordingError(f"{path}: {key!r} holds no values of its own, expected a data set in the file itself")
            return at[()]

        return _of_arrays(get, path, layout)


def _by_label(signals: Mapping[str, tuple[Any, float]], path: Place, layout: Layout) -> Samples:
    """The channels of a file whose signals have names and rates of their own."""
    values, rates_hz = {}, {}
    for name, channel in layout.channels.items():
        label = str(_column(name, channel))
        match = file_names.match(label, signals)
        if match is None:
            hint = file_names.hint(file_names.near(label, signals))
            seen = ", ".join(repr(s[:40]) for s in list(signals)[:12])
            raise RecordingError(f"{path}: found the signals {seen}, expected {label!r} among them{hint}")
        values[name], rates_hz[name] = _scaled(signals[match][0], channel), float(signals[match][1])
    return Samples(values, rates_hz)


def _of_edf(content: bytes, path: Place, layout: Layout) -> Samples:
    import edfio

    read = edfio.read_bdf if kind_of(path) == ".bdf" else edfio.read_edf
    signals = read(io.BytesIO(content)).signals
    return _by_label({s.label.strip(): (s.data, s.sampling_frequency) for s in signals}, path, layout)


def _of_biopac(content: bytes, path: Place, layout: Layout) -> Samples:
    import bioread

    channels = bioread.read(io.BytesIO(content)).channels
    return _by_label({c.name.strip(): (c.data, c.samples_per_second) for c in channels}, path, layout)


def _of_wfdb(content: bytes, path: Place, layout: Layout) -> Samples:
    import wfdb

    if isinstance(path, Remote):
        raise RecordingError(f"{path}: WFDB records are read from folders of this machine, not from a bucket")
    header = wfdb.rdheader(str(header_of(path))[:-4])
    elsewhere = [name for name in header.file_name or [] if name != Path(name).name]
    if elsewhere:
        raise RecordingError(f"{header_of(path)}: found the signal file {elsewhere[0]!r}, expected a name without a folder")
    record = wfdb.rdrecord(str(header_of(path))[:-4], smooth_frames=False)
    rates_hz = [record.fs * n for n in record.samps_per_frame]
    named = zip(record.sig_name, record.e_p_signal, rates_hz, strict=True)
    return _by_label({name: (values, rate_hz) for name, values, rate_hz in named}, path, layout)


_READERS: Mapping[str, Callable[[bytes, Place, Layout], Samples]] = {
    ".parquet": _of_parquet,
    ".npy": _of_numpy,
    ".npz": _of_numpy,
    ".mat": _of_matlab,
    ".h5": _of_hdf5,
    ".hdf5": _of_hdf5,
    ".edf": _of_edf,
    ".bdf": _of_edf,
    ".acq": _of_biopac,
    ".dat": _of_wfdb,
}
