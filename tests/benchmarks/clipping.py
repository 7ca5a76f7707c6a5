"""Whether physiological LSTMs keep what they learned: fits with clipped gradients, without, and with other remedies.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/clipping.py                     # demo settings, five folds, all variants
    PYTHONPATH=. .venv/bin/python tests/benchmarks/clipping.py --settings paper --folds 0,1 --variants off,clip
    PYTHONPATH=. .venv/bin/python tests/benchmarks/clipping.py --cost              # what clipping costs, interleaved

A synthetic data set of `--subjects` people x 8 trials x 2 classes is written to `--data` if it is not there, and read as the
grid reads it. With `--plain` everybody's skin answers to the stimulus; without, one person in ten has a skin that does not.
A row of the output is a fit: verdict, training loss (lowest and last epoch), accuracy on held-out people, and `jumps`: how
often the loss of an epoch rose above half of a constant guess after it had been below a quarter. `--inner` holds out people
of the training side of each fold instead, for choosing between variants.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataprep.datasets.synthetic import DATASET
from dataprep.records import SampleIndex
from dataprep.signals.files import prepare_signals
from dataprep.synthetic import dataset
from grid.experiment.config import load
from grid.protocols.subject import split
from painmodels.registry import Training, network
from painmodels.training.loop import Fitted, fit, outputs
from painmodels.training.normalise import normalised

LSTM = network("physiological", "lstm")
VARIANTS = ("off", "clip", "forget", "decay", "average", "clip+decay")
TREE = ("subjects", "seed", "signal", "row", "plain")
AVERAGED = 10
"""Epochs at the end whose weights are averaged in the variant `average`."""


def tree(
    folder: Path, *, subjects: int, seed: int, signal: str, row: str, plain: bool
) -> tuple[np.ndarray, np.ndarray, SampleIndex]:
    """Signals (N, T, C), scaled by trial, labels (N,) and the table of trials."""
    if not folder.exists():
        if plain:
            dataset.NON_RESPONDERS = 0.0
        dataset.write_synthetic(folder, subjects=subjects, trials=8, seed=seed, signal=signal, size=(160, 120))
    trials, _ = DATASET.read_trials(folder)
    trials = [t for t in trials if t.class_id in (DATASET.negative, DATASET.positive)]
    x_NTC, ids, defects = prepare_signals(trials, replace(DATASET, channels=tuple(row.split("+"))))
    assert not defects
    index = SampleIndex.of(trials, classes=(DATASET.negative, DATASET.positive))
    assert ids == index.trial_ids
    return normalised(x_NTC, how="trial", subjects=index.subjects)[0], np.array(index.labels), index


def sides(index: SampleIndex, fold: int, *, folds: int, inner: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train, and rows that test."""
    chosen = split(index, folds=folds, seed=0)[fold]
    if inner:
        chosen = split(index.only(chosen.train), folds=3, seed=0)[0]
    row = {t: n for n, t in enumerate(index.trial_ids)}
    return np.array([row[t] for t in chosen.train]), np.array([row[t] for t in chosen.test])


