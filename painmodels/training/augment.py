"""More training windows, made of those of the training side: warps, noise, mixtures, and draws of a generative model.

`made(x_NTC, labels, settings, …)` sees training windows alone, as the network gets them, and gives windows beside them. It is a
pure function of its arguments: a fit that sees its result, packed with others or alone, resumed or not, gives equal numbers.

time-warp, magnitude-warp, jitter   Um et al. 2017, https://doi.org/10.1145/3136755.3136817: smooth random curves bend the clock
                                    or scale the values; white noise is added
mix-up                              Zhang et al. 2018, https://arxiv.org/abs/1710.09412: weighted means of two windows. The label
                                    is drawn from the two with the same weights (a mean where labels are of a float type): the
                                    cross-entropy is linear in the label, so in the mean this is the published loss
vae                                 draws of a conditional variational auto-encoder (painmodels/training/generative.py)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dataprep.records import InputError
from painmodels.training.normalise import BY_TRIAL, normalised

VERSION = 2  # raise when the same settings come to give other windows


@dataclass(frozen=True, kw_only=True)
class Augment:
    """[augment] of an experiment. `kinds`: names of KINDS, none: no augmentation; `copies`: windows of each kind per window.

    `time_sd`, `magnitude_sd`: SD of the curves around 1, drawn at `knots` points; `jitter_sd`: of the noise, in units of the
    window's own SD; `mix_alpha`: both parameters of the beta distribution of the weights; `latent`, `hidden`, `epochs`, `lr` and
    `beta`, the weight of the divergence: of the auto-encoder.
    """

    kinds: tuple[str, ...] = ()
    copies: int = 1
    time_sd: float = 0.2
    magnitude_sd: float = 0.2
    knots: int = 4
    jitter_sd: float = 0.05
    mix_alpha: float = 0.4
    latent: int = 8
    hidden: int = 64
    epochs: int = 150
    lr: float = 2e-3
    beta: float = 1.0

    def __post_init__(self) -> None:
        wrong = [kind for kind in self.kinds if kind not in KINDS]
        if wrong:
            raise InputError(f"kinds: found {wrong[0]!r}, expected some of {', '.join(KINDS)}")
        numbers = (self.copies, self.knots, self.mix_alpha, self.latent, self.hidden, self.epochs, self.lr)
        if any(number <= 0 for number in numbers) or min(self.time_sd, self.magnitude_sd, self.jitter_sd, self.beta) < 0:
            raise InputError(f"found {self}, expected numbers above 0 (SDs and beta: 0 or more)")


Windows = tuple[np.ndarray, np.ndarray]
"""Windows (M, T, C) and their labels (M,)."""
Kind = Callable[[np.ndarray, np.ndarray, Augment, np.random.Generator], Windows]


def curves(shape: tuple[int, int], sd: float, knots: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random curves around 1, (N, T): cubic splines through normal draws at `knots` + 2 points."""
    from scipy.interpolate import CubicSpline  # here: few experiments augment

    n, n_steps = shape
    at = np.linspace(0, n_steps - 1, knots + 2)
    return CubicSpline(at, rng.normal(1.0, sd, (n, knots + 2)), axis=1)(np.arange(n_steps))


def time_warp(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, rng: np.random.Generator) -> Windows:
    """The same window with a clock that runs faster and slower; it begins and ends where the window does."""
    n, n_steps, n_channels = x_NTC.shape
    speed_NT = np.maximum(curves((n, n_steps), settings.time_sd, settings.knots, rng), 0.1)
    clock_NT = np.cumsum(speed_NT, axis=1) - speed_NT[:, :1]
    clock_NT *= (n_steps - 1) / clock_NT[:, -1:]
    steps_T, out = np.arange(n_steps), np.empty_like(x_NTC)
    for i in range(n):
        for c in range(n_channels):  # all signals of a person share one clock
            out[i, :, c] = np.interp(clock_NT[i], steps_T, x_NTC[i, :, c])
    return out, labels


def magnitude_warp(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, rng: np.random.Generator) -> Windows:
    """Values times a smooth curve, another for each channel."""
    n, n_steps, n_channels = x_NTC.shape
    factors = [curves((n, n_steps), settings.magnitude_sd, settings.knots, rng) for _ in range(n_channels)]
    return (x_NTC * np.stack(factors, axis=-1)).astype(x_NTC.dtype), labels


def jitter(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, rng: np.random.Generator) -> Windows:
    """White noise on top."""
    sd_N1C = settings.jitter_sd * x_NTC.std(1, keepdims=True)
    return (x_NTC + rng.normal(0, 1, x_NTC.shape) * sd_N1C).astype(x_NTC.dtype), labels


def mix_up(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, rng: np.random.Generator) -> Windows:
    """Each window mixed with another one of the training side."""
    n = len(x_NTC)
    other_N, weight_N = rng.permutation(n), rng.beta(settings.mix_alpha, settings.mix_alpha, n)
    w_N11 = weight_N[:, None, None]
    mixed = (w_N11 * x_NTC + (1 - w_N11) * x_NTC[other_N]).astype(x_NTC.dtype)
    if np.issubdtype(labels.dtype, np.floating):
        return mixed, (weight_N * labels + (1 - weight_N) * labels[other_N]).astype(labels.dtype)
    return mixed, np.where(rng.random(n) < weight_N, labels, labels[other_N])


def generated(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, rng: np.random.Generator) -> Windows:
    """As many windows of each label as there are, drawn from an auto-encoder that is fitted on them."""
    from painmodels.training.generative import draw, fit_vae  # torch is needed for this kind alone

    model = fit_vae(x_NTC, labels, settings, seed=int(rng.integers(2**31)))
    return draw(model, labels, rng), labels


KINDS: dict[str, Kind] = {
    "time-warp": time_warp,
    "magnitude-warp": magnitude_warp,
    "jitter": jitter,
    "mix-up": mix_up,
    "vae": generated,
}


def made(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, *, seed: int, normalise: str) -> Windows:
    """What is added to these training windows, scaled as they are; the parts of two kinds do not depend on each other."""
    windows, found = [], []
    for kind in settings.kinds:
        for copy in range(settings.copies):
            entropy = int.from_bytes(hashlib.sha256(f"{seed}/{kind}/{copy}".encode()).digest()[:8], "big")
            x, y = KINDS[kind](x_NTC, labels, settings, np.random.default_rng(entropy))
            windows.append(normalised(x, how=normalise, subjects=[""] * len(x))[0] if normalise in BY_TRIAL else x)
            found.append(y)
    return np.concatenate(windows).astype(x_NTC.dtype), np.concatenate(found)


def augmented(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment | None, *, seed: int, normalise: str) -> Windows:
    """The training windows, and after them what is made of them."""
    if settings is None:
        return x_NTC, labels
    x, y = made(x_NTC, labels, settings, seed=seed, normalise=normalise)
    return np.concatenate([x_NTC, x]), np.concatenate([labels, y])


def nearest(x_NTC: np.ndarray, known_MTC: np.ndarray) -> np.ndarray:
    """Distance of each window to the nearest of the known ones, (N,): does a generative model repeat what it was fitted on?"""
    known_MF = known_MTC.reshape(len(known_MTC), -1).astype(np.float64)
    return np.array([np.sqrt(((known_MF - x.reshape(-1)) ** 2).sum(1).min()) for x in x_NTC.astype(np.float64)])
