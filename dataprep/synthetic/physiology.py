"""Made-up EDA, ECG and EMG of one trial, 5.5 s at 512 Hz, with shapes as published for heat pain.

`level` is the pain that a signal shows, 0 to 1. It is the trial's class where the signal carries the label and a draw
that knows nothing of the class where it does not, so one channel looks the same in every kind of data set.
EDA: tonic level and drift, the tail of an earlier response, spontaneous responses, and under pain a skin-conductance
response that begins 1 to 2.4 s into the window, so that the maximum falls late (Boucsein 2012, ch. 2.2: latency 1–3 s,
rise 1–3 s, half-recovery 2–10 s). ECG: P, Q, R, S, T as Gaussian bumps around each beat (as in McSharry et al. 2003),
with breathing arrhythmia; under pain the heart speeds up by 8 to 15 beats/min.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

RATE_HZ = 512.0
N_ROWS = 2816
TIME_S = np.arange(N_ROWS) / RATE_HZ
SPONTANEOUS_PER_S = 0.035  # rate of responses that have nothing to do with the stimulus
# wave: (centre as a share of the beat's period around R, width in s, height in mV)
WAVES = {"P": (-0.19, 0.022, 0.12), "Q": (-0.035, 0.009, -0.12), "R": (0.0, 0.011, 1.0), "S": (0.035, 0.010, -0.22)}
T_WAVE = (0.30, 0.045, 0.28)


@dataclass(frozen=True)
class Body:
    """The properties that a subject has in all trials. `response_us` is the height of a response to severe pain in µS."""

    tonic_us: float
    response_us: float
    rise_s: float
    recovery_s: float
    heart_rate_bpm: float
    acceleration_bpm: float
    ecg_mv: float
    muscle_uv: float


def draw_body(rng: np.random.Generator, *, responds: bool) -> Body:
    """A subject. The skin of a non-responder hardly reacts to the stimulus."""
    return Body(
        tonic_us=float(rng.lognormal(1.5, 0.5)),
        response_us=float(rng.uniform(0.5, 1.6) if responds else rng.uniform(0.0, 0.04)),
        rise_s=float(rng.uniform(0.6, 0.9)),
        recovery_s=float(rng.uniform(2.0, 5.0)),
        heart_rate_bpm=float(np.clip(rng.normal(71, 8), 55, 95)),
        acceleration_bpm=float(rng.uniform(8, 15)),
        ecg_mv=float(rng.uniform(0.6, 1.4)),
        muscle_uv=float(rng.lognormal(1.0, 0.4)),
    )


def eda(body: Body, rng: np.random.Generator, *, level: float) -> np.ndarray:
    """Skin conductance in µS, (2816,) float64."""
    x = body.tonic_us * rng.uniform(0.85, 1.15) + rng.normal(-0.02, 0.015) * TIME_S
    x = x + _response(-rng.uniform(1.5, 8.0), rng.exponential(0.3), body)  # the tail of an earlier response
    for at_s in rng.uniform(-2.0, 5.0, rng.poisson(7.0 * SPONTANEOUS_PER_S)):
        x = x + _response(at_s, rng.exponential(0.12), body)
    height_us = body.response_us * level * rng.lognormal(0.0, 0.35)
    x = x + _response(rng.uniform(1.0, 2.4), height_us, body)
    wander = np.interp(TIME_S, np.linspace(0, 5.5, 12), rng.normal(0, 0.004, 12))
    return np.maximum(x + wander, 0.05) + rng.normal(0, 0.0005, N_ROWS)


def _response(onset_s: float, height_us: float, body: Body) -> np.ndarray:
    """One skin-conductance response: a smooth rise and a slow recovery, `height_us` at its peak."""
    s = np.maximum(TIME_S - onset_s, 0.0)
    grid = np.linspace(0, 8, 400)

    def shape(t: np.ndarray) -> np.ndarray:
        return (1 - np.exp(-t / body.rise_s)) ** 2 * np.exp(-t / body.recovery_s)

    return height_us * shape(s) / shape(grid).max()


def ecg(body: Body, rng: np.random.Generator, *, level: float) -> np.ndarray:
    """Electrocardiogram in mV, (2816,) float64."""
    rate_bpm = body.heart_rate_bpm + rng.normal(0, 3)
    breath_hz, phase = rng.uniform(0.2, 0.3), rng.uniform(0, 2 * np.pi)
    gain_bpm = level * body.acceleration_bpm * rng.uniform(0.8, 1.2)
    beats_s = [-rng.uniform(0.2, 1.2)]
    while beats_s[-1] < TIME_S[-1] + 1.0:
        t = beats_s[-1]
        rise = gain_bpm / (1 + np.exp(-(t - 1.2) / 0.4))
        bpm = rate_bpm + rise + 2.5 * np.sin(2 * np.pi * breath_hz * t + phase) + rng.normal(0, 0.8)
        beats_s.append(t + 60 / bpm)
    x = 0.06 * np.sin(2 * np.pi * breath_hz * TIME_S + phase + 1.0) + rng.normal(0, 0.012, N_ROWS)
    for at_s, next_s in pairwise(beats_s):
        stretch = np.sqrt(next_s - at_s)  # intervals shorten with the root of the period (Bazett)
        for shift, width_s, height_mv in (*WAVES.values(), T_WAVE):
            x += height_mv * body.ecg_mv * np.exp(-0.5 * ((TIME_S - at_s - shift * stretch) / width_s) ** 2)
    return x


def emg(body: Body, rng: np.random.Generator, *, level: float) -> np.ndarray:
    """Surface EMG in µV, (2816,) float64: noise whose strength wavers and rises a little under pain."""
    waver = np.exp(np.interp(TIME_S, np.linspace(0, 5.5, 8), rng.normal(0, 0.35, 8)))
    tension = 1 + level * rng.uniform(0.2, 1.0) / (1 + np.exp(-(TIME_S - 2.0) / 0.3))
    noise = np.convolve(rng.normal(0, 1, N_ROWS + 2), [0.5, 0.0, -0.5], mode="valid")
    return body.muscle_uv * waver * tension * noise
