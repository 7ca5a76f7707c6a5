"""A row of networks as one module: what is prepared of recordings in, predictions out. It walks the graph of its method.

    made = Pipeline(graph_of(about), Columns(about["video"]), learns, n_channels=…, n_steps=…, max_gap=…, rate_hz=…)
    made(video_NTF, mask_NT, signals_NTC)

N recordings, T steps, F columns of the video (painmodels.use.graph.Columns), C channels, G what the task `learns` gives: the
probability of each class, or the number as it is learnt. The arithmetic is that of the fits: scaling in float64, features of
single frames rounded to float16.

What cannot be judged has no prediction: `p` is NaN, and `usable` False, where a value that is used is not finite, a channel does
not vary in the window that is used, or no frame shows the face for longer than `max_gap` steps. The reason in words is
`painmodels.use.judgeable.why_unusable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from painmodels.methods.graph import OUT_OF_FOLD
from painmodels.registry import SubNetwork
from painmodels.tasks.task import Task
from painmodels.training.normalise import FITTED, prepared
from painmodels.use.graph import Columns, Node

Steps = Mapping[str, torch.Tensor]
"""What is known of each step by itself, (N, T, …): outputs of networks on single frames, and recordings that others take."""


class Pipeline(nn.Module):
    """Calls give a dict of `p` (N, G), `usable` (N,) bool, and `frames` (N, T, G) and `attention` (N, T) of rows with such parts.

    `video_NTF` are the columns of all steps of a trial (of the last frame again where there is none: `mask_NT` 0),
    `signals_NTC` unscaled signals on the clock; None where the row does not use them. A row of single frames gives the mean
    over its frames as `p`.
    """

    def __init__(
        self,
        graph: Sequence[Node],
        columns: Columns,
        learns: Task,
        *,
        n_channels: int,
        n_steps: int,
        max_gap: int,
        rate_hz: float,
    ) -> None:
        super().__init__()
        self.learns = learns
        self.graph, self.columns, self.max_gap, self.n_channels = tuple(graph), columns, max_gap, n_channels
        self.steps = self.graph[-1].steps
        self.rate_hz = rate_hz
        self.wanted = {(i.part, i.output) for node in self.graph for i in node.part.inputs if i.part}
        self.parts = nn.ModuleDict()
        for node in self.graph:
            if node.normalise in FITTED:
                shape = (node.steps[1] - node.steps[0], len(node.channels))[node.normalise != "train-step" :]
                for name in ("low", "high"):
                    self.register_buffer(f"scale_{name}_{node.role}", torch.zeros(shape, dtype=torch.float64))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            self._build(torch.zeros(1, n_steps, columns.width), torch.ones(1, n_steps), torch.zeros(1, n_steps, n_channels))
        self.eval()

    def _build(self, video_NTF: torch.Tensor, mask_NT: torch.Tensor, signals_NTC: torch.Tensor) -> None:
        """Make the networks. The width of what one gives is known once it is run: each is built on what those before it give."""
        steps: dict[str, torch.Tensor] = {}
        values: dict[tuple[str, str], torch.Tensor] = {}
        for node in self.graph:
            entry: Any = node.trained
            if _per_frame(node):
                inputs = list(_taken(node, self.columns, video_NTF).values())
            else:
                steps |= _taken(node, self.columns, video_NTF)
                inputs = self._inputs(node, values, steps, mask_NT, signals_NTC)
            self.parts[node.role] = entry.build(node.settings, [x.shape[-1] for x in inputs]).eval()
            if _per_frame(node):
                steps |= self._of_frames(node, video_NTF)
            self._values(node, inputs, steps, values)

    def forward(
        self, video_NTF: torch.Tensor | None, mask_NT: torch.Tensor | None, signals_NTC: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        return self.of_steps(None if video_NTF is None else self.each_step(video_NTF), mask_NT, signals_NTC)

    def each_step(self, video_NTF: torch.Tensor) -> dict[str, torch.Tensor]:
        """What can be known of each step by itself."""
        found: dict[str, torch.Tensor] = {}
        for node in self.graph:
            found |= self._of_frames(node, video_NTF) if _per_frame(node) else _taken(node, self.columns, video_NTF)
        return found

    def _of_frames(self, node: Node, video_NTF: torch.Tensor) -> dict[str, torch.Tensor]:
        """What a network on single frames gives of each step: its prediction, and what other parts take of it."""
        part: Any = self.parts[node.role]
        (x_NTF,) = _taken(node, self.columns, video_NTF).values()
        flat, shape = x_NTF.flatten(0, 1), x_NTF.shape[:2]
        found = {f"{node.role}.p": self.learns.given(part(flat)).unflatten(0, shape)}
        for role, output in self.wanted:
            if role == node.role:
                found[f"{role}.{output}"] = _output(node, part, output, [flat]).unflatten(0, shape)
        return found

    def of_steps(
        self, steps: Steps | None, mask_NT: torch.Tensor | None, signals_NTC: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """The same from what `each_step` gave, as a stream has it step by step."""
        out = self._run(steps, mask_NT, signals_NTC)
        used = None if signals_NTC is None or not self.n_channels else signals_NTC[:, slice(*self.steps)]
        usable_N = _usable(steps, mask_NT, used, max_gap=self.max_gap)
        return {**out, "p": torch.where(usable_N[:, None], out["p"], torch.nan), "usable": usable_N}

    def _run(
        self, steps: Steps | None, mask_NT: torch.Tensor | None, signals_NTC: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        values: dict[tuple[str, str], torch.Tensor] = {}
        out: dict[str, torch.Tensor] = {}
        for node in self.graph:
            part: Any = self.parts[node.role]
            inputs = [] if _per_frame(node) else self._inputs(node, values, steps or {}, mask_NT, signals_NTC)
            self._values(node, inputs, steps or {}, values)
            if _per_frame(node):
                assert steps is not None
                first, end = node.steps
                out["frames"] = steps[f"{node.role}.p"][:, first:end]
            if node.part.keeps == "attention":
                out["attention"] = part.weights(*inputs)
            if node is self.graph[-1]:
                out["p"] = out["frames"].mean(1) if _per_frame(node) else self.learns.given(part(*inputs))
        return out

    def _values(
        self, node: Node, inputs: list[torch.Tensor], steps: Steps, values: dict[tuple[str, str], torch.Tensor]
    ) -> None:
        """Add what later parts take of this one to `values`."""
        first, end = node.steps
        for output in (output for role, output in self.wanted if role == node.role):
            if _per_frame(node):
                values[node.role, output] = steps[f"{node.role}.{output}"][:, first:end]
            else:
                values[node.role, output] = _output(node, self.parts[node.role], output, inputs)

    def _inputs(
        self,
        node: Node,
        values: Mapping[tuple[str, str], torch.Tensor],
        steps: Steps,
        mask_NT: torch.Tensor | None,
        signals_NTC: torch.Tensor | None,
    ) -> list[torch.Tensor]:
        """What a part takes, one tensor per input."""
        (first, end), inputs = node.steps, []
        for taken in node.part.inputs:
            if taken.part:
                inputs.append(values[taken.part, taken.output])
            elif taken.recording == "mask":
                assert mask_NT is not None
                inputs.append(mask_NT[:, first:end])
            elif taken.recording == "signals":
                assert signals_NTC is not None
                ends = ("low", "high") if node.normalise in FITTED else ()
                limits = [getattr(self, f"scale_{end_of}_{node.role}") for end_of in ends]
                inputs.append(_of_signals(node, signals_NTC[:, first:end], limits, self.rate_hz))
            else:
                inputs.append(steps[taken.recording][:, first:end])
        return inputs


def _taken(node: Node, columns: Columns, video_NTF: torch.Tensor) -> dict[str, torch.Tensor]:
    """The recordings of a video that a part takes as they are."""
    found = {}
    for name in _of_video(node):
        x_NTF, shape = video_NTF[..., columns.parts[name]], columns.shapes[name]
        found[name] = x_NTF.unflatten(-1, shape) if shape else x_NTF[..., 0]
    return found


def _usable(steps: Steps | None, mask_NT: torch.Tensor | None, x_NTC: torch.Tensor | None, *, max_gap: int) -> torch.Tensor:
    """Whether each recording can be judged, (N,) bool; `x_NTC`: the signals in the steps that are used."""
    checks_N = []
    if x_NTC is not None:
        checks_N += [torch.isfinite(x_NTC).all(2).all(1), (x_NTC.amax(1) > x_NTC.amin(1)).all(1)]
    if steps is not None and mask_NT is not None:
        checks_N += [torch.isfinite(x.flatten(2)).all(2).all(1) for x in steps.values()]
        # a face is unseen for longer than the gap where all of so many steps in a row are 0
        kernel = min(max_gap + 1, mask_NT.shape[1])
        checks_N.append(nn.functional.max_pool1d(mask_NT[:, None], kernel, stride=1).amin(2)[:, 0] > 0)
    return torch.stack(checks_N).all(0)


def _of_signals(node: Node, signals_NTC: torch.Tensor, limits: Sequence[torch.Tensor], rate_hz: float) -> torch.Tensor:
    """The channels of a part in its window, scaled."""
    return scaled_tensor(
        prepared(signals_NTC[..., list(node.channels)].double(), node.normalise, rate_hz), node.normalise, limits
    )


def scaled_tensor(x: torch.Tensor, how: str, limits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Scaling as `normalise.normalised` does it: between limits of the training side, or of one recording at a time."""
    if how == "trial-z":
        mean = x.mean(1, keepdim=True)
        low, high = mean, mean + x.std(1, keepdim=True, correction=0)
    else:
        low, high = limits or (x.amin(1, keepdim=True), x.amax(1, keepdim=True))
    span = high - low
    return torch.where(span > 0, (x - low) / torch.where(span > 0, span, torch.ones_like(span)), 0.0).float()


def _output(node: Node, part: Any, output: str, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """What another part takes of this one; features of single frames are rounded as they are stored."""
    if output == OUT_OF_FOLD:
        return part(*inputs).softmax(-1) if node.settings.softmax else part(*inputs)
    found = getattr(part, output)(*inputs)
    return found.half().float() if _per_frame(node) else found


def _per_frame(node: Node) -> bool:
    return isinstance(node.trained, SubNetwork) and node.trained.per_frame


def _of_video(node: Node) -> list[str]:
    """The recordings of each step that a part takes."""
    return [i.recording for i in node.part.inputs if i.recording not in ("", "mask", "signals")]
