"""How often the intervals of F1, sensitivity, specificity, AUROC and ECE cover the truth: the grids of coverage.py, fewer runs.

    export PYTHONPATH=. OPENBLAS_NUM_THREADS=1
    nice .venv/bin/python tests/benchmarks/coverage_metrics.py --runs 200 --out tests/benchmarks/coverage_metrics.csv

The truth is the mean over all runs; that of ECE the ECE of the predictions of all runs together. The probability of pain is the
least-squares score, cut to 0 and 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from grid.results.calibration import ece_of_people
from grid.results.people import METRICS
from grid.results.stats import intervals
from painmodels.tasks.binary import THRESHOLD
from tests.benchmarks.coverage import EFFECTS, ROWS, SCHEMES, SIZES, folds_of, scored

CELLS = [
    (size, scheme, effect)
    for size in ("20 x 4", "87 x 40")
    for scheme in ("10 folds", "loso")
    for effect in ("own responses", "64 %", "78 %")
]
SHOWN = ("eda", "eda+ecg+video")


def simulate(size: str, scheme: str, effect: str, *, runs: int, seed: int = 0) -> dict[str, float | str]:
    """Coverage of each metric of a cell in percent, mean of the rows SHOWN."""
    people, trials = SIZES[size]
    rng = np.random.default_rng([seed, people, list(SCHEMES).index(scheme), list(EFFECTS).index(effect), 1])
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    pooled: dict[str, list[pd.DataFrame]] = {row: [] for row in SHOWN}
    for run in range(runs):
        fold_RS = folds_of(people, scheme, run % 20)
        parts: dict[str, list[pd.DataFrame]] = {row: [] for row in SHOWN}
        for i, repeat, y_T, score_ST in scored(rng, fold_RS, trials, EFFECTS[effect]):
            if ROWS[i] in SHOWN:
                parts[ROWS[i]].append(_table(repeat, fold_RS[repeat], y_T, score_ST))
        for row, tables in parts.items():
            table = pd.concat(tables, ignore_index=True)
            pooled[row].append(table[["y_true", "p_pain"]])
            for name, one in intervals(table, (*METRICS, "ece")).items():
                found.setdefault((row, name), []).append((one.mean, one.low, one.high))
    out: dict[str, float | str] = {"size": size, "scheme": scheme, "effect": effect, "runs": runs}
    for name in (*METRICS, "ece"):
        covered = []
        for row in SHOWN:
            mean_N, low_N, high_N = np.array(found[row, name]).T
            truth = _ece(pooled[row]) if name == "ece" else np.nanmean(mean_N)
            known = ~np.isnan(low_N)
            covered.append(float(((low_N <= truth) & (truth <= high_N))[known].mean()))
        out[name] = 100 * float(np.mean(covered))
    return out


def _ece(tables: list[pd.DataFrame]) -> float:
    """Of everything together, as if it were one person's."""
    every = pd.concat(tables).assign(subject_name="all", fold=0)
    return float(ece_of_people(every).to_numpy().mean())


def _table(repeat: int, fold_S: np.ndarray, y_T: np.ndarray, score_ST: np.ndarray) -> pd.DataFrame:
    s, t = (a.ravel() for a in np.indices(score_ST.shape))
    names = np.array([f"s{i:02d}" for i in range(len(fold_S))])
    table = pd.DataFrame({"subject_name": names[s], "fold": fold_S[s], "repeat": repeat, "seed": 0, "sample_name": t})
    return table.assign(y_true=(y_T[t] > 0).astype(int), p_pain=np.clip(THRESHOLD + score_ST.ravel() / 2, 0, 1))


def main() -> int:
    """Simulate every cell, print it, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for cell in CELLS:
        start = time.monotonic()
        rows.append(simulate(*cell, runs=options.runs))
        told = ", ".join(f"{k} {v:.1f}" if isinstance(v, float) else str(v) for k, v in rows[-1].items())
        print(f"{told} ({time.monotonic() - start:.0f} s)", flush=True)
    if options.out:
        pd.DataFrame(rows).round(1).to_csv(options.out, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