def trained(
    variant: str, settings: Training, x: np.ndarray, y: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], Fitted]:
    """Weights and the fit of a variant: the same first weights and batches in all of them."""
    clip = replace(settings, clip_norm=1.0 if "clip" in variant else 0.0)
    if "decay" in variant:
        clip = replace(clip, milestones=(settings.epochs * 2 // 3, settings.epochs * 5 // 6))
    initial = {}
    if variant == "forget":
        start = fit(LSTM, replace(clip, epochs=0), [x], y, seed=seed).weights
        for name, value in start.items():
            if "bias_ih" in name:  # gates in the order of PyTorch: input, forget, cell, output
                hidden = len(value) // 4
                initial[name] = np.concatenate([value[:hidden], np.ones(hidden, np.float32), value[2 * hidden :]])
    if variant != "average":
        fitted = fit(LSTM, clip, [x], y, seed=seed, initial=initial)
        return fitted.weights, fitted
    kept: dict[str, dict[str, np.ndarray]] = {}
    checkpoint = _memory(kept)
    sums: dict[str, np.ndarray] = {}
    for last in range(settings.epochs - AVERAGED + 1, settings.epochs + 1):
        fitted = fit(LSTM, clip, [x], y, seed=seed, checkpoint=checkpoint, until=last)
        for name, value in fitted.weights.items():
            sums[name] = sums.get(name, 0) + value.astype(np.float64) / AVERAGED
    return {name: value.astype(np.float32) for name, value in sums.items()}, fitted


def _memory(kept: dict[str, dict[str, np.ndarray]]) -> Any:
    from painmodels.training.checkpoints import Checkpoint

    return Checkpoint(10**9, lambda state: kept.__setitem__("state", state), lambda: kept.get("state"))


def one(job: dict[str, Any]) -> dict[str, Any]:
    """One fit, tested on people that it has not seen."""
    x, y, index = tree(Path(job["data"]), **{name: job[name] for name in TREE})
    train, test = sides(index, job["fold"], folds=job["folds_in_all"], inner=job["inner"])
    settings = load(job["settings"]).network("physiological")[1]
    started = time.process_time()
    weights, fitted = trained(job["variant"], settings, x[train], y[train], seed=job["fold"])
    seconds = time.process_time() - started
    p = outputs(LSTM, settings, weights, [x[test]], what="prediction")
    loss = np.array([row["loss"] for row in fitted.curve])
    constant = np.log(2)
    low, jumps = False, 0
    for value in loss:
        jumps += low and value > constant / 2
        low = value < constant / 4 or (low and value <= constant / 2)
    assert fitted.learning is not None
    facts = {"verdict": fitted.learning.verdict, "lowest": float(loss.min()), "last": float(loss[-1]), "jumps": int(jumps)}
    facts |= {"high": float((loss[10:] > constant / 2).mean()), "largest_norm": fitted.learning.largest_gradient_norm}
    return {**job, **facts, "accuracy": float(((p > 0.5) == y[test]).mean()), "cpu_s": round(seconds, 1)}


def cost(a: argparse.Namespace) -> dict[str, float]:
    """The time of an epoch with clipping by that without, interleaved: median of pairs, of every shape of network."""
    rng = np.random.default_rng(0)
    found = {}
    for role, name, shapes in (
        ("physiological", "lstm", [(640, 138, 1)]),
        ("temporal", "lstm", [(256, 138, 128)]),
        ("attention", "additive", [(640, 138, 32), (640, 138)]),
        ("fusion", "concat", [(640, 32), (640, 32)]),
        ("spatial", "fc7", [(64, 138, 512)]),
    ):
        entry = network(role, name)
        own = replace(load("demo").network(role)[1], epochs=2)
        inputs = [rng.normal(size=s).astype(np.float32) for s in shapes]
        labels, pairs = np.arange(shapes[0][0]) % 2, []
        for _ in range(a.pairs):
            seconds = []
            for clip_norm in (0.0, 1.0):
                started = time.process_time()
                fit(entry, replace(own, clip_norm=clip_norm), inputs, labels, seed=0)
                seconds.append(time.process_time() - started)
            pairs.append(seconds[1] / seconds[0])
        found[role] = round(statistics.median(pairs), 4)
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--settings", default="demo", help="the experiment whose [physiological] table is used")
    p.add_argument("--variants", default=",".join(VARIANTS))
    p.add_argument("--folds", default="0,1,2,3,4", help="which of five folds")
    p.add_argument("--row", default="eda", help="eda, or eda+ecg")
    p.add_argument("--signal", default="eda", help="what carries the label: see dataprep.synthetic")
    p.add_argument("--subjects", type=int, default=40)
    p.add_argument("--plain", action="store_true", help="everybody's skin answers")
    p.add_argument("--seed", type=int, default=0, help="of the data")
    p.add_argument("--data", type=Path, default=Path("runs/clipping"))
    p.add_argument("--inner", action="store_true", help="hold out people of the training side")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--cost", action="store_true")
    p.add_argument("--pairs", type=int, default=9)
    a = p.parse_args()
    if a.cost:
        print(json.dumps(cost(a)))
        return
    data = a.data / f"{a.signal}-{a.subjects}-{a.seed}{'-plain' if a.plain else ''}"
    shared = {name: getattr(a, name) for name in TREE}
    tree(data, **shared)
    shared |= {"settings": a.settings, "data": str(data), "inner": a.inner, "folds_in_all": 5}
    jobs = [{**shared, "variant": v, "fold": int(f)} for f in a.folds.split(",") for v in a.variants.split(",")]
    rows = []
    with ProcessPoolExecutor(a.jobs) as pool:
        for row in pool.map(one, jobs):
            rows.append(row)
            print(json.dumps({k: v for k, v in row.items() if k not in shared}), flush=True)
    print(f"\n{'variant':<12}{'collapsed':>10}{'not learned':>12}{'jumps':>7}{'held-out accuracy':>28}{'CPU s':>8}")
    for variant in a.variants.split(","):
        mine = [r for r in rows if r["variant"] == variant]
        accuracy = [r["accuracy"] for r in mine]
        spread = np.std(accuracy, ddof=1) if len(mine) > 1 else 0
        text = f"{np.mean(accuracy):.3f} ± {spread:.3f}, least {min(accuracy):.3f}"
        counts = [sum(r["verdict"] == v for r in mine) for v in ("collapsed", "not learned")]
        jumps, seconds = sum(r["jumps"] for r in mine), sum(r["cpu_s"] for r in mine)
        print(f"{variant:<12}{counts[0]:>10}{counts[1]:>12}{jumps:>7}{text:>28}{seconds:>8.0f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
