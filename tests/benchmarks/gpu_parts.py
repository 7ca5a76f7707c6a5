"""Two measurements on a GPU or, to see that they run, on the CPU. Each prints one JSON object.

    python tests/benchmarks/gpu_parts.py batches|sharing [--device cuda]

`batches`: pictures a second of the face detector and of each trunk, by how many are handed over at once. `sharing`: two fits of
the physiological LSTM in two processes at once against one after the other; 2 would be two fits in the time of one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from skimage import data

TRUNKS = ("mini-xception-fer", "alexnet-table1")


def rate(work: Callable[[], Any], n: int, device: str, repeats: int = 3) -> float:
    """Pictures a second, of the best of some runs after a first one."""
    best = float("inf")
    for turn in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        if turn:
            best = min(best, time.perf_counter() - started)
    return round(n / best, 1)


def batches(device: str) -> dict[str, Any]:
    import cv2

    from dataprep.video.retinaface import detector, providers
    from painmodels.trunks.trunk import load_trunk

    sizes = (1, 8, 32, 128) if device == "cuda" else (1, 8)
    face = data.astronaut()[:300, 80:380]
    window = cv2.resize(face, (320, 320))
    detect = detector("retinaface-mobile", min_score=0.5)
    found: dict[str, Any] = {"device": device, "detector_runs_on": providers()}
    found["detector"] = {b: rate(partial(detect, [window] * b), b, device) for b in sizes}
    crop = cv2.resize(face, (227, 227))
    for name in TRUNKS:
        trunk = load_trunk(name, random=name != "mini-xception-fer", seed=0)
        found[name] = {b: rate(partial(trunk, np.stack([crop] * b), device), b, device) for b in sizes}
    return found


def one_fit(device: str, epochs: int, start: Any, times: Any) -> None:
    from painmodels.registry import network
    from painmodels.training.loop import fit

    entry = network("physiological", "lstm")
    rng = np.random.default_rng(0)
    x_NTC, labels = rng.normal(size=(256, 138, 2)).astype(np.float32), np.arange(256) % 2
    settings = {"hidden": 64, "layers": 2, "batch": 64}
    fit(entry, entry.settings(epochs=1, **settings), [x_NTC], labels, seed=0, device=device)
    start.wait()
    started = time.perf_counter()
    fit(entry, entry.settings(epochs=epochs, **settings), [x_NTC], labels, seed=0, device=device)
    times.put(time.perf_counter() - started)


def sharing(device: str) -> dict[str, Any]:
    context, epochs = get_context("spawn"), 40 if device == "cuda" else 2

    def together(n: int) -> float:
        start, times = context.Barrier(n), context.Queue()
        processes = [context.Process(target=one_fit, args=(device, epochs, start, times)) for _ in range(n)]
        for process in processes:
            process.start()
        seconds = [times.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
        return max(seconds)

    alone_s, both_s = together(1), together(2)
    return {
        "device": device,
        "epochs": epochs,
        "one_fit_s": round(alone_s, 2),
        "two_at_once_s": round(both_s, 2),
        "fits_by_time_against_one_after_the_other": round(2 * alone_s / both_s, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("batches", "sharing"))
    parser.add_argument("--device", default="cuda")
    chosen = parser.parse_args()
    print(json.dumps({"batches": batches, "sharing": sharing}[chosen.what](chosen.device)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
