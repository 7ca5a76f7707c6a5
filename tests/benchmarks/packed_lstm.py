"""Training K small LSTMs packed into one computation, against the same K one after another with nn.LSTM (cuDNN on a GPU).

    python tests/benchmarks/packed_lstm.py [--json] [--device cuda] [--networks 60] [--steps 20]

Needs torch alone. A step is forward, backward and Adam of one batch of every network. Both ways train the same networks on the
same data, and the weights after all steps are compared; the times are the best of three runs. The aim, on a GPU with K = 60,
H = 64, T = 138, B = 64: 60 in the time of 3, which is packed at 20 times the rate. On a CPU this is only to see that packing
gains nothing there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from painmodels.tasks import unnamed

SOURCE = Path(__file__).resolve().parents[2] / "painmodels" / "training" / "packed_lstm.py"


class Alone(nn.Module):
    """The physiological network by itself."""

    def __init__(self, n_inputs: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_inputs, hidden, 2, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x_BTF)[0][:, -1])


CLIP_NORM = 1.0


def measure(a: argparse.Namespace) -> dict:
    spec = importlib.util.spec_from_file_location(
        "packed", SOURCE
    )  # by its path: the package around it needs more than torch
    packed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packed)
    torch.manual_seed(0)
    device = torch.device(a.device)
    start = [Alone(a.inputs, a.hidden).state_dict() for _ in range(a.networks)]
    x = torch.randn(a.networks, a.steps, a.batch, a.length, a.inputs, device=device)
    y = (x[..., a.length // 2 :, 0].mean(-1) > 0).long()

    def sequential() -> list[dict[str, torch.Tensor]]:
        networks = []
        for k, state in enumerate(start):
            network = Alone(a.inputs, a.hidden).to(device)
            network.load_state_dict(state)
            optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=device.type == "cuda")
            for s in range(a.steps):
                loss = nn.functional.cross_entropy(network(x[k, s]), y[k, s])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
                optimiser.step()
            networks.append({name: v.cpu() for name, v in network.state_dict().items()})
        return networks

    weight, lr = torch.ones(a.networks, a.batch, device=device), torch.full((a.networks,), 1e-3, device=device)

    def together() -> list[dict[str, torch.Tensor]]:
        model = packed.PackedLSTM(start, layers=2).to(device)
        trainer = packed.PackedTrainer(
            model,
            batch=a.batch,
            n_steps=a.length,
            n_inputs=a.inputs,
            clip_norms=[CLIP_NORM] * a.networks,
            task=unnamed("", 2),
        )
        for s in range(a.steps):
            trainer.step(x[:, s], y[:, s], weight, lr)
        return model.states()

    one, sequential_s = timed(sequential, device, a.repeats)
    two, packed_s = timed(together, device, a.repeats)
    differ = max(float((p[name] - q[name]).abs().max()) for p, q in zip(one, two, strict=True) for name in p)
    rate = a.networks * a.steps
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()}, 1 thread)",
        "note": "" if device.type == "cuda" else "not measured on a GPU",
        "networks": a.networks,
        "shape": f"H {a.hidden}, T {a.length}, B {a.batch}, F {a.inputs}, 2 layers",
        "sequential_steps_per_s": round(rate / sequential_s, 1),
        "packed_steps_per_s": round(rate / packed_s, 1),
        "speedup": round(sequential_s / packed_s, 2),
        "largest_difference_of_weights": differ,
        "peak_mb": round(torch.cuda.max_memory_allocated() / 2**20) if device.type == "cuda" else None,
    }


def timed(work: Callable[[], list], device: torch.device, repeats: int) -> tuple[list, float]:
    """The result and the seconds of the best of some runs after a first one (on a GPU: that one warms up)."""
    result, best = [], float("inf")
    for _ in range(repeats + (device.type == "cuda")):
        started = time.perf_counter()
        result = work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return result, best


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--networks", type=int, default=60 if cuda else 6)
    parser.add_argument("--steps", type=int, default=40 if cuda else 3)
    for name, value in (("hidden", 64), ("length", 138), ("batch", 64), ("inputs", 2), ("repeats", 3 if cuda else 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(chosen)
    print(json.dumps(found, indent=1) if chosen.json else "  ".join(f"{k}={v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
