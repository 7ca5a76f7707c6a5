"""Channels made of recorded ones, on made-up signals whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dataprep.datasets.synthetic import DATASET
from dataprep.records import RecordingError, Trial
from dataprep.signals import derived
from dataprep.signals.files import prepare_signals
from dataprep.signals.resampling import to_clock

RATE_HZ, CLOCK = 512.0, {"clock_hz": 25.0, "n_steps": 138}
T_S = np.arange(2816) / RATE_HZ


def beating(at_s: np.ndarray) -> np.ndarray:
    """An ECG whose R waves are at these moments."""
    x = np.random.default_rng(0).normal(0, 0.01, len(T_S))
    for at in at_s:
        x += np.exp(-0.5 * ((T_S - at) / 0.011) ** 2) + 0.25 * np.exp(-0.5 * ((T_S - at - 0.3) / 0.045) ** 2)
    return x


def rate(x: np.ndarray) -> np.ndarray:
    values, rate_hz = derived.made("hr", "ecg", x, RATE_HZ, **CLOCK)
    assert (rate_hz, values.shape) == (25.0, (138,))
    return values


@pytest.mark.parametrize("sign", [1, -1])
def test_the_heart_rate_is_that_of_the_beats_on_either_lead(sign: int) -> None:
    steady = rate(sign * beating(np.arange(0.3, 5.4, 0.8)))
    np.testing.assert_allclose(steady, 75, atol=0.7)
    speeding = rate(sign * beating(np.cumsum([0.3, 1.0, 1.0, 0.8, 0.8, 0.7, 0.7])))
    assert abs(speeding[10] - 60) < 2
    assert abs(speeding[-1] - 60 / 0.7) < 2


def test_a_missed_beat_and_one_too_many_do_not_show() -> None:
    at_s = np.arange(0.3, 5.4, 0.8)
    for wrong in (np.delete(at_s, 3), np.sort([*at_s, at_s[3] + 0.37])):
        np.testing.assert_allclose(rate(beating(wrong)), 75, atol=1.5)


def test_too_few_beats_are_a_fault_of_the_recording_that_others_survive() -> None:
    still = 0.01 * T_S
    with pytest.raises(RecordingError, match=r"heart beats in 5\.5 s.*expected 2 or more"):
        rate(still)
    reader = replace(
        derived.with_channels(DATASET, ["eda", "hr"]), read_signals=lambda t: {"eda": (T_S, 512.0), "ecg": (still, 512.0)}
    )
    trial = Trial("a", "p", 0, "BL1", signals="a_bio.csv")
    _, ids, (defect,) = prepare_signals([trial], reader)
    assert (ids, defect.channels) == (("a",), ("hr",))
    assert "'hr', made of 'ecg'" in defect.reason


@pytest.mark.parametrize("seconds", [3.5, 5.5])
def test_the_phasic_part_is_stable_in_short_windows(seconds: float) -> None:
    """A response stays with its height, nothing swings below it, and a shorter window says the same."""
    response = np.where(T_S > 1, 1 - np.exp(-np.maximum(T_S - 1, 0) / 0.4), 0)
    whole, _ = derived.phasic(8 + response, RATE_HZ, "eda", 25.0)
    n = round(seconds * RATE_HZ)
    part, _ = derived.phasic((8 + response)[:n], RATE_HZ, "eda", 25.0)
    np.testing.assert_allclose(part, whole[:n], atol=1e-12)
    assert np.abs(part[T_S[:n] < 1]).max() < 1e-9
    assert 0.6 < part.max() < 1
    assert part.min() > -1e-9
    drift, _ = derived.phasic(8 + 0.05 * T_S[:n], RATE_HZ, "eda", 25.0)
    assert np.abs(drift).max() < 0.7 * 0.05 * seconds + 0.01


def test_a_channel_at_another_rate_is_what_the_clock_of_that_rate_would_give() -> None:
    x = beating(np.arange(0.3, 5.4, 0.8))
    values, rate_hz = derived.made("ecg@128", "ecg", x, RATE_HZ, **CLOCK)
    assert rate_hz == 128
    np.testing.assert_array_equal(values, to_clock(x, rate_hz=RATE_HZ, clock_hz=128, n_steps=703))
    assert values.max() > 1.5 * to_clock(x, rate_hz=RATE_HZ, clock_hz=25, n_steps=138).max()


def test_the_envelope_follows_the_strength_of_a_muscle() -> None:
    """Twice as strong in the second half, the envelope on the clock doubles there; the drift of the electrode does not show."""
    made = np.random.default_rng(0)
    strength = np.where(T_S < 2.75, 10.0, 20.0)
    emg = strength * np.convolve(made.normal(size=len(T_S)), [1, -1], "same") + 300 * np.sin(2 * np.pi * 0.3 * T_S)
    values, rate_hz = derived.made("emg_envelope", "emg_trapezius", emg, RATE_HZ, **CLOCK)
    at_clock = to_clock(values, rate_hz=rate_hz, **CLOCK)
    calm, active = np.median(at_clock[5:60]), np.median(at_clock[75:133])
    assert active / calm == pytest.approx(2, rel=0.15)
    assert at_clock.max() < 2 * active
    with pytest.raises(RecordingError, match="found an EMG of 60 Hz, expected 100 Hz or more"):
        derived.made("emg_envelope", "emg", emg[:331], 60.0, **CLOCK)
