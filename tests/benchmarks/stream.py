"""Latency of running prediction: how long a frame takes from pixels to done, on one CPU thread, detection included.

    python tests/benchmarks/stream.py [--json] [--size 640x480] [--seconds 20] [--trunk mini-xception-fer] [--precision float32]

A synthetic face, `eda+video`, untrained networks of the paper's sizes (weights change no time). A frame is due every 40 ms; the
slowest frames are those with a detection (every fifth) and those with an estimate (one a second). Decoding is not counted: a
camera hands out pictures.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch

from dataprep import faces
from dataprep.synthetic.dataset import write_synthetic
from dataprep.video.decode import open_video
from painmodels import registry
from painmodels.stream import Stream
from painmodels.training.loop import fit
from painmodels.trunks.backbones import backbone
from painmodels.trunks.trunk import whole_state
from painmodels.use.model import Model
from painmodels.use.model_files import FORMAT

STEPS, RATE_HZ = 138, 512.0
ROLES = {
    "spatial": ("fc7", []),
    "temporal": ("lstm", ["spatial"]),
    "attention": ("additive", ["temporal"]),
    "physiological": ("lstm", []),
    "fusion": ("concat", ["attention", "physiological"]),
}


def untrained(trunk: str, precision: str) -> Model:
    """The paper's `eda+video` with first weights."""
    random = backbone(trunk).shipped is None
    state, sentence = whole_state(trunk, random=random)
    tensors = {f"trunk.{name}": v for name, v in state.items()}
    sizes = {"spatial": [(1, 2, backbone(trunk).feature_size)], "temporal": [(1, 2, 4096)], "attention": [(1, 2, 64)]}
    sizes |= {"physiological": [(1, 2, 1)], "fusion": [(1, 64), (1, 64)]}
    nodes = []
    for role, (name, inputs) in ROLES.items():
        network = registry.network(role, name)
        settings = network.settings(epochs=0)
        fitted = fit(network, settings, [np.zeros(s, np.float32) for s in sizes[role]], np.zeros(1, int), seed=0)
        tensors |= {f"parts.{role}.{n}": torch.from_numpy(v) for n, v in fitted.weights.items()}
        node = {"role": role, "network": name, "version": network.version, "settings": asdict(settings), "inputs": inputs}
        scale = {"channels": [], "names": [], "normalise": ""}
        if role == "physiological":
            scale = {"channels": [0], "names": ["eda"], "normalise": "trial"}
        nodes.append({**node, **scale, "steps": [0, STEPS]})
    about = {
        "format": FORMAT,
        "cell": "eda+video/benchmark/none/fold0",
        "experiment": "benchmark",
        "synthetic": True,
        "reader": "biovid",
        "clock_hz": 25.0,
    }
    about |= {"n_steps": STEPS, "classes": ["BL1", "PA4"], "channels": ["eda"], "faces": asdict(faces.FaceSettings())}
    kind = {"name": trunk, "scaling": backbone(trunk).scalings[0], "precision": precision}
    return Model({**about, "trunk": {**kind, "fingerprint": "", "provenance": sentence}, "networks": nodes}, tensors)


def pictures(size: tuple[int, int]) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        write_synthetic(Path(folder) / "data", subjects=1, trials=1, size=size, classes=("PA4",), jobs=1)
        clip = next((Path(folder) / "data").rglob("*.mp4"))
        return [f.window((0, 0, f.width, f.height), width=f.width, height=f.height) for f in open_video(clip).frames]


def measure(a: argparse.Namespace) -> dict:
    width, height = (int(v) for v in a.size.split("x"))
    frames = pictures((width, height))
    frames += frames[::-1]  # back and forth: no jump
    model = untrained(a.trunk, a.precision)
    stream = Stream(model, rates_hz={"eda": RATE_HZ})
    rng = np.random.default_rng(0)
    wall_ms, cpu_ms, estimates = [], [], 0
    per_frame = RATE_HZ / model.clock_hz
    for k in range(round(a.seconds * model.clock_hz)):
        samples = rng.normal(size=round((k + 1) * per_frame) - round(k * per_frame))
        picture = frames[k % len(frames)]
        wall, cpu = time.perf_counter(), time.process_time()
        found = [*stream.samples({"eda": samples}), *stream.frame(picture)]
        wall_ms.append(1000 * (time.perf_counter() - wall))
        cpu_ms.append(1000 * (time.process_time() - cpu))
        estimates += sum(e.prediction is not None for e in found)
    after = slice(25, None)  # the first second loads and warms up
    return {
        "trunk": a.trunk,
        "precision": a.precision,
        "size": a.size,
        "frames": len(wall_ms),
        "estimates": estimates,
        **{f"{name}_ms": round(float(np.percentile(wall_ms[after], q)), 1) for name, q in (("p50", 50), ("p99", 99))},
        **{f"cpu_{name}_ms": round(float(np.percentile(cpu_ms[after], q)), 1) for name, q in (("p50", 50), ("p99", 99))},
        "worst_ms": round(max(wall_ms[after]), 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(
        "--trunk", default="mini-xception-fer", help="alexnet-table1 is the paper's size, with random weights"
    )
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"), help="of the trunk")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = measure(chosen)
    print(json.dumps(found, indent=1) if chosen.json else "  ".join(f"{k}={v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
