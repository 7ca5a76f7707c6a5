"""K LSTM networks of one shape trained side by side as one batched computation, so that small networks use the whole device.

The arithmetic of each is that of `nn.LSTM` + linear head, the loss of the task, clipping by norm and `torch.optim.Adam` alone:
each network has its own weights, data, gradient norm, learning rate and step count, and one whose epochs are over (or whose
data are shorter) is left as it is. On a GPU a whole step - forward, backward, Adam - is recorded once as a CUDA graph and
replayed, so that its thousands of small kernels cost no launches. On a CPU `nn.LSTM` alone is as fast (measured: see
DECISIONS), so the grid packs on GPUs only.

This file needs torch and a task alone. K networks, B trials in a batch, T steps, F inputs, H hidden units, G = 4 H gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from painmodels.tasks import Task

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of torch.optim.Adam
CLIP_EPSILON = 1e-6  # of torch.nn.utils.clip_grad_norm_


class PackedLSTM(nn.Module):
    """(K, B, T, F) to logits (K, B, outputs), from the last step. `states` are those of K networks with parts `lstm`, `head`."""

    def __init__(self, states: Sequence[Mapping[str, torch.Tensor]], *, layers: int) -> None:
        super().__init__()
        self.names = list(states[0])
        self.layers = layers
        for name in self.names:
            stacked = torch.stack([state[name].detach().float() for state in states])
            self.register_parameter(_safe(name), nn.Parameter(stacked))

    def part(self, name: str) -> torch.Tensor:
        return self.get_parameter(_safe(name))

    def states(self) -> list[dict[str, torch.Tensor]]:
        """The tensors of each network, by the names they came with."""
        stacked = {name: self.part(name).detach().cpu() for name in self.names}
        return [{name: value[k].clone() for name, value in stacked.items()} for k in range(len(stacked[self.names[0]]))]

    def forward(self, x_KBTF: torch.Tensor) -> torch.Tensor:
        n_networks, n_rows, n_steps, _ = x_KBTF.shape
        for layer in range(self.layers):
            # the input's share of the gates, of all steps at once; time first, so that a step is a contiguous block
            w_KGF = self.part(f"lstm.weight_ih_l{layer}")
            bias_KG = self.part(f"lstm.bias_ih_l{layer}") + self.part(f"lstm.bias_hh_l{layer}")
            flat = x_KBTF.transpose(1, 2).flatten(1, 2)
            gates = torch.baddbmm(bias_KG[:, None], flat, w_KGF.transpose(1, 2))
            gates_TKBG = gates.unflatten(1, (n_steps, n_rows)).transpose(0, 1).contiguous()
            w_KHG = self.part(f"lstm.weight_hh_l{layer}").transpose(1, 2)
            h = c = gates.new_zeros(n_networks, n_rows, w_KHG.shape[1])
            outputs = []
            for g_KBG in gates_TKBG.unbind(0):  # indexing instead would copy the whole tensor in each backward step
                i, f, g, o = torch.baddbmm(g_KBG, h, w_KHG).chunk(4, dim=-1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
            if layer + 1 < self.layers:
                x_KBTF = torch.stack(outputs, dim=2)
        return torch.baddbmm(self.part("head.bias")[:, None], h, self.part("head.weight").transpose(1, 2))


class PackedTrainer:
    """Trains a `PackedLSTM` step by step. `clip_norms`: of each network, 0 for none.

    `take_sums` gives of each network the summed loss, the right answers and the largest gradient norm, (3, K) float64.
    """

    def __init__(
        self,
        model: PackedLSTM,
        *,
        batch: int,
        n_steps: int,
        n_inputs: int,
        clip_norms: Sequence[float],
        task: Task,
        weight_decay: float = 0.0,
    ) -> None:
        self.model, self.weight_decay, self.task = model, weight_decay, task
        self.weights = list(model.parameters())
        device, n = self.weights[0].device, len(self.weights[0])
        self.first = [torch.zeros_like(p) for p in self.weights]
        self.second = [torch.zeros_like(p) for p in self.weights]
        self.counts_K = torch.zeros(n, device=device)
        # one place for the inputs of every step: a recorded graph reads from where it was recorded
        self.x_KBTF = torch.zeros(n, batch, n_steps, n_inputs, device=device)
        self.y_KB = torch.zeros(n, batch, dtype=task.dtype, device=device)
        self.weight_KB = torch.zeros(n, batch, device=device)
        self.lr_K = torch.zeros(n, device=device)
        self.clip_K = torch.tensor([c or torch.inf for c in clip_norms], device=device)
        self.sums_3K = torch.zeros(3, n, dtype=torch.float64, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def moments(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Adam's two means of a weight, (K, …) each; they may be written to before the first step."""
        place = [p is self.model.part(name) for p in self.weights].index(True)
        return self.first[place], self.second[place]

    def step(self, x_KBTF: torch.Tensor, y_KB: torch.Tensor, weight_KB: torch.Tensor, lr_K: torch.Tensor) -> None:
        """One batch of each network; rows of weight 0 are padding, a network without any row is left as it is.

        Nothing here waits for the device.
        """
        for place, value in ((self.x_KBTF, x_KBTF), (self.y_KB, y_KB), (self.weight_KB, weight_KB), (self.lr_K, lr_K)):
            place.copy_(value)
        if self.x_KBTF.device.type == "cuda":
            if self.graph is None:
                self.graph = self._record()
            self.graph.replay()
        else:
            self._compute()

    def take_sums(self) -> torch.Tensor:
        """Sums and largest norms of all steps since the last call, on the CPU; they begin again at 0."""
        sums = self.sums_3K.cpu().clone()
        self.sums_3K.zero_()
        return sums

    def _compute(self) -> None:
        logits_KBC = self.model(self.x_KBTF)
        loss_KB = self.task.loss(logits_KBC.flatten(0, 1), self.y_KB.flatten(), reduction="none")
        loss_KB = loss_KB.view_as(self.weight_KB) * self.weight_KB
        rows_K = self.weight_KB.sum(1)
        grads = torch.autograd.grad((loss_KB.sum(1) / rows_K.clamp(min=1)).sum(), self.weights)
        with torch.no_grad():
            right_KB = self.task.right(logits_KBC, self.y_KB) * self.weight_KB
            norm_K = torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0).sqrt()
            self.sums_3K[:2] += torch.stack([loss_KB.sum(1), right_KB.sum(1)])
            self.sums_3K[2] = torch.maximum(self.sums_3K[2], norm_K.double())
            share_K = (self.clip_K / (norm_K + CLIP_EPSILON)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_
            clipped = [g * share_K.view(-1, *[1] * (g.ndim - 1)) for g in grads]
            self._adam(clipped, (rows_K > 0).float())

    def _adam(self, grads: Sequence[torch.Tensor], active_K: torch.Tensor) -> None:
        """Adam with a step count, a learning rate and an on/off switch for each network."""
        self.counts_K += active_K
        counts_K = self.counts_K.clamp(min=1).double()
        rate_K = (self.lr_K / (1 - BETAS[0] ** counts_K) * active_K).float()
        root_K = (1 - BETAS[1] ** counts_K).sqrt().float()
        for p, grad, m, v in zip(self.weights, grads, self.first, self.second, strict=True):
            shape = (-1,) + (1,) * (p.ndim - 1)
            on = active_K.view(shape)
            grad = grad + self.weight_decay * p if self.weight_decay else grad
            m.add_((grad - m) * (1 - BETAS[0]) * on)
            v.add_((grad * grad - v) * (1 - BETAS[1]) * on)
            p.sub_(rate_K.view(shape) * m / (v.sqrt() / root_K.view(shape) + EPSILON))

    def _record(self) -> torch.cuda.CUDAGraph:
        """The graph of one step. Recording needs rehearsals on a side stream; what they changed is put back."""
        changed = [*self.weights, *self.first, *self.second, self.counts_K, self.sums_3K]
        before = [value.detach().clone() for value in changed]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._compute()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._compute()
        with torch.no_grad():
            for value, old in zip(changed, before, strict=True):
                value.copy_(old)
        return graph


def _safe(name: str) -> str:
    return name.replace(".", "__")
