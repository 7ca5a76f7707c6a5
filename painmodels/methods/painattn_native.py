"""PainAttnNet at the recorder's own rate, with the published kernels (painmodels/methods/painattn.py says what is published).

Kernels of 50, 512 and 1024 samples with steps of 6, 42 and 84 are those of 512 Hz. Each window is scaled to [0, 1] by itself,
whatever [signals] says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from painmodels.methods import painattn
from painmodels.methods.graph import Choice, Input, Method, Part
from painmodels.methods.layers import ByTrial
from painmodels.registry import SubNetwork


@dataclass(frozen=True, kw_only=True)
class Settings(painattn.Settings):
    """As `painattn`, with the published kernels and steps."""

    kernels: tuple[int, ...] = (50, 512, 1024)
    strides: tuple[int, ...] = (6, 42, 84)


class Native(painattn.PainAttnNet):
    """(B, samples, C) to (B, outputs)."""

    def __init__(self, settings: Settings, input_sizes: Sequence[int]) -> None:
        super().__init__(settings, input_sizes)
        self.scaled = ByTrial()

    def features(self, x_BTC: torch.Tensor) -> torch.Tensor:
        return super().features(self.scaled(x_BTC))


NETWORK = SubNetwork(
    role="painattn-native",
    name="painattn-native",
    settings=Settings,
    build=Native,
    keeps_statistics=True,
    least_steps=painattn.least_steps,
)


def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
    """One network on the row's channels, which have one rate."""
    return (Part("painattn-native", (Input("signals_native"),), trained=NETWORK),)


METHOD = Method(
    "painattn-native",
    on=("eda", "ecg", "emg"),
    parts=parts,
    several=True,
    any_signal=True,
    compared=("eda:painattn-native",),
)
