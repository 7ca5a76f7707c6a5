"""Guesses what one signal file of any kind holds: its columns as channels, their rate, and what [files] has to say."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dataprep.manifest import guess_channels
from dataprep.manifest.formats import HDF5, header_of, kind_of
from dataprep.manifest.guess_text import guess_text, time_unit, with_time
from dataprep.manifest.layout import TIME_UNITS, Channel, Files
from dataprep.manifest.other_signals import Look, look
from dataprep.records import RecordingError
from dataprep.storage import Place


@dataclass(frozen=True)
class Column:
    """One series of numbers of a file: where it is, what it is called, its first values, its rate (0: not known)."""

    where: Channel
    name: str
    x: np.ndarray
    rate_hz: float = 0.0
    unit: str = ""


@dataclass
class FileGuess:
    """What a file seems to hold. `why`: key of [files] or channel -> what it was guessed from; `left_out`: column and why.

    `look`: of the first channel. `samples`: channel -> how many samples the file has and their rate, where a rate is known;
    `rate_hz`: of the first of them.
    """

    files: Files
    channels: dict[str, Channel] = field(default_factory=dict)
    samples: dict[str, tuple[int, float]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    rate_hz: float = 0.0
    n_rows: int = 0  # of a text file
    time_s: tuple[float, float] | None = None
    look: Look | None = None

    @property
    def fastest_hz(self) -> float:
        """The highest rate of a channel, 0 where none is known."""
        return max((rate_hz for _, rate_hz in self.samples.values()), default=self.rate_hz)

    def length_s(self, clock_hz: float) -> float:
        """How much of the clock every channel covers, in s, 0 where that is not known; a slow one to a step past its end."""
        lengths = [
            n / rate_hz if rate_hz >= clock_hz else (n - 1) / rate_hz + 1 / clock_hz for n, rate_hz in self.samples.values()
        ]
        return min(lengths, default=0.0)


def guess_file(path: Place) -> FileGuess:
    """The guess. Raises RecordingError."""
    if kind_of(path):
        guess, columns = _of_columns(list(_columns(path)))
    else:
        guess, columns = _of_text(path)
    named = [(c, *guess_channels.by_name(c.name)) for c in columns]
    if len(columns) == 1 and not columns[0].name and (of_file := guess_channels.by_name(path.name)[0]):
        named = [(columns[0], of_file, "by the name of the file")]
    for column, channel, why in named:
        rate_hz = column.rate_hz or guess.rate_hz
        if not channel and not why and not guess_channels.SAYS_NOTHING.match(column.name):
            fixed = np.nanmin(column.x) == np.nanmax(column.x)
            channel, why = ("", "it is constant") if fixed else (guess_channels.slug(column.name), "it keeps its own name")
            if not channel:
                guess.left_out.append(f"{column.name!r}: {why}")
                continue
        if not channel and not why:
            channel, why = guess_channels.by_values(column.x, rate_hz or 100.0)
            why = f"by its values alone: {why}" if channel else why
            if not channel and not why:
                channel, why = (
                    guess_channels.slug(column.name),
                    "neither its name nor its values say what it is: it keeps its name",
                )
            elif not channel:
                guess.left_out.append(f"{column.name or column.where.column!r}: {why}")
                continue
        if not channel:
            guess.left_out.append(f"{column.name!r}: {why}")
            continue
        name = _free(channel, column.name, guess.channels)
        guess.channels[name] = column.where.model_copy(update={"unit": column.unit})
        guess.why[name] = why
        guess.look = guess.look or look(column.x, rate_hz or 100.0)
        guess.rate_hz = guess.rate_hz or column.rate_hz
        if rate_hz:
            guess.samples[name] = (guess.n_rows or len(column.x), rate_hz)
    if not guess.channels:
        raise RecordingError(
            f"{path}: found no column that may be a body signal: {'; '.join(guess.left_out)[:400] or 'no numbers'}"
        )
    return guess


RATE_NAME = re.compile(
    r"^\W*(fs|sfreq|srate|hz|rate|freq|(sampl\w*|recording)[\W_]*(rate|freq\w*|hz)?)([\W_]*hz)?\W*$", re.I
)


def _of_columns(columns: list[Column]) -> tuple[FileGuess, list[Column]]:
    """The columns of a file that is no text, but for a rate that stands alone and for times, which are told in the guess."""
    alone = [c for c in columns if c.x.size == 1 and 0 < float(c.x[0]) <= 1e5]
    said = [c for c in alone if RATE_NAME.match(c.name.rpartition("/")[2])]
    columns = [_with_own_rate(c, alone) for c in columns if c.x.size > 1]
    guess = FileGuess(Files(), rate_hz=float(said[0].x[0]) if said else 0.0)
    if said:
        guess.files = guess.files.model_copy(update={"rate_hz": guess.rate_hz})
        guess.why["rate_hz"] = f"the file's own {said[0].name!r}"
    for column in columns:
        found = time_unit(column.name, "", column.x)
        if (
            not column.rate_hz
            and found
            and (column.where.column is None or isinstance(column.where.column, str) or column.name)
        ):
            where = column.where.key or column.where.column
            unit, rate_hz, why = found
            guess.files = guess.files.model_copy(update={"time": where, "time_unit": unit, "rate_hz": None})
            guess.why |= {"time": "by its name", "time_unit": why}
            guess.rate_hz = rate_hz
            guess.time_s = float(column.x[0]) * TIME_UNITS[unit], float(column.x[-1]) * TIME_UNITS[unit]
            return guess, [c for c in columns if c is not column]
    return guess, columns


def _with_own_rate(column: Column, alone: list[Column]) -> Column:
    """The same with the rate that stands beside it: `eda_hz` (or `eda_fs`, `eda_rate` …) beside `eda`."""
    of, _, name = column.name.rpartition("/")
    for rate in alone:
        beside, _, called = rate.name.rpartition("/")
        if beside == of and called.startswith(f"{name}_") and RATE_NAME.match(called.removeprefix(f"{name}_")):
            rate_hz = float(rate.x[0])
            return replace(column, rate_hz=rate_hz, where=column.where.model_copy(update={"rate_hz": rate_hz}))
    return column


def _free(channel: str, name: str, taken: dict[str, Channel]) -> str:
    """A channel's name that no other column has: the guess, the column's own name, or a number behind it."""
    slug = guess_channels.slug(name) if name else channel
    choices = (channel, slug, *(f"{channel}_{n}" for n in range(2, 200)))
    return next(choice for choice in choices if choice not in taken)


def _of_text(path: Place) -> tuple[FileGuess, list[Column]]:
    text = with_time(guess_text(path))
    files, names = text.files, text.names
    guess = FileGuess(files, why=dict(text.why), rate_hz=files.rate_hz or 0.0)
    at_time = None
    if files.time is not None:
        at_time = files.time - 1 if isinstance(files.time, int) else names.index(files.time)
        time_s = text.x_RC[:, at_time] * TIME_UNITS[files.time_unit]
        guess.rate_hz = (len(time_s) - 1) / float(time_s[-1] - time_s[0])
        guess.time_s = float(time_s[0]), float(time_s[-1])
    guess.n_rows = text.n_rows
    columns = []
    for n in range(text.x_RC.shape[1]):
        if n == at_time or np.isnan(text.x_RC[:, n]).mean() > 0.5:
            continue
        name = names[n] if names else ""
        by_name = files.header and names.count(name) == 1 and name
        unit = guess_channels.unit_of(name, text.units[n] if text.units else "")
        columns.append(
            Column(where=Channel(column=name if by_name else n + 1), name=name, x=text.x_RC[:, n], rate_hz=0.0, unit=unit)
        )
    return guess, columns


def _columns(path: Place) -> Iterator[Column]:
    """The series of numbers of a file that is no text."""
    content, kind = path.read_bytes(), kind_of(path)
    if kind == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(io.BytesIO(content))
        for name in table.column_names:
            values = table.column(name).to_numpy()
            if values.dtype.kind in "iuf":
                yield Column(where=Channel(column=name), name=name, x=values, rate_hz=0.0, unit=guess_channels.unit_of(name))
    elif kind == ".npy":
        yield from _series(np.load(io.BytesIO(content), allow_pickle=False), "", "")
    elif kind == ".npz":
        found = np.load(io.BytesIO(content), allow_pickle=False)
        for name in found.files:
            yield from _series(found[name], name, name)
    elif kind == ".mat" and HDF5 not in (content[:8], content[512:520]):
        from scipy.io import loadmat

        for name, value in loadmat(io.BytesIO(content)).items():  # type: ignore[arg-type]
            if not name.startswith("__"):
                yield from _series(value, name, name)
    elif kind in (".mat", ".h5", ".hdf5"):
        import h5py

        with h5py.File(io.BytesIO(content), "r") as file:
            found_in: list[tuple[str, Any]] = []
            file.visititems(lambda name, item: found_in.append((name, item[()])) if isinstance(item, h5py.Dataset) else None)
            file.visititems(lambda name, item: found_in.extend((str(k), v) for k, v in item.attrs.items()))
            found_in += [(str(name), value) for name, value in file.attrs.items()]
        for name, value in found_in:
            yield from _series(value, name, name.rpartition("/")[2])
    else:
        yield from _labelled(content, path, kind)


def _series(array: Any, key: str, name: str) -> Iterator[Column]:
    """The columns of a vector or a matrix, and the fields of a structure."""
    x = np.asarray(array)
    if x.dtype.names and x.size == 1:
        for part in x.dtype.names:
            yield from _series(x[part].item(), f"{key}/{part}" if key else part, part)
    elif x.dtype.kind in "iuf" and x.size == 1 and name:
        yield Column(Channel(key=key or name), name, x.reshape(-1).astype(np.float64))
    elif x.dtype.kind in "iuf" and x.ndim <= 2 and x.size >= 16:
        if x.ndim == 2 and min(x.shape) > 1:
            x = x if x.shape[0] >= x.shape[1] else x.T
            if x.shape[1] <= 64:
                for n in range(x.shape[1]):
                    yield Column(Channel(key=key, column=n + 1), f"{name}_{n + 1}" if name else "", x[:, n])
        else:
            yield Column(Channel(key=key) if key else Channel(column=1), name, x.reshape(-1))


def _labelled(content: bytes, path: Place, kind: str) -> Iterator[Column]:
    """The signals of EDF, BDF, BIOPAC and WFDB files, which have names and rates."""
    if kind in (".edf", ".bdf"):
        import edfio

        for s in (edfio.read_bdf if kind == ".bdf" else edfio.read_edf)(io.BytesIO(content)).signals:
            yield Column(
                where=Channel(column=s.label.strip()),
                name=s.label,
                x=s.data,
                rate_hz=s.sampling_frequency,
                unit=s.physical_dimension.strip(),
            )
    elif kind == ".acq":
        import bioread

        for c in bioread.read(io.BytesIO(content)).channels:
            yield Column(
                where=Channel(column=c.name.strip()),
                name=c.name,
                x=c.data,
                rate_hz=float(c.samples_per_second),
                unit=str(c.units).strip(),
            )
    else:
        import wfdb

        r = wfdb.rdrecord(str(header_of(path))[:-4], smooth_frames=False)
        for name, values, n, unit in zip(r.sig_name, r.e_p_signal, r.samps_per_frame, r.units, strict=True):
            yield Column(where=Channel(column=name), name=name, x=values, rate_hz=r.fs * n, unit=unit)
