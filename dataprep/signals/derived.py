"""Channels that are made of a recorded one: words of rows like any other, such as `eda+hr` or `ecg@128`.

`hr`          instantaneous heart rate in beats/min on the clock, of `ecg`, or of `bvp` where there is no ECG. Beats are
              neurokit2's at the recorder's own rate, on a lead of either polarity (`native_features.beats_s`).
`eda_phasic`  the phasic part of `eda` in its unit: a causal high-pass of first order at 0.05 Hz that begins at rest. It is AC
              coupling, as recorders have it; a filter of first order does not ring, and what comes later changes nothing.
`emg_envelope`  how strongly a muscle is active: the magnitude of the EMG above 20 Hz, which the low-pass of the clock makes the
              linear envelope (of the EMG itself hardly anything is left on a clock of 25 Hz). Of `emg`, or of the muscle that is
              recorded: trapezius, corrugator, zygomaticus, in this order.
`NAME@RATE`   the channel NAME at RATE Hz instead of the clock's rate; all signals of such a row name the same rate.

Each is made of the whole trial; a scenario that drops seconds at the start cuts afterwards. What comes after the trial's last
moment changes nothing, so that a stream has the same values. T samples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from dataprep.records import DataSet, RecordingError
from dataprep.signals.resampling import n_samples, to_clock

VERSION = 1  # raise when the same samples give other values

PHASIC_HZ = 0.05  # corner of the high-pass: a time constant of 3.2 s
MUSCLE_HZ = 20.0  # corner of the high-pass (De Luca et al. 2010: 20 Hz; SENIAM: 10 to 20 Hz)
LEAST_EMG_HZ = 100.0
REST_S = 0.25  # at the start: what is taken as the level before
LEAST_INTERVALS = 2  # between beats: one alone would be a constant
ODD_INTERVAL = (0.6, 1.6)  # of the median of those around it: a beat too many, or one that was missed
AROUND = 5  # intervals to each side
AT = re.compile(r"(?P<of>[a-z][a-z0-9_]*)@(?P<rate>[1-9]\d{0,4})")


@dataclass(frozen=True)
class Derived:
    """What a channel is made of, by preference; its unit (empty: that of its source); its function.

    `make(values, rate_hz, source, clock_hz)`: samples (T,) of a trial to values and their rate. Raises RecordingError.
    """

    sources: tuple[str, ...]
    make: Callable[[np.ndarray, float, str, float], tuple[np.ndarray, float]]
    unit: str = ""


def heart_rate(values: np.ndarray, rate_hz: float, source: str, clock_hz: float) -> tuple[np.ndarray, float]:
    """Beats/min at every step of the clock: linear between the middles of the intervals, held before and after.

    An interval that is beyond `ODD_INTERVAL` of the median of its neighbours is left out, as of an artefact; the rate goes on
    between those beside it. RecordingError where fewer than two are left.
    """
    from dataprep.signals.native_features import beats_s  # here: what reads other signals needs none of it

    at_s = beats_s(values, rate_hz, pulse=source == "bvp")
    gaps_s, middles_s = np.diff(at_s), (at_s[1:] + at_s[:-1]) / 2
    usual_s = np.array([np.median(gaps_s[max(0, k - AROUND) : k + AROUND + 1]) for k in range(len(gaps_s))])
    low, high = ODD_INTERVAL
    plain = (gaps_s > low * usual_s) & (gaps_s < high * usual_s)
    if plain.sum() < LEAST_INTERVALS:
        lasts_s = len(values) / rate_hz
        seen = f"found {len(at_s)} heart beats in {lasts_s:.1f} s, {int(plain.sum())} plain intervals between them"
        raise RecordingError(f"{seen}, expected {LEAST_INTERVALS} or more")
    steps_s = np.arange(int((len(values) - 1) / rate_hz * clock_hz + 1e-6) + 1) / clock_hz
    return np.interp(steps_s, middles_s[plain], 60 / gaps_s[plain]), clock_hz


def phasic(values: np.ndarray, rate_hz: float, source: str, clock_hz: float) -> tuple[np.ndarray, float]:
    """The signal less its exponential mean over the past 3.2 s, which begins at the mean of the first quarter of a second."""
    from scipy.signal import lfilter  # here: who reads names of rows filters nothing

    x = np.asarray(values, dtype=np.float64)
    keep = np.exp(-2 * np.pi * PHASIC_HZ / rate_hz)
    level = x[: max(1, round(REST_S * rate_hz))].mean()
    tonic_T, _ = lfilter([1 - keep], [1, -keep], x, zi=[keep * level])
    return x - tonic_T, rate_hz


def envelope(values: np.ndarray, rate_hz: float, source: str, clock_hz: float) -> tuple[np.ndarray, float]:
    """The magnitude of what is above 20 Hz; below are motion and the heart. RecordingError if the rate leaves nothing above."""
    from scipy.signal import butter, sosfiltfilt

    x = np.asarray(values, dtype=np.float64)
    if rate_hz < LEAST_EMG_HZ:
        raise RecordingError(f"found an EMG of {rate_hz:g} Hz, expected {LEAST_EMG_HZ:g} Hz or more for its envelope")
    high_pass = butter(4, MUSCLE_HZ, "highpass", fs=rate_hz, output="sos")
    return np.abs(sosfiltfilt(high_pass, x, padlen=min(len(x) - 1, round(rate_hz / MUSCLE_HZ)))), rate_hz


DERIVED = {
    "hr": Derived(("ecg", "bvp"), heart_rate, "beats/min"),
    "eda_phasic": Derived(("eda",), phasic),
    "emg_envelope": Derived(("emg", "emg_trapezius", "emg_corrugator", "emg_zygomaticus"), envelope),
}


def rate_of(word: str) -> float:
    """The rate that a word asks for, in Hz; 0 where it is that of the clock."""
    match = AT.fullmatch(word)
    return float(match["rate"]) if match else 0.0


def source(word: str, channels: Collection[str]) -> str:
    """Of which of these channels a word's is made; the word itself where it is one of them, empty where it cannot be made."""
    if word in channels:
        return word
    match = AT.fullmatch(word)
    wanted = (match["of"],) if match else DERIVED[word].sources if word in DERIVED else ()
    return next((channel for channel in wanted if channel in channels), "")


