"""Domain features of one trial, such as heart rate and skin-conductance responses, from signals and face tracks.

Each function sees one trial, fits nothing and gives {name: value}; NaN where a value is not defined (no two heart beats).
After Werner et al. 2014 ("Automatic pain recognition from video and biomedical signals", ICPR), who use the like of them.
Signals come at the clock of the frames (25 Hz): enough for skin conductance; heart beats are placed between samples by
a cubic spline. Seconds count from the start of the window that is used.
"""

from __future__ import annotations

import numpy as np

VERSION = 1  # raise when the same arrays give other values

RESPONSE_US = 0.01  # least rise that counts as a skin-conductance response (Boucsein 2012, ch. 2.3)
REFRACTORY_S = 0.33  # no two heart beats are nearer: 180 beats/min
PEAK_SHARE = 0.45  # of the usual beat's prominence: below it is a T wave or noise
FINER = 8  # places between two samples where a beat may be


def eda_features(x_T: np.ndarray, *, rate_hz: float) -> dict[str, float]:
    """Skin conductance in µS: level, tonic slope, number and height of responses, when the maximum falls."""
    x_T = np.asarray(x_T, dtype=np.float64)
    n = len(x_T)
    third = max(1, n // 3)
    rises = _rises(x_T)
    steps = np.diff(x_T) * rate_hz if n > 1 else np.zeros(1)
    return {
        "level_us": float(x_T.mean()),
        "sd_us": float(x_T.std()),
        "range_us": float(np.ptp(x_T)),
        "end_minus_start_us": float(x_T[-third:].mean() - x_T[:third].mean()),
        # A response lifts the signal for seconds but seldom all of a third: the lowest values tell the tonic level.
        "tonic_slope_us_per_s": float(x_T[-third:].min() - x_T[:third].min()) / max((n - third) / rate_hz, 1 / rate_hz),
        "responses": float(len(rises)),
        "response_sum_us": float(sum(rises)),
        "response_max_us": float(max(rises, default=0.0)),
        "steepest_us_per_s": float(steps.max()),
        "rising_share": float((steps > 0).mean()),
        "time_of_max": float(x_T.argmax()) / max(n - 1, 1),
        "time_of_min": float(x_T.argmin()) / max(n - 1, 1),
    }


def any_features(x_T: np.ndarray, *, rate_hz: float) -> dict[str, float]:
    """A signal of which nothing is known, in its own unit: level, spread, course, turns, speed, when its ends are reached."""
    x_T = np.asarray(x_T, dtype=np.float64)
    n = len(x_T)
    third, middle = max(1, n // 3), x_T - x_T.mean()
    steps = np.diff(x_T) if n > 1 else np.zeros(1)
    sd = float(x_T.std())
    return {
        "level": float(x_T.mean()),
        "sd": sd,
        "range": float(np.ptp(x_T)),
        "lowest": float(x_T.min()),
        "highest": float(x_T.max()),
        "skewness": float((middle**3).mean() / sd**3) if sd > 1e-12 else 0.0,
        "end_minus_start": float(x_T[-third:].mean() - x_T[:third].mean()),
        "sd_change": float(x_T[-third:].std() - x_T[:third].std()),
        "speed_per_s": float(np.abs(steps).mean() * rate_hz),
        "turns_per_s": float((np.diff(np.signbit(steps)) != 0).sum() / n * rate_hz),
        "crossings_per_s": float((np.diff(np.signbit(middle)) != 0).sum() / n * rate_hz),
        "time_of_max": float(x_T.argmax()) / max(n - 1, 1),
        "time_of_min": float(x_T.argmin()) / max(n - 1, 1),
    }


def _rises(x_T: np.ndarray) -> list[float]:
    """Heights from trough to peak of all responses; one that still rises at the end counts as far as it came."""
    rises, low, high = [], x_T[0], x_T[0]
    for value in x_T[1:]:
        if value > high:
            high = value
        elif value < high - RESPONSE_US / 2:  # past a peak
            if high - low >= RESPONSE_US:
                rises.append(float(high - low))
            low = high = value
        if value < low:
            low = high = value
    if high - low >= RESPONSE_US:
        rises.append(float(high - low))
    return rises


def heart_beats_s(x_T: np.ndarray, *, rate_hz: float) -> np.ndarray:
    """Moments of the heart beats of an electrocardiogram, of either polarity, in seconds from its start.

    What is sharpest is the beat: on a slow clock the R wave is hardly higher than the T wave, but bends much more.
    """
    x_T = np.asarray(x_T, dtype=np.float64)
    from scipy.interpolate import CubicSpline  # here, as in derived.py
    from scipy.signal import find_peaks

    if len(x_T) < 5 or not np.ptp(x_T) > 0:
        return np.empty(0)
    padded = np.pad(x_T, 1, mode="edge")
    bend_T = 2 * padded[1:-1] - padded[2:] - padded[:-2]
    bend_T[[0, -1]] = 0.0
    at = np.arange((len(bend_T) - 1) * FINER + 1) / FINER
    fine = CubicSpline(np.arange(len(bend_T)), bend_T)(at)
    if -np.quantile(fine, 0.01) > 1.25 * np.quantile(fine, 0.99):
        fine = -fine
    peaks, found = find_peaks(fine, prominence=1e-12, distance=max(1, round(REFRACTORY_S * rate_hz * FINER)))
    usual = np.quantile(found["prominences"], 0.9) if len(peaks) else 0.0
    return at[peaks[found["prominences"] >= PEAK_SHARE * usual]] / rate_hz


def ecg_features(x_T: np.ndarray, *, rate_hz: float) -> dict[str, float]:
    """Electrocardiogram: heart rate, its trend, variability of the intervals between beats."""
    beats_s = heart_beats_s(x_T, rate_hz=rate_hz)
    rr_s = np.diff(beats_s)
    rates = 60 / rr_s
    middle_s = (beats_s[1:] + beats_s[:-1]) / 2
    enough = len(rr_s) >= 2
    trend = np.polyfit(middle_s, rates, 1)[0] if enough else np.nan
    return {
        "heart_rate_bpm": float(rates.mean()) if len(rr_s) else float("nan"),
        "fastest_bpm": float(rates.max()) if len(rr_s) else float("nan"),
        "slowest_bpm": float(rates.min()) if len(rr_s) else float("nan"),
        "last_minus_first_bpm": float(rates[-1] - rates[0]) if enough else float("nan"),
        "trend_bpm_per_s": float(trend),
        "sdnn_ms": float(1000 * rr_s.std(ddof=1)) if enough else float("nan"),
        "rmssd_ms": float(1000 * np.sqrt(np.mean(np.diff(rr_s) ** 2))) if enough else float("nan"),
        "beats": float(len(beats_s)),
    }


def face_features(track_TK: np.ndarray, *, rate_hz: float) -> dict[str, float]:
    """Motion of the head (box) and in the face (landmarks relative to the box); lengths in widths of the box.

    The K = 15 columns are x0, y0, x1, y1 of the box and (x, y) of eyes, nose and corners of the mouth, in pixels, and the score.
    """
    track_TK = np.asarray(track_TK, dtype=np.float64)
    corner_T2, size_T2 = track_TK[:, :2], (track_TK[:, 2:4] - track_TK[:, :2]).clip(1.0)
    width = size_T2[:, 0].mean()
    marks_T52 = (track_TK[:, 4:14].reshape(-1, 5, 2) - corner_T2[:, None]) / size_T2[:, None]
    eyes_T2, mouth_T2 = marks_T52[:, :2].mean(1), marks_T52[:, 3:].mean(1)
    courses = {
        "head_x": (corner_T2[:, 0] + size_T2[:, 0] / 2) / width,
        "head_y": (corner_T2[:, 1] + size_T2[:, 1] / 2) / width,
        "head_size": size_T2.mean(1) / width,
        "head_shape": size_T2[:, 1] / size_T2[:, 0],
        "tilt": np.arctan2(*(marks_T52[:, 1] - marks_T52[:, 0])[:, ::-1].T),
        "eye_distance": np.linalg.norm(marks_T52[:, 1] - marks_T52[:, 0], axis=-1),
        "mouth_width": np.linalg.norm(marks_T52[:, 4] - marks_T52[:, 3], axis=-1),
        "eyes_to_mouth": np.linalg.norm(mouth_T2 - eyes_T2, axis=-1),
        "nose_to_mouth": mouth_T2[:, 1] - marks_T52[:, 2, 1],
    }
    third = max(1, len(track_TK) // 3)
    out: dict[str, float] = {}
    for name, x_T in courses.items():
        out[f"{name}_sd"] = float(x_T.std())
        out[f"{name}_change"] = float(x_T[-third:].mean() - x_T[:third].mean())
        out[f"{name}_speed"] = float(np.abs(np.diff(x_T)).mean() * rate_hz) if len(x_T) > 1 else 0.0
    return out
