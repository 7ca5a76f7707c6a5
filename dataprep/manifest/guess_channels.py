"""Guesses which body signal a column holds: by its name, else by its values. What is no body signal is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

BY_NAME: Mapping[str, str] = {
    "eda": r"eda|gsr|scl|scr|skin.?cond|elektroderm|electroderm|haut.?leit",
    "ecg": r"ecg|ekg",
    "emg": r"emg",
    "resp": r"resp|rsp|breath|atem|atmung",
    "bvp": r"bvp|ppg|pleth|blood.?vol",
    "spo2": r"spo2|sao2|oxygen|oxi",
    "temp": r"skt|skin.?temp|^temp|temperatur|haut.?temp",
}
SAYS_NOTHING = re.compile(
    r"^\W*(ch|chan|channel|kanal|col|column|spalte|sig|signal|var|variable|value|values|wert|data|daten|x|y|v|a|ai|"
    r"adc|analog|input|in|sensor|port|raw|f|field)?[\W_]*\d*\W*$",
    re.I,
)
"""Names that recorders and programs give by themselves."""
NO_SIGNAL = re.compile(
    r"thermode|heater|stim|trigger|marker|label|class|event|covas|\bvas\b|rating|score|sample|index|count|status|^id$|subject|photosens|"
    r"^#|^n$|^unnamed|battery|hz$|rate$",
    re.I,
)
WAVES = 2.5  # a drift over a short recording is no wave
UNIT = re.compile(r"[\[(]\s*([^\])]+)\s*[\])]|_(uS|mV|uV|bpm|degC)$")


def by_name(name: str) -> tuple[str, str]:
    """(channel, why); no channel and why it is left out; or neither, where the name says nothing."""
    if NO_SIGNAL.search(name):
        return "", "no body signal by its name (a model that saw the stimulus or a rating would read the answer)"
    for channel, pattern in BY_NAME.items():
        if re.search(rf"(?<![a-z])({pattern})", name, re.I):
            return channel, "by its name"
    return "", ""


def by_values(x: np.ndarray, rate_hz: float) -> tuple[str, str]:
    """The same by (n,) values at a rate; the guess is rough and says so."""
    x = np.asarray(x, dtype=np.float64)
    x = x[np.isfinite(x)][: int(60 * rate_hz) or None]
    if len(x) < 8 or np.ptp(x) == 0:
        return "", "it is constant"
    if len(np.unique(x)) <= 3:
        return "", "it has two or three values, like a trigger"
    if np.all(x == np.round(x)) and x.min() >= 70 and x.max() <= 100:
        return "spo2", "whole numbers from 70 to 100"
    if x.min() >= 18 and x.max() <= 43 and np.ptp(x) < 3 and rate_hz * len(x) > 0 and np.std(np.diff(x)) < 0.2:
        return "temp", "between 18 and 43, and it hardly changes"
    z = (x - x.mean()) / x.std()
    power = np.abs(np.fft.rfft(z * np.hanning(len(z)))) ** 2
    hz = np.fft.rfftfreq(len(z), 1 / rate_hz)
    power[0] = 0
    share = {
        band: float(power[(hz >= band[0]) & (hz < band[1])].sum() / power.sum())
        for band in ((0, 0.1), (0.1, 0.6), (0.6, 3.5))
    }
    high, kurtosis = 1 - sum(share.values()), float((z**4).mean())
    if kurtosis > 6 and high > 0.3:
        return "ecg", "narrow peaks"
    if high > 0.6:
        return "emg", "most of its power is above 3.5 Hz"
    if share[(0.6, 3.5)] > 0.5:
        return "bvp", "its power is between 0.6 and 3.5 Hz, like a pulse"
    peak_hz = hz[int(np.argmax(power))]
    if 0.1 <= peak_hz < 0.6 and share[(0.1, 0.6)] > 0.5 and peak_hz * len(x) / rate_hz >= WAVES:
        return "resp", f"a wave of {60 * peak_hz:.0f} a minute"
    if x.min() > 0 and high < 0.05:
        return "eda", "positive, and it changes slowly"
    return "", ""


def unit_of(name: str, said: str = "") -> str:
    """The unit that a column's name, or a line of units, says."""
    match = UNIT.search(name)
    return re.sub(r"[\[\]()]", "", said) or (next((g for g in match.groups() if g), "") if match else "")


def slug(name: str) -> str:
    """A channel's name made of a column's."""
    plain = re.sub(r"[^a-z0-9]+", "_", (UNIT.sub("", name) or name).lower()).strip("_")[:30]
    return plain if plain[:1].isalpha() else f"ch_{plain or 'x'}"
