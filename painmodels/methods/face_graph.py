"""What networks on the points of a face share: the points brought to one place, size and turn, and the graph that joins them."""

from __future__ import annotations

import torch
from torch import nn

from painmodels.methods.mesh_points import EYE_CORNERS, POINTS, adjacency

CHANNELS = 6
_LARGER = 10.0  # movements of the face are hundredths of the distance between the eyes


class Moved(nn.Module):
    """The mesh (B, T, 468, 3) to (B, T, P, 6): how each point is off its place in the mean face of the trial, and its velocity.

    Each step's face is centred and turned level; lengths are in the trial's mean distance of the outer corners of the eyes. So
    neither where the head is, nor how large, nor whose it is, is seen; how it is turned to a side still is.
    """

    def forward(self, x_BTP3: torch.Tensor) -> torch.Tensor:
        right, left = (x_BTP3[:, :, corner] for corner in EYE_CORNERS)
        across_BT2 = (left - right)[..., :2]
        unit_B1 = across_BT2.norm(dim=-1).mean(1, keepdim=True).clamp(min=1e-6)
        cosine, sine = (across_BT2 / across_BT2.norm(dim=-1, keepdim=True).clamp(min=1e-6)).unbind(-1)
        face = x_BTP3[:, :, list(POINTS)]
        face = (face - face.mean(2, keepdim=True)) / unit_B1[..., None, None]
        x, y, depth = face.unbind(-1)
        level = torch.stack(
            [cosine[..., None] * x + sine[..., None] * y, cosine[..., None] * y - sine[..., None] * x, depth], dim=-1
        )
        off = _LARGER * (level - level.mean(1, keepdim=True))
        velocity = torch.cat([torch.zeros_like(off[:, :1]), off[:, 1:] - off[:, :-1]], dim=1)
        return torch.cat([off, velocity], dim=-1)


class GraphConvolution(nn.Module):
    """Each point takes the weighted mean of its neighbours and itself: (..., P, C) to (..., P, width)."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.weights = nn.Linear(n_in, width)
        self.near_PP: torch.Tensor
        self.register_buffer("near_PP", torch.from_numpy(adjacency()), persistent=False)

    def forward(self, x_PC: torch.Tensor, further_PP: torch.Tensor | None = None) -> torch.Tensor:
        """`further_PP`: weights of all pairs of points beside the graph's own."""
        near = self.near_PP if further_PP is None else self.near_PP + further_PP
        return near @ self.weights(x_PC)
