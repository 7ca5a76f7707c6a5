"""Domain features against signals whose answer is known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import find_peaks

from dataprep.signals.domain_features import ecg_features, eda_features, face_features, heart_beats_s
from dataprep.signals.resampling import to_clock
from dataprep.synthetic import physiology as made_up

RATE_HZ, STEPS = 25.0, 138
BESIDE = Path(__file__).resolve().parents[3].parent / "shared"
SHARED = Path(os.environ.get("PAIN_GRID_SHARED", BESIDE)) / "data" / "signals"
TIME_S = np.arange(STEPS) / RATE_HZ


def wave(at_s: float, height: float) -> np.ndarray:
    s = np.maximum(TIME_S - at_s, 0)
    shape = (1 - np.exp(-s / 0.4)) ** 2 * np.exp(-s / 0.8)
    return height * shape / shape.max()


def test_responses_of_the_skin_are_counted_and_measured() -> None:
    found = eda_features(3.0 + wave(0.3, 0.4) + wave(3.0, 0.8), rate_hz=RATE_HZ)
    assert found["responses"] == 2
    assert found["response_max_us"] == pytest.approx(0.8, abs=0.1)
    assert found["time_of_max"] > 0.5
    flat = eda_features(3.0 - 0.05 * TIME_S, rate_hz=RATE_HZ)
    assert (flat["responses"], flat["response_sum_us"]) == (0, 0)
    assert flat["tonic_slope_us_per_s"] == pytest.approx(-0.05, abs=0.001)
    rising = eda_features(2.0 + 0.3 * TIME_S, rate_hz=RATE_HZ)  # still rising at the end: one response, as far as it came
    assert rising["responses"] == 1
    assert rising["response_max_us"] == pytest.approx(np.ptp(0.3 * TIME_S))


@pytest.mark.parametrize("bpm", [50.0, 72.0, 110.0, 150.0])
@pytest.mark.parametrize("polarity", [1.0, -1.0])
def test_heart_beats_are_found_between_the_samples(bpm: float, polarity: float) -> None:
    """A made-up ECG at 512 Hz brought to 25 Hz: every interval within 15 ms, the rate within 1 beat/min."""
    rng = np.random.default_rng(int(bpm))
    beats_s = np.arange(0.3, 5.3, 60 / bpm)
    x = rng.normal(0, 0.01, made_up.N_ROWS)
    for at_s in beats_s:
        for shift, width_s, height_mv in (*made_up.WAVES.values(), made_up.T_WAVE):
            x += height_mv * np.exp(-0.5 * ((made_up.TIME_S - at_s - shift * np.sqrt(60 / bpm)) / width_s) ** 2)
    x_T = to_clock(polarity * x, rate_hz=made_up.RATE_HZ, clock_hz=RATE_HZ, n_steps=STEPS)
    found_s = heart_beats_s(x_T, rate_hz=RATE_HZ)
    assert len(found_s) == len(beats_s)
    assert np.abs(np.diff(found_s) - np.diff(beats_s)).max() < 0.015
    if polarity > 0:
        assert np.abs(found_s - beats_s).max() < 0.01
    features = ecg_features(x_T, rate_hz=RATE_HZ)
    assert features["heart_rate_bpm"] == pytest.approx(bpm, abs=1)
    assert features["rmssd_ms"] < 15


def test_without_beats_there_is_no_heart_rate() -> None:
    found = ecg_features(np.zeros(STEPS), rate_hz=RATE_HZ)
    assert found["beats"] == 0
    assert np.isnan(found["heart_rate_bpm"])
    assert np.isnan(found["rmssd_ms"])


def test_motion_of_the_head_is_told_from_motion_in_the_face() -> None:
    still = np.tile(np.array([100, 80, 200, 210, 130, 120, 170, 120, 150, 150, 135, 180, 165, 180, 1.0]), (STEPS, 1))
    assert all(abs(v) < 1e-9 for v in face_features(still, rate_hz=RATE_HZ).values())
    moved = still.copy()
    moved[:, [0, 2, 4, 6, 8, 10, 12]] += 20 * np.sin(TIME_S)[:, None]
    head = face_features(moved, rate_hz=RATE_HZ)
    assert head["head_x_sd"] > 0.05
    assert head["mouth_width_sd"] < 1e-9
    grimace = still.copy()
    grimace[STEPS // 2 :, 10] -= 10
    face = face_features(grimace, rate_hz=RATE_HZ)
    assert face["head_x_sd"] < 1e-9
    assert face["mouth_width_change"] == pytest.approx(0.1, abs=0.01)
    twice = face_features(2 * grimace, rate_hz=RATE_HZ)  # nearer to the camera: the same motion
    assert twice["mouth_width_change"] == pytest.approx(face["mouth_width_change"])


@pytest.mark.skipif(not (SHARED / "neurokit").is_dir(), reason="the recordings beside the project are absent")
def test_every_beat_of_a_real_electrocardiogram() -> None:
    """Beats seen on the 25 Hz clock in windows of 5.5 s against the steepest points of the recording at 1000 Hz."""
    x = np.loadtxt(SHARED / "neurokit" / "ecg_1000hz.csv", delimiter=",", skiprows=1, usecols=0)
    steep = np.convolve(np.abs(np.gradient(x)), np.ones(80) / 80, mode="same")
    true_s = find_peaks(steep, height=0.4 * np.quantile(steep, 0.995), distance=400)[0] / 1000
    errors_s, n_found, n_true = [], 0, 0
    for start in range(0, len(x) - 6000, 5500):
        x_T = to_clock(x[start : start + 5510], rate_hz=1000.0, clock_hz=RATE_HZ, n_steps=STEPS)
        found_s = heart_beats_s(x_T, rate_hz=RATE_HZ) + start / 1000
        mine_s = true_s[(true_s > start / 1000 + 0.1) & (true_s < start / 1000 + 5.38)]
        n_found, n_true = n_found + len(found_s), n_true + len(mine_s)
        errors_s += [np.abs(found_s - t).min(initial=9) for t in mine_s]
    assert n_true >= 30
    assert abs(n_found - n_true) <= 3  # one at the edge of a window may count in one and not in the other
    assert max(errors_s) < 0.04
