"""Domain features at a channel's own rate, on made-up signals whose truth is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dataprep.recordings import domain
from dataprep.recordings.kind import Facts, Samples
from dataprep.records import InputError
from dataprep.signals import native_features as native
from dataprep.synthetic import physiology as made_up

RATE_HZ = 512.0
T_S = np.arange(2816) / RATE_HZ


def one(word: str, *, level: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    body = made_up.draw_body(np.random.default_rng([7, seed]), responds=True)
    return native.features(getattr(made_up, word)(body, rng, level=level), RATE_HZ, channel=word)


def beats(at_s: np.ndarray) -> np.ndarray:
    """An ECG whose R waves are at these moments."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.01, len(T_S))
    for at in at_s:
        x += np.exp(-0.5 * ((T_S - at) / 0.011) ** 2) + 0.25 * np.exp(-0.5 * ((T_S - at - 0.3) / 0.045) ** 2)
    return x


def test_a_response_of_the_skin_is_measured() -> None:
    rise = np.where(T_S < 2, 0, np.where(T_S < 3, T_S - 2, np.maximum(1 - 0.4 * (T_S - 3), 0)))
    found = native.eda(5 + 0.5 * rise, RATE_HZ)
    assert found["responses"] == 1
    assert found["amplitude_us"] == pytest.approx(0.5, abs=0.03)
    assert found["rise_s"] == pytest.approx(1.0, abs=0.15)
    assert found["recovered"] == pytest.approx(1.0, abs=0.1)
    assert found["time_of_max"] == pytest.approx(3 / 5.5, abs=0.02)
    still = native.eda(np.full(2816, 4.0) + np.random.default_rng(0).normal(0, 1e-4, 2816), RATE_HZ)
    assert still["responses"] == 0
    assert np.isnan(still["rise_s"])


@pytest.mark.parametrize("sign", [1, -1])
def test_beats_are_found_on_either_lead(sign: int) -> None:
    at_s = np.arange(0.4, 5.4, 0.8)
    found = native.ecg(sign * beats(at_s), RATE_HZ)
    assert found["beats"] == len(at_s)
    assert found["heart_rate_bpm"] == pytest.approx(75, abs=0.5)
    assert found["sdnn_ms"] < 5
    speeding = native.ecg(beats(np.cumsum([0.4, 1.0, 0.9, 0.8, 0.7, 0.6])), RATE_HZ)
    assert speeding["trend_bpm_per_s"] > 5
    assert speeding["last_minus_first_bpm"] == pytest.approx(40, abs=3)


def test_variability_needs_five_beats_and_rate_two() -> None:
    four = native.ecg(beats(np.arange(0.5, 5.4, 1.4)), RATE_HZ)
    assert four["beats"] == 4
    assert np.isfinite(four["heart_rate_bpm"])
    assert np.isnan(four["sdnn_ms"])
    nothing = native.ecg(np.random.default_rng(1).normal(0, 1e-6, 2816) + 0.1, RATE_HZ)
    assert set(nothing) == set(four)


def test_the_spectrum_of_a_muscle_is_measured() -> None:
    tone = native.emg(np.sin(2 * np.pi * 80 * T_S), RATE_HZ)
    assert tone["mean_hz"] == pytest.approx(80, abs=1)
    assert tone["median_hz"] == pytest.approx(80, abs=1)
    assert tone["rms"] == pytest.approx(np.sqrt(0.5), rel=0.02)
    assert tone["zero_crossings_per_s"] == pytest.approx(160, rel=0.02)
    assert native.emg(np.sin(2 * np.pi * 5 * T_S), RATE_HZ)["rms"] < 0.02  # movement is none of the muscle
    louder = native.emg(np.sin(2 * np.pi * 80 * T_S) * (1 + (T_S > 2.7)), RATE_HZ)
    assert louder["rms_ratio"] == pytest.approx(2, rel=0.05)


def test_the_pulse_and_the_breath_are_measured() -> None:
    pulse = native.bvp(np.exp(3 * np.cos(2 * np.pi * 1.2 * T_S)), RATE_HZ)
    assert pulse["heart_rate_bpm"] == pytest.approx(72, abs=3)
    breath = native.resp(np.sin(2 * np.pi * 0.4 * T_S), RATE_HZ)
    assert breath["depth"] == pytest.approx(2, abs=0.1)
    assert breath["turns_per_s"] == pytest.approx(0.8, abs=0.2)


def test_pain_shows_where_the_made_up_bodies_show_it() -> None:
    names = {"eda": "amplitude_us", "ecg": "trend_bpm_per_s", "emg": "rms_ratio"}
    for word, name in names.items():
        pain, none = ([one(word, level=level, seed=s)[name] for s in range(8)] for level in (1.0, 0.0))
        assert np.nanmedian(pain) > np.nanmedian(none), word
    assert native.features(np.ones(100), RATE_HZ, channel="temperature") == {}
    assert native.features(np.sin(T_S * 900), RATE_HZ, channel="emg_trapezius")["rms"] > 0


def test_features_are_as_many_as_said() -> None:
    wave = np.sin(T_S * 7) + np.random.default_rng(0).normal(0, 0.1, len(T_S))
    assert {word: len(native.features(wave, RATE_HZ, channel=word)) for word in native.FEATURES} == native.WIDTHS


def test_the_recording_kind_has_the_features_of_every_window_that_begins_at_a_whole_second() -> None:
    body = made_up.draw_body(np.random.default_rng(0), responds=True)
    x = made_up.eda(body, np.random.default_rng(1), level=1.0)
    samples = Samples(values=x, rate_hz=RATE_HZ, channel="eda", clock_hz=25.0, n_steps=138)
    made = domain.of_channel(samples)
    assert made.shape == domain.RECORDING.shape(Facts(clock_hz=25.0, n_steps=138, rate_hz=RATE_HZ))
    assert np.flatnonzero(~np.isnan(made).all(1)).tolist() == [0, 25, 50, 75]
    x = x[: round(137 / 25 * RATE_HZ) + 1]  # up to the last step
    for step, first in ((0, 0), (50, 1024)):
        np.testing.assert_allclose(made[step, :13], list(native.eda(x[first:], RATE_HZ).values()), rtol=1e-6)


def test_without_what_finds_heart_beats_it_is_told_what_to_install(monkeypatch):
    """As beside an exported model, whose extra `predict` is small."""
    monkeypatch.setitem(sys.modules, "neurokit2", None)
    with pytest.raises(InputError, match=r"neurokit2, which cannot be loaded .*: pip install neurokit2"):
        native.beats_s(np.zeros(512), 512.0, pulse=False)
