"""A 1-D CNN per signal, fused: Thiam, Bellmann, Kestler & Schwenker 2019, Sensors 19:4503, https://doi.org/10.3390/s19204503.

Published accuracy (BioVid A, no pain against the highest level, 87 people, leave-one-subject-out): EDA 84.57 %, EDA, ECG and
EMG 84.40 %. Published input: 4.5 s that begin 4 s after the onset of the heat, one second later than the data set's own
window (`skip_s = 1.0`); EDA low-pass 0.2 Hz (Butterworth, order 3), ECG 0.1 to 250 Hz (order 3) and detrended piecewise by
polynomials of degree 5, EMG 20 to 250 Hz (order 4). Here: no filters, scaled as [signals] says, at the row's rate.

One branch per signal: blocks of two convolutions with batch normalisation and ELU and a maximum over two steps, then two
dense layers. The branches' probabilities are averaged with learned weights ("late"), or their features feed one classifier.
The full text could not be read here, so: blocks, filters, kernel, dense widths, dropout, ELU, epochs, batch, learning rate,
weights of the late fusion: guessed. `length`, the number of steps that feed the first dense layer: guessed; it makes any
window fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import stretched
from painmodels.registry import InputError, SubNetwork, Training

FUSIONS = ("late", "features")


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """`filters` of each block, `kernel` in steps, `length` in steps before the dense layers, whose widths are `dense`."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-4
    filters: tuple[int, ...] = (16, 32, 64)
    kernel: int = 7
    length: int = 16
    dense: tuple[int, ...] = (256, 64)
    dropout: float = 0.25
    fusion: str = "late"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion: found {self.fusion!r}, expected one of {', '.join(FUSIONS)}")


class Branch(nn.Module):
    """One signal (B, 1, T) to features (B, the last of `dense`)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        n_in = 1
        for n in settings.filters:
            for n_from in (n_in, n):
                convolution = nn.Conv1d(n_from, n, settings.kernel, padding=settings.kernel // 2)
                blocks += [convolution, nn.BatchNorm1d(n), nn.ELU()]
            blocks += [nn.MaxPool1d(2, ceil_mode=True), nn.Dropout(settings.dropout)]
            n_in = n
        self.blocks, self.length = nn.Sequential(*blocks), settings.length
        layers: list[nn.Module] = []
        n_in *= settings.length
        for n in settings.dense:
            layers += [nn.Linear(n_in, n), nn.ELU(), nn.Dropout(settings.dropout)]
            n_in = n
        self.dense = nn.Sequential(*layers)

    def forward(self, x_B1T: torch.Tensor) -> torch.Tensor:
        return self.dense(stretched(self.blocks(x_B1T), self.length).flatten(1))


class SignalCNN(nn.Module):
    """(B, T, C) to (B, outputs): with late fusion log-probabilities, which softmax gives back, or means of numbers."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__()
        (n_signals,) = input_sizes
        self.late, self.softmax = settings.fusion == "late", settings.softmax
        self.branches = nn.ModuleList(Branch(settings) for _ in range(n_signals))
        n, n_heads = (settings.dense[-1], n_signals) if self.late else (settings.dense[-1] * n_signals, 1)
        self.heads = nn.ModuleList(nn.Linear(n, settings.outputs) for _ in range(n_heads))
        self.weight = nn.Parameter(torch.zeros(n_heads)) if n_heads > 1 else None

    def streams(self, x_BTC: torch.Tensor) -> list[torch.Tensor]:
        return [branch(x_BTC[:, None, :, i]) for i, branch in enumerate(self.branches)]

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return torch.cat(self.streams(x_BTC), dim=1)

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        seen = self.streams(x_BTC) if self.late else [self.features(x_BTC)]
        logits = [head(stream) for head, stream in zip(self.heads, seen, strict=True)]
        if self.weight is None:
            return logits[0]
        if not self.softmax:
            return (torch.stack(logits) * functional.softmax(self.weight, dim=0)[:, None, None]).sum(0)
        each_SBK = torch.stack([functional.log_softmax(x, dim=-1) for x in logits])
        return torch.logsumexp(each_SBK + functional.log_softmax(self.weight, dim=0)[:, None, None], dim=0)


NETWORK = SubNetwork(role="cnn", name="cnn", settings=Settings, build=SignalCNN, keeps_statistics=True)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's signals."""
    return (Part("cnn", (Input("signals"),), trained=NETWORK),)


METHOD = Method(
    "cnn", on=("eda", "ecg", "emg"), parts=parts, several=True, any_signal=True, compared=("eda:cnn", "eda+ecg+emg:cnn")
)
