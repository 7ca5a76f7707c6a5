"""All sub-networks of one row as one module: prepared video and signals in, probabilities out.

    Pipeline(about["networks"], n_features=…, n_channels=…, classes=…)(video_NTF, mask_NT, signals_NTC)

`networks` lists, inputs first, {"role", "network", "version", "settings", "steps": [first, end], "inputs": [roles], "channels":
[columns], "normalise"}; every role is there once at most. N recordings, T steps, F trunk features, C channels, K classes.
The arithmetic is that of the fits: min-max scaling in float64, features of the spatial network rounded to float16.

What cannot be judged has no probability: `p` is NaN, and `usable` False, where a value that is used is not finite, a channel does
not vary in the window that is used, or no frame shows the face for longer than `max_gap` steps. The reason in words is
`painmodels.use.judgeable.why_unusable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import nn

from dataprep.records import InputError
from painmodels.registry import SubNetwork, Training, network


class Pipeline(nn.Module):
    """Calls give a dict of `p` (N, K), `usable` (N,) bool, and `frames` (N, T, K) and `attention` (N, T) of rows with such parts.

    `video_NTF` are trunk features of all steps of a trial (of the last frame again where there is none: `mask_NT` 0),
    `signals_NTC` unscaled signals on the clock; None where the row does not use them. A row of single frames gives the mean
    over its frames as `p`.
    """

    def __init__(
        self, networks: Sequence[Mapping[str, Any]], *, n_features: int, n_channels: int, n_steps: int, max_gap: int
    ) -> None:
        super().__init__()
        self.max_gap = max_gap
        self.nodes = [dict(node) for node in networks]
        self.entries = {node["role"]: network(node["role"], node["network"]) for node in networks}
        for node in self.nodes:
            entry = self.entries[node["role"]]
            if entry.version != node["version"]:
                raise InputError(
                    f"{entry.role} {entry.name}: found weights of version {node['version']}, expected {entry.version}"
                )
            if node["normalise"] == "subject":
                raise InputError("signals scaled over a subject (normalise = 'subject') need all of the person's trials")
        self.parts = nn.ModuleDict()
        for node in self.nodes:
            if node["normalise"] == "train":
                for name in ("low", "high"):
                    self.register_buffer(f"scale_{name}", torch.zeros(len(node["channels"]), dtype=torch.float64))
        # the width of what a network gives is known once it is run: each is built on what those before it give for zeros
        video, signals = torch.zeros(1, n_steps, n_features), torch.zeros(1, n_steps, n_channels)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            self._run(None, torch.ones(1, n_steps), signals, build=video)
        self.eval()

    @property
    def signal_steps(self) -> tuple[int, int]:
        """First and one-past-last step of the signals that are used; (0, 0) where the row uses none."""
        found = [node["steps"] for node in self.nodes if node["role"] == "physiological"]
        return (found[0][0], found[0][1]) if found else (0, 0)

    @property
    def uses_video(self) -> bool:
        return "spatial" in self.entries

    @property
    def uses_signals(self) -> bool:
        return "physiological" in self.entries

    def forward(
        self, video_NTF: torch.Tensor | None, mask_NT: torch.Tensor | None, signals_NTC: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        return self.of_steps(None if video_NTF is None else self.spatial(video_NTF), mask_NT, signals_NTC)

    def spatial(self, video_NTF: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each step by itself: probabilities (N, T, K), and what the temporal network is fed with, (N, T, H)."""
        part: Any = self.parts["spatial"]
        flat, shape = video_NTF.flatten(0, 1), video_NTF.shape[:2]
        frames_NTK = part(flat).softmax(-1).unflatten(0, shape)
        return frames_NTK, part.features(flat).half().float().unflatten(0, shape)

    def of_steps(
        self,
        spatial: tuple[torch.Tensor, torch.Tensor] | None,
        mask_NT: torch.Tensor | None,
        signals_NTC: torch.Tensor | None,
    ) -> dict[str, torch.Tensor]:
        """The same from what `spatial` gave, as a stream has it step by step."""
        out = self._run(spatial, mask_NT, signals_NTC)
        usable_N = self._usable(spatial, mask_NT, signals_NTC)
        return {**out, "p": torch.where(usable_N[:, None], out["p"], torch.nan), "usable": usable_N}

    def _usable(
        self,
        spatial: tuple[torch.Tensor, torch.Tensor] | None,
        mask_NT: torch.Tensor | None,
        signals_NTC: torch.Tensor | None,
    ) -> torch.Tensor:
        """Whether each recording can be judged, (N,) bool."""
        checks_N = []
        if self.uses_signals and signals_NTC is not None:
            first, end = self.signal_steps
            x_NTC = signals_NTC[:, first:end]
            checks_N += [torch.isfinite(x_NTC).all(2).all(1), (x_NTC.amax(1) > x_NTC.amin(1)).all(1)]
        if self.uses_video and spatial is not None and mask_NT is not None:
            checks_N += [torch.isfinite(x).all(2).all(1) for x in spatial]
            # a face is unseen for longer than the gap where all of so many steps in a row are 0
            kernel = min(self.max_gap + 1, mask_NT.shape[1])
            checks_N.append(nn.functional.max_pool1d(mask_NT[:, None], kernel, stride=1).amin(2)[:, 0] > 0)
        return torch.stack(checks_N).all(0)

    def _run(
        self,
        spatial: tuple[torch.Tensor, torch.Tensor] | None,
        mask_NT: torch.Tensor | None,
        signals_NTC: torch.Tensor | None,
        *,
        build: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """`build`: trunk features to make the networks for, first."""
        values: dict[str, torch.Tensor] = {}
        out: dict[str, torch.Tensor] = {}
        last = self.nodes[-1]["role"]
        for node in self.nodes:
            role, (first, end) = node["role"], node["steps"]
            entry = self.entries[role]
            if role == "spatial":
                inputs = [] if build is None else [build]
            elif role == "physiological":
                assert signals_NTC is not None
                inputs = [self._scaled(signals_NTC[:, first:end][..., node["channels"]], node["normalise"])]
            else:
                inputs = [values[name] for name in node["inputs"]]
            if role == "attention":
                assert mask_NT is not None
                inputs.append(mask_NT[:, first:end])
            if build is not None:
                settings = _settings(entry, node["settings"])
                self.parts[role] = entry.build(settings, [x.shape[-1] for x in inputs]).eval()
            part: Any = self.parts[role]
            if role == "spatial":
                found = self.spatial(build) if build is not None else spatial
                assert found is not None
                out["frames"], values[role] = (x[:, first:end] for x in found)
            elif role != last:
                stepwise = role == "physiological" and self.entries[last].sequences
                values[role] = part.sequence(*inputs) if stepwise else part.features(*inputs)
            if role == "attention" and hasattr(part, "weights"):
                out["attention"] = part.weights(*inputs)
            if role == last:
                out["p"] = out["frames"].mean(1) if role == "spatial" else part(*inputs).softmax(-1)
        return out

    def _scaled(self, x_NTC: torch.Tensor, how: str) -> torch.Tensor:
        """Min-max scaling as `normalise.minmax` does it, of one recording at a time."""
        x = x_NTC.double()
        low: torch.Tensor
        high: torch.Tensor
        if how == "train":
            low, high = self.scale_low, self.scale_high  # type: ignore[assignment]
        else:
            low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        span = high - low
        return torch.where(span > 0, (x - low) / torch.where(span > 0, span, torch.ones_like(span)), 0.0).float()


def _settings(entry: SubNetwork, table: Mapping[str, Any]) -> Training:
    """Settings out of JSON, where a tuple became a list. Raises ValueError for those of another version of the network."""
    known = {f.name for f in fields(entry.settings)}
    if table.keys() - known:
        unknown = ", ".join(sorted(table.keys() - known))
        raise InputError(
            f"{entry.role} {entry.name}: found the settings {unknown}, expected some of {', '.join(sorted(known))}"
        )
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return entry.settings(**values)
