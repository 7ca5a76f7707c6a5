"""A conditional variational auto-encoder of signal windows (Kingma & Welling 2014; Sohn et al. 2015), one hidden layer each way.

What it draws is a window of its decoder and a Gaussian residual with the covariance of the training windows' residuals: the
decoder's means alone are smoother than any signal, and nearer to the training windows than real ones are. Codes are drawn from a
Gaussian of the codes of each class: draws of the prior fell far from all windows (2.2 from the nearest, real ones 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from painmodels.training.loop import one_thread, seeded

if TYPE_CHECKING:
    from painmodels.training.augment import Augment

BATCH = 64


class VAE(nn.Module):
    """Windows (B, F) and their classes (B, K) to what the decoder makes of a draw, its mean and log-variance, (B, latent)."""

    def __init__(self, n_values: int, n_classes: int, settings: Augment) -> None:
        super().__init__()
        n, self.latent = settings.hidden, settings.latent
        self.encoder = nn.Sequential(nn.Linear(n_values + n_classes, n), nn.ReLU(), nn.Linear(n, 2 * self.latent))
        self.decoder = nn.Sequential(nn.Linear(self.latent + n_classes, n), nn.ReLU(), nn.Linear(n, n_values))

    def forward(self, x_BF: torch.Tensor, y_BK: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean_BL, log_variance_BL = self.encoder(torch.cat([x_BF, y_BK], dim=1)).chunk(2, dim=1)
        z_BL = mean_BL + torch.randn_like(mean_BL) * (log_variance_BL / 2).exp()
        return self.decoder(torch.cat([z_BL, y_BK], dim=1)), mean_BL, log_variance_BL


@dataclass(frozen=True)
class Generator:
    """A fitted model: `residuals` (N, F) of the windows that it was fitted on, `classes` their labels in order.

    `codes`: of each class the mean (latent,) and the square root of the covariance (latent, latent) of its windows' codes.
    """

    model: VAE
    shape: tuple[int, int]
    classes: np.ndarray
    residuals: np.ndarray
    codes: tuple[tuple[np.ndarray, np.ndarray], ...]


def _coded(labels: np.ndarray, classes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((labels[:, None] == classes).astype(np.float32))


def fit_vae(x_NTC: np.ndarray, labels: np.ndarray, settings: Augment, *, seed: int) -> Generator:
    """Fit it on the CPU; equal arguments give equal bytes. The error is weighed by its own mean square (sigma-VAE)."""
    classes = np.unique(labels)
    x_NF, y_NK = torch.from_numpy(x_NTC.reshape(len(x_NTC), -1).astype(np.float32)), _coded(labels, classes)
    with one_thread(), seeded(seed, 0, "cpu"):
        model = VAE(x_NF.shape[1], len(classes), settings)
        optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr)
        for _ in range(settings.epochs):
            for rows in torch.randperm(len(x_NF)).split(BATCH):
                found, mean, log_variance = model(x_NF[rows], y_NK[rows])
                error = functional.mse_loss(found, x_NF[rows])
                likelihood = 0.5 * x_NF.shape[1] * torch.log(error + 1e-6)
                divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
                optimiser.zero_grad()
                (likelihood + settings.beta * divergence).backward()
                optimiser.step()
        model.eval()
        with torch.inference_mode():
            mean, log_variance = model.encoder(torch.cat([x_NF, y_NK], dim=1)).chunk(2, dim=1)
            residuals = (x_NF - model.decoder(torch.cat([mean, y_NK], dim=1))).numpy()
    codes = [_gaussian(mean.numpy()[labels == c], log_variance.numpy()[labels == c]) for c in classes]
    return Generator(model=model, shape=x_NTC.shape[1:], classes=classes, residuals=residuals, codes=tuple(codes))


def _gaussian(mean_NL: np.ndarray, log_variance_NL: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and root of the covariance of codes that are drawn for the windows of a class."""
    mean_NL = mean_NL.astype(np.float64)
    centred_NL = mean_NL - mean_NL.mean(0)
    covariance_LL = np.einsum("nl,nm->lm", centred_NL, centred_NL) / len(mean_NL)
    covariance_LL += np.diag(np.exp(log_variance_NL.astype(np.float64)).mean(0))
    return mean_NL.mean(0), np.linalg.cholesky(covariance_LL)


def draw(generator: Generator, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window for each label, float32 (M, T, C)."""
    noise_ML, z_ML = rng.normal(size=(len(labels), generator.model.latent)), np.empty((len(labels), generator.model.latent))
    for c, (mean_L, root_LL) in zip(generator.classes, generator.codes, strict=True):
        mine = labels == c
        z_ML[mine] = mean_L + np.einsum("ml,kl->mk", noise_ML[mine], root_LL)
    codes_ML = torch.from_numpy(z_ML.astype(np.float32))
    with one_thread(), torch.inference_mode():
        x_MF = generator.model.decoder(torch.cat([codes_ML, _coded(labels, generator.classes)], dim=1)).numpy()
    n = len(generator.residuals)
    # einsum sums in one thread: its bytes do not depend on the machine's number of processors
    noise_MF = np.einsum("mn,nf->mf", rng.normal(size=(len(labels), n)), generator.residuals) / np.sqrt(n)
    return (x_MF + noise_MF).astype(np.float32).reshape(len(labels), *generator.shape)