def with_channels(dataset: DataSet, channels: Iterable[str]) -> DataSet:
    """The data set with these channels alone, in this order, those among them that are made of recorded ones."""
    channels = tuple(channels)
    made = {c: source(c, dataset.channels) for c in channels if c not in dataset.channels}
    rates, units = dict(dataset.rates_hz), dict(dataset.units)
    for channel, of in made.items():
        units[channel] = (DERIVED[channel].unit if channel in DERIVED else "") or units.get(of, "")
        rates[channel] = rate_of(channel) or (dataset.clock_hz if channel == "hr" else rates.get(of, 0.0))
    return replace(dataset, channels=channels, derived=made, rates_hz=rates, units=units)


def made(
    channel: str, of: str, values: np.ndarray, rate_hz: float, *, clock_hz: float, n_steps: int
) -> tuple[np.ndarray, float]:
    """Samples (T,) of the channel `of`, from the trial's start on, as the channel that is made of them, and its rate.

    Raises RecordingError for a signal that is unfit for `to_clock`, and where the channel cannot be made of it.
    """
    if rate := rate_of(channel):
        fine = n_samples(rate_hz=rate, clock_hz=clock_hz, n_steps=n_steps)
        return to_clock(values, rate_hz=rate_hz, clock_hz=rate, n_steps=fine), rate
    to_clock(values, rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps)
    used = np.asarray(values)[: n_samples(rate_hz=rate_hz, clock_hz=clock_hz, n_steps=n_steps)]
    return DERIVED[channel].make(used, rate_hz, of, clock_hz)
