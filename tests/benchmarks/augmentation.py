"""What each augmentation adds: accuracy on new people with it and without, paired by person; and whether the generator
memorises.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/augmentation.py                                  # eda:cnn-lstm, five folds
    PYTHONPATH=. .venv/bin/python tests/benchmarks/augmentation.py --row ecg:cnn --level 1 --subjects 20

Made-up bodies (dataprep/synthetic/physiology.py), without files: `--subjects` people x 2 x `--trials` windows, whose pain
shows at `--level` (1: as in the synthetic data sets, where EDA leaves nothing to improve). Settings are those of
`methods-demo`, folds hold out people. A row of the output: the augmentation, accuracy, the difference to none in points with
its 95 % interval over people (corrected for what training sets share), seconds. For the generator: the median distance of
its windows to the nearest training window, and of held-out real ones; the first is not to be below the second.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd

from dataprep.signals.resampling import to_clock
from dataprep.synthetic import physiology
from grid.experiment.cells import row
from grid.experiment.config import load
from grid.plan.nodes import graph
from grid.results.inference import estimate
from painmodels.registry import SubNetwork
from painmodels.training.augment import KINDS, Augment, augmented, nearest
from painmodels.training.loop import fit, outputs
from painmodels.training.normalise import normalised

CLOCK_HZ, STEPS = 25.0, 138


def people(words: tuple[str, ...], *, subjects: int, trials: int, level: float, seed: int) -> tuple[np.ndarray, ...]:
    """Windows (N, T, C), scaled by trial; labels and people (N,)."""
    x, y, who = [], [], []
    for person in range(subjects):
        body = physiology.draw_body(np.random.default_rng([seed, person]), responds=True)
        for trial in range(2 * trials):
            rng = np.random.default_rng([seed, person, trial])
            raw = [getattr(physiology, word)(body, rng, level=level * (trial % 2)) for word in words]
            clock: dict[str, Any] = {"rate_hz": physiology.RATE_HZ, "clock_hz": CLOCK_HZ, "n_steps": STEPS}
            x.append(np.stack([to_clock(one, **clock) for one in raw], axis=-1))
            y.append(trial % 2)
            who.append(person)
    return normalised(np.array(x), how="trial", subjects=[""] * len(x))[0], np.array(y), np.array(who)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--row", default="eda:cnn-lstm")
    p.add_argument("--subjects", type=int, default=30)
    p.add_argument("--trials", type=int, default=2)
    p.add_argument("--level", type=float, default=0.1)
    p.add_argument("--folds", type=int, default=5)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--kinds", default=",".join([*KINDS, "all"]), help="which of them (default: each, and all together)")
    options = p.parse_args()
    (node,) = graph(load("methods-demo"), row(options.row))
    network, settings = node.trained, node.settings
    assert isinstance(network, SubNetwork)
    asked = {"subjects": options.subjects, "trials": options.trials, "level": options.level, "seed": options.seed}
    x_NTC, y_N, who_N = people(node.words, **asked)
    order = np.random.default_rng(options.seed).permutation(options.subjects)
    right: dict[str, np.ndarray] = {}
    distances: dict[str, list[float]] = {"drawn": [], "held-out": []}
    for name in ("none", *options.kinds.split(",")):
        kinds = {"none": (), "all": tuple(KINDS)}.get(name, (name,))
        chosen = Augment(kinds=kinds) if kinds else None
        began, hit_N = time.perf_counter(), np.zeros(len(y_N))
        for fold in range(options.folds):
            tested = np.isin(who_N, order[fold :: options.folds])
            x, y = augmented(x_NTC[~tested], y_N[~tested], chosen, seed=fold, normalise="trial")
            weights = fit(network, settings, [x], y, seed=fold).weights
            p_N = outputs(network, settings, weights, [x_NTC[tested]], what="prediction")
            hit_N[tested] = (p_N > 0.5) == y_N[tested]
            if name == "vae":
                known = x[: (~tested).sum()]
                distances["drawn"].append(float(np.median(nearest(x[len(known) :], known))))
                distances["held-out"].append(float(np.median(nearest(x_NTC[tested], known))))
        right[name] = np.array([hit_N[who_N == person].mean() for person in range(options.subjects)])
        n_train = options.subjects * (1 - 1 / options.folds)
        found = estimate(pd.Series(right[name] - right["none"]), n_train=n_train)
        points = f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]" if name != "none" else ""
        print(f"{name:16}{100 * right[name].mean():6.1f} %  {points:24}{time.perf_counter() - began:8.1f} s", flush=True)
    means = {name: float(np.mean(values)) for name, values in distances.items() if values}
    if means:
        print(f"distance to the nearest training window: drawn {means['drawn']:.2f}, held-out {means['held-out']:.2f}")


if __name__ == "__main__":
    main()
