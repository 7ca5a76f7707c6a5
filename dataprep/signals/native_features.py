"""Domain features of one channel of one trial at the channel's own rate: EDA, ECG, EMG, respiration, blood volume pulse.

Each function sees one window, fits nothing and gives the same names in the same order; NaN where a value is not defined in so
short a window. After Werner et al. 2014 ("Automatic pain recognition from video and biomedical signals", ICPR), who use the like.
Heart beats are neurokit2's (of the ECG and of the pulse). Its decompositions of skin conductance filter at 0.05 Hz, a period of
20 s, and its respiration rate needs several breaths: in windows of some seconds both are our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from dataprep.records import InputError
from dataprep.signals.domain_features import RESPONSE_US

VERSION = 1  # raise when the same arrays give other values

LEAST_BEATS = 5  # below, variability of the intervals is not defined
SMOOTH_HZ = 5.0  # skin conductance has nothing faster
EMG_BAND_HZ = (20.0, 250.0)
MUCH_HZ = 60.0  # a channel slower than this has no EMG band


def eda(x_T: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Skin conductance in µS: level, tonic slope, responses: how many, how high, how fast they rise, how far they recover."""
    x_T = _low_pass(x_T, rate_hz, SMOOTH_HZ)
    n, third = len(x_T), max(1, len(x_T) // 3)
    found = responses(x_T)
    rises_us = [float(x_T[peak] - x_T[low]) for low, peak, _ in found]
    rises_s = [(peak - low) / rate_hz for low, peak, _ in found]
    recovered = [float((x_T[peak] - x_T[end]) / (x_T[peak] - x_T[low])) for low, peak, end in found]
    tonic_us = float(x_T[-third:].min() - x_T[:third].min())
    return {
        "level_us": float(x_T.mean()),
        "sd_us": float(x_T.std()),
        "range_us": float(np.ptp(x_T)),
        "end_minus_start_us": float(x_T[-third:].mean() - x_T[:third].mean()),
        "tonic_slope_us_per_s": tonic_us / max((n - third) / rate_hz, 1 / rate_hz),
        "responses": float(len(found)),
        "amplitude_us": max(rises_us, default=0.0),
        "amplitude_sum_us": float(sum(rises_us)),
        "rise_s": rises_s[int(np.argmax(rises_us))] if found else float("nan"),
        "recovered": recovered[int(np.argmax(rises_us))] if found else float("nan"),
        "steepest_us_per_s": float((np.diff(x_T) * rate_hz).max()) if n > 1 else 0.0,
        "time_of_max": float(x_T.argmax()) / max(n - 1, 1),
        "time_of_min": float(x_T.argmin()) / max(n - 1, 1),
    }


def responses(x_T: np.ndarray) -> list[tuple[int, int, int]]:
    """Skin-conductance responses of at least 0.01 µS: (onset, peak, lowest point after it), sample numbers.

    One that still rises at the end counts as far as it came. The onset is where the last 95 % of the rise begin.
    """
    from scipy.signal import find_peaks  # here, as in derived.py

    ended = np.append(x_T, x_T.min() - 1)  # the last sample can be a peak
    peaks, found = find_peaks(ended, prominence=RESPONSE_US)
    out = []
    for n, peak in enumerate(peaks):
        until = peaks[n + 1] if n + 1 < len(peaks) else len(x_T)
        base = int(found["left_bases"][n])
        if x_T[peak] - x_T[base] < RESPONSE_US:
            continue
        low_T = np.flatnonzero(x_T[base:peak] <= x_T[base] + 0.05 * (x_T[peak] - x_T[base]))
        out.append((base + int(low_T[-1]), int(peak), int(peak + x_T[peak:until].argmin())))
    return out


def ecg(x_T: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Electrocardiogram: heart rate, its trend and range; variability of the intervals, NaN below five beats."""
    return _of_beats(beats_s(x_T, rate_hz, pulse=False))


def bvp(x_T: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Blood volume pulse: heart rate as of the ECG, and how high the pulse is."""
    x_T = np.asarray(x_T, dtype=np.float64)
    third = max(1, len(x_T) // 3)
    heights = [float(np.ptp(part)) for part in (x_T[:third], x_T[-third:])]
    return {
        **_of_beats(beats_s(x_T, rate_hz, pulse=True)),
        "pulse_height": float(np.quantile(x_T, 0.95) - np.quantile(x_T, 0.05)),
        "pulse_height_change": heights[1] - heights[0],
    }


def beats_s(x_T: np.ndarray, rate_hz: float, *, pulse: bool) -> np.ndarray:
    """Moments of heart beats, in seconds from the window's start; empty where neurokit2 finds none.

    Raises InputError where it is not installed.
    """
    try:
        import neurokit2 as nk  # here: it imports pandas and matplotlib, which no other signal needs
    except ImportError as error:  # beside an exported model
        raise InputError(
            f"heart beats are found by neurokit2, which cannot be loaded ({error}): pip install neurokit2"
        ) from None
    rate = round(rate_hz)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            if pulse:
                cleaned = nk.ppg_clean(np.asarray(x_T, dtype=np.float64), sampling_rate=rate)
                return np.asarray(nk.ppg_findpeaks(cleaned, sampling_rate=rate)["PPG_Peaks"]) / rate_hz
            cleaned = nk.ecg_clean(np.asarray(x_T, dtype=np.float64), sampling_rate=rate)
            if abs(cleaned.min()) > abs(cleaned.max()):
                cleaned = -cleaned  # a lead the other way round
            return np.asarray(nk.ecg_peaks(cleaned, sampling_rate=rate)[1]["ECG_R_Peaks"]) / rate_hz
        except (ValueError, IndexError, ZeroDivisionError):  # what it raises where there is no beat
            return np.empty(0)


def _of_beats(at_s: np.ndarray) -> dict[str, float]:
    gaps_s = np.diff(at_s)
    gaps_s, middles_s = gaps_s[gaps_s > 0], ((at_s[1:] + at_s[:-1]) / 2)[gaps_s > 0]
    rates, nan = 60 / gaps_s, float("nan")
    enough = len(at_s) >= LEAST_BEATS
    return {
        "heart_rate_bpm": float(rates.mean()) if len(rates) else nan,
        "fastest_bpm": float(rates.max()) if len(rates) else nan,
        "slowest_bpm": float(rates.min()) if len(rates) else nan,
        "last_minus_first_bpm": float(rates[-1] - rates[0]) if len(rates) > 1 else nan,
        "trend_bpm_per_s": float(np.polyfit(middles_s, rates, 1)[0]) if len(rates) > 1 else nan,
        "sdnn_ms": float(1000 * gaps_s.std(ddof=1)) if enough else nan,
        "rmssd_ms": float(1000 * np.sqrt(np.mean(np.diff(gaps_s) ** 2))) if enough else nan,
        "beats": float(len(at_s)),
    }


def emg(x_T: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Surface EMG between 20 and 250 Hz: strength, its change, zero crossings, and the moments of its spectrum."""
    from scipy.signal import butter, sosfiltfilt

    x_T = np.asarray(x_T, dtype=np.float64) - np.mean(x_T)
    if rate_hz > MUCH_HZ:
        low, high = EMG_BAND_HZ[0], min(EMG_BAND_HZ[1], 0.45 * rate_hz)
        x_T = sosfiltfilt(butter(4, (low, high), "bandpass", fs=rate_hz, output="sos"), x_T)
    third = max(1, len(x_T) // 3)
    rms = float(np.sqrt(np.mean(x_T**2)))
    power_F = np.abs(np.fft.rfft(x_T * np.hanning(len(x_T)))) ** 2
    hz_F = np.fft.rfftfreq(len(x_T), 1 / rate_hz)
    share_F = power_F / max(float(power_F.sum()), 1e-30)
    mean_hz = float((share_F * hz_F).sum())
    return {
        "rms": rms,
        "mean_absolute": float(np.abs(x_T).mean()),
        "peak": float(np.abs(x_T).max()),
        "zero_crossings_per_s": float((np.diff(np.signbit(x_T)) != 0).sum() / len(x_T) * rate_hz),
        "rms_change": float(np.sqrt(np.mean(x_T[-third:] ** 2)) - np.sqrt(np.mean(x_T[:third] ** 2))),
        "rms_ratio": float(np.sqrt(np.mean(x_T[-third:] ** 2)) / max(float(np.sqrt(np.mean(x_T[:third] ** 2))), 1e-12)),
        "mean_hz": mean_hz,
        "median_hz": float(hz_F[int(np.searchsorted(np.cumsum(share_F), 0.5).clip(max=len(hz_F) - 1))]),
        "spread_hz": float(np.sqrt((share_F * (hz_F - mean_hz) ** 2).sum())),
    }


def resp(x_T: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Respiration, in the unit of the channel: depth, drift, turns. No rate: it needs several breaths."""
    x_T = _low_pass(x_T, rate_hz, 1.0)
    third = max(1, len(x_T) // 3)
    middle = x_T - x_T.mean()
    return {
        "depth": float(np.ptp(x_T)),
        "sd": float(x_T.std()),
        "end_minus_start": float(x_T[-third:].mean() - x_T[:third].mean()),
        "depth_change": float(np.ptp(x_T[-third:]) - np.ptp(x_T[:third])),
        "turns_per_s": float((np.diff(np.signbit(np.diff(x_T))) != 0).sum() / len(x_T) * rate_hz),
        "crossings_per_s": float((np.diff(np.signbit(middle)) != 0).sum() / len(x_T) * rate_hz),
        "speed": float(np.abs(np.diff(x_T)).mean() * rate_hz),
    }


def _low_pass(x_T: np.ndarray, rate_hz: float, corner_hz: float) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    x_T = np.asarray(x_T, dtype=np.float64)
    if rate_hz <= 2.5 * corner_hz or len(x_T) < 30:
        return x_T
    sos = butter(2, corner_hz, "lowpass", fs=rate_hz, output="sos")
    return sosfiltfilt(sos, x_T, padlen=min(len(x_T) - 1, round(rate_hz)))


def hr(x_T: np.ndarray, rate_hz: float) -> dict[str, float]:
    """Instantaneous heart rate in beats/min: level, spread, change."""
    third = max(1, len(x_T) // 3)
    return {
        "heart_rate_bpm": float(np.mean(x_T)),
        "fastest_bpm": float(np.max(x_T)),
        "slowest_bpm": float(np.min(x_T)),
        "sd_bpm": float(np.std(x_T)),
        "last_minus_first_bpm": float(np.mean(x_T[-third:]) - np.mean(x_T[:third])),
        "trend_bpm_per_s": float(np.polyfit(np.arange(len(x_T)) / rate_hz, x_T, 1)[0]) if len(x_T) > 1 else 0.0,
    }


FEATURES: dict[str, Callable[[np.ndarray, float], dict[str, float]]] = {
    "eda": eda,
    "ecg": ecg,
    "emg": emg,
    "resp": resp,
    "bvp": bvp,
    "hr": hr,
}
"""Word of a signal -> its features. A channel is of the word that its name begins with (`emg_trapezius`, `ecg@128`)."""
WIDTHS = {"eda": 13, "ecg": 8, "emg": 9, "resp": 7, "bvp": 10, "hr": 6}
"""Word of a signal -> how many features it has."""


def features(x_T: np.ndarray, rate_hz: float, *, channel: str) -> dict[str, float]:
    """The features of a channel; of one that is none of these words, nothing."""
    word = word_of(channel)
    return FEATURES[word](x_T, rate_hz) if word else {}


def word_of(channel: str) -> str:
    """The word of FEATURES that a channel is of; empty if of none."""
    return next((word for word in FEATURES if channel == word or channel.startswith((f"{word}_", f"{word}@"))), "")
