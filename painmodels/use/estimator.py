"""A row whose one part is an estimator, with the inputs and outputs that a row of networks has (painmodels.use.pipeline).

Its arrays are plain numpy, so it runs on the processor, and an ONNX file of it cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from painmodels.methods.graph import Estimator, Recordings
from painmodels.tasks.task import Task
from painmodels.use.graph import Columns, Node


class EstimatorPipeline:
    """Calls of `of_steps` give `p` (N, G), float32, what the task `learns` makes of it.

    What cannot be judged is found before (painmodels.use.judgeable).
    """

    def __init__(
        self,
        node: Node,
        columns: Columns,
        learns: Task,
        weights: Mapping[str, np.ndarray],
        *,
        clock_hz: float,
        max_gap: int,
    ) -> None:
        self.node, self.columns, self.learns, self.weights = node, columns, learns, dict(weights)
        self.clock_hz, self.max_gap, self.steps = clock_hz, max_gap, node.steps

    def each_step(self, video_NTF: torch.Tensor) -> dict[str, torch.Tensor]:
        """What it takes of each step of a video."""
        return {"video": video_NTF} if self.columns.width else {}

    def of_steps(
        self, steps: Mapping[str, torch.Tensor] | None, mask_NT: torch.Tensor | None, signals_NTC: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """The probability of each class, or the number as it is learnt."""
        trained: Any = self.node.trained
        assert isinstance(trained, Estimator)
        given = self._recordings(steps, mask_NT, signals_NTC)
        p = trained.predict(self.weights, given, self.node.settings, "cpu").astype(np.float32)
        return {"p": torch.from_numpy(self.learns.given_of(p).astype(np.float32))}

    def _recordings(
        self, steps: Mapping[str, torch.Tensor] | None, mask_NT: torch.Tensor | None, signals_NTC: torch.Tensor | None
    ) -> Recordings:
        (first, end), n = self.node.steps, 1
        signals, made = {}, {}
        if signals_NTC is not None and self.node.channels:
            x_NTC = signals_NTC[:, first:end].cpu().numpy()
            signals = {w: x_NTC[..., c] for w, c in zip(self.node.words, self.node.channels, strict=True)}
            n = len(x_NTC)
        if steps is not None and mask_NT is not None:
            x_NTF = steps["video"][:, first:end].cpu().numpy() if self.columns.width else np.zeros((1, 0, 0))
            for name, part in self.columns.parts.items():
                made[name] = x_NTF[..., part].reshape(*x_NTF.shape[:2], *self.columns.shapes[name])
            made["mask"] = mask_NT[:, first:end].cpu().numpy() > 0
            n = len(mask_NT)
        taken = {i.recording for i in self.node.part.inputs}
        faces = made.pop("faces", None)
        return Recordings(
            n=n, rate_hz=self.clock_hz, signals=signals, faces=faces, made={k: v for k, v in made.items() if k in taken}
        )
