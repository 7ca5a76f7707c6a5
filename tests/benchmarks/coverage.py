"""How often the intervals of grid/results/inference.py cover the truth, and how often a claim is false: simulated grids.

    export PYTHONPATH=. OPENBLAS_NUM_THREADS=1
    nice .venv/bin/python tests/benchmarks/coverage.py --runs 2000 --out tests/benchmarks/coverage.csv

Each run draws people with effects of their own (an offset of every feature; a response of their own to the stimulus), makes the
eight rows of nested features, trains a least-squares classifier on the training side of every fold of the real protocols, and
tests it on the people left out. The truth of a cell is 50 % without a common response, and the mean over all its runs elsewhere:
the expected accuracy, on a new person, of what is trained on (K - 1)/K of such a sample.

Columns, in percent or as a rate: `coverage` of the 95 % intervals (mean over the rows), `lowest` (the row that is covered
least), `above`: how often a row without any response is claimed to be above chance (uncorrected), `pair`: how often a pair of
equal rows is told apart (uncorrected), `family_chance`, `family_pairs`: how often there is any false claim after Holm's
correction over eight rows, over the pairs of a scenario that add one recording; and the coverage of what was used before:
`bootstrap` over people and `fold_t`, the corrected t test over folds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from dataprep.records import SampleIndex
from grid.experiment.partitions import partition_seed
from grid.protocols import protocols
from grid.results.inference import ALPHA, corrected, learned
from grid.results.stats import holm

FEATURES = {"eda": range(3), "ecg": range(3, 6), "video": range(6, 12)}
ROWS = ("frame", "video", "ecg", "eda", "eda+video", "ecg+video", "eda+ecg", "eda+ecg+video")
ADDED = ((3, 4), (1, 4), (2, 5), (1, 5), (3, 6), (2, 6), (4, 7), (5, 7), (6, 7), (0, 1))
"""Pairs of rows of which the second sees one recording more (frame and video: the same over time)."""
EQUAL = ((2, 3), (4, 5))
"""Rows whose expected accuracies are equal whatever the effect: ecg and eda, each alone and with the video."""
EFFECTS = {"labels permuted": (0.0, 0.0), "own responses": (0.0, 0.5), "64 %": (0.42, 0.2), "78 %": (1.0, 0.35)}
"""Name -> the common response and the SD of a person's own, both in SDs of the noise of a trial."""
SIZES = {"20 x 4": (20, 4), "67 x 40": (67, 40), "87 x 40": (87, 40)}
SCHEMES = {"10 folds": ("subject", 1), "10 folds x 5": ("subject", 5), "loso": ("loso", 1)}
N_FEATURES = 12
PARTITIONS = 40


def columns_of(row: str) -> list[int]:
    """The features that a row sees; `frame` has half of the video's."""
    return [6, 7, 8] if row == "frame" else [i for word in row.split("+") for i in FEATURES[word]]


def folds_of(people: int, scheme: str, seed: int) -> np.ndarray:
    """The fold that tests each person (last axis) in each partition, from the protocols of the project."""
    names = tuple(f"s{i:02d}" for i in range(people))
    index = SampleIndex(names, names, (0,) * people)
    name, repeats = SCHEMES[scheme]
    fold_RS = np.zeros((repeats, people), int)
    for repeat in range(repeats):
        for split in protocols()[name](index, folds=10, seed=partition_seed(seed, repeat), holdout=None):
            fold_RS[repeat, [names.index(t) for t in split.test]] = split.fold
    return fold_RS


def one_run(rng: np.random.Generator, fold_RS: np.ndarray, trials: int, effect: tuple[float, float]) -> np.ndarray:
    """Accuracy of each row, partition and person of one simulated grid."""
    right = np.zeros((len(ROWS), *fold_RS.shape))
    for i, repeat, y_T, score_ST in scored(rng, fold_RS, trials, effect):
        right[i, repeat] = ((score_ST > 0) == (y_T > 0)).mean(axis=1)
    return right


def scored(
    rng: np.random.Generator, fold_RS: np.ndarray, trials: int, effect: tuple[float, float]
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Of each row and partition of one simulated grid: what was true of a trial (-1 or 1) and its score, by person and trial."""
    people, (common, own) = fold_RS.shape[1], effect
    y_T = np.tile([-1.0, 1.0], trials // 2)
    mu_F = np.concatenate([np.full(len(r), common / np.sqrt(len(r))) for r in FEATURES.values()])
    response_SF = mu_F + own * rng.normal(size=(people, N_FEATURES))
    x_STF = rng.normal(size=(people, 1, N_FEATURES)) + y_T[:, None] * response_SF[:, None]
    x_STF = np.concatenate([x_STF + rng.normal(size=(people, trials, N_FEATURES)), np.ones((people, trials, 1))], axis=2)
    gram_SFF, moment_SF = np.einsum("stf,stg->sfg", x_STF, x_STF), np.einsum("stf,t->sf", x_STF, y_T)
    for repeat, fold_S in enumerate(fold_RS):
        gram_KFF = np.zeros((fold_S.max() + 1, N_FEATURES + 1, N_FEATURES + 1))
        moment_KF = np.zeros(gram_KFF.shape[:2])
        np.add.at(gram_KFF, fold_S, gram_SFF)
        np.add.at(moment_KF, fold_S, moment_SF)
        gram_KFF, moment_KF = gram_SFF.sum(axis=0) - gram_KFF, moment_SF.sum(axis=0) - moment_KF
        for i, row in enumerate(ROWS):
            c = [*columns_of(row), N_FEATURES]
            w_KF = np.linalg.solve(gram_KFF[:, c][:, :, c] + 1e-3 * np.eye(len(c)), moment_KF[:, c][..., None])[..., 0]
            score_ST = np.einsum("stf,sf->st", x_STF[:, :, c], w_KF[fold_S])
            yield i, repeat, y_T, score_ST


def draw(size: str, scheme: str, effect: str, *, runs: int, seed: int, cache: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of a cell (run, row, partition, person) and the fold that tests each person (run, partition, person).

    `cache`: a folder that keeps them, so that another rule can be judged on the same grids.
    """
    people, trials = SIZES[size]
    kept = cache / f"{size}, {scheme}, {effect}, {runs} runs, seed {seed}.npz" if cache else None
    if kept and kept.is_file():
        with np.load(kept) as file:
            return file["right"] / trials, file["folds"]
    partitions = [folds_of(people, scheme, s) for s in range(PARTITIONS if scheme != "loso" else 1)]
    rng = np.random.default_rng([seed, people, list(SCHEMES).index(scheme), list(EFFECTS).index(effect)])
    chosen = [partitions[rng.integers(len(partitions))] for _ in range(runs)]
    x_NMRS = np.stack([one_run(rng, fold_RS, trials, EFFECTS[effect]) for fold_RS in chosen])
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, right=np.rint(x_NMRS * trials).astype(np.uint8), folds=np.array(chosen, np.uint8))
    return x_NMRS, np.array(chosen)


def simulate(
    size: str, scheme: str, effect: str, *, runs: int, seed: int = 0, cache: Path | None = None
) -> dict[str, float | str]:
    """The figures of one cell."""
    x_NMRS, fold_NRS = draw(size, scheme, effect, runs=runs, seed=seed, cache=cache)
    people, folds = x_NMRS.shape[-1], int(fold_NRS.max()) + 1
    null, n_train = EFFECTS[effect][0] == 0, people - people / folds
    truth_M = np.full(len(ROWS), 0.5) if null else x_NMRS.mean(axis=(0, 2, 3))
    x_NMSR = np.swapaxes(x_NMRS, -1, -2)
    r_NM = learned(x_NMSR, n_train=n_train, chance=0.5)
    mean_NM, se_NM, null_NM = corrected(x_NMSR, n_train=n_train, learned=r_NM)
    _, p_NM = _test(mean_NM - truth_M, se_NM, people)
    t_NM, chance_NM = _test(mean_NM - 0.5, null_NM, people)
    differences = np.stack([x_NMRS[:, b] - x_NMRS[:, a] for a, b in (ADDED if null else EQUAL)], axis=1)
    mean_NJ, se_NJ, _ = corrected(np.swapaxes(differences, -1, -2), n_train=n_train)
    _, p_pairs = _test(mean_NJ, se_NJ, people)
    covered_M = (p_NM > ALPHA).mean(axis=0)
    claims = np.where(t_NM > 0, chance_NM, 1.0)
    of_folds = _by_fold(x_NMRS, fold_NRS) - truth_M[:, None]
    found: dict[str, float | str] = {"size": size, "scheme": scheme, "effect": effect, "runs": runs}
    found |= {"coverage": 100 * covered_M.mean(), "lowest": 100 * covered_M.min()}
    found |= {"above": (claims < ALPHA).mean() if null else np.nan, "pair": (p_pairs < ALPHA).mean()}
    found |= {"family_chance": _family(chance_NM, t_NM > 0) if null else np.nan, "family_pairs": _family(p_pairs)}
    found |= {"bootstrap": 100 * _bootstrap_covers(x_NMRS.mean(axis=2) - truth_M[:, None], np.random.default_rng(seed))}
    return found | {"fold_t": 100 * _fold_t_covers(of_folds, folds)}


def _test(mean: np.ndarray, se: np.ndarray, people: int) -> tuple[np.ndarray, np.ndarray]:
    """t and two-sided p of "the mean is zero" of each run and row, as the report computes them."""
    t = np.nan_to_num(mean / se)  # where nothing can be told nothing is claimed
    return t, 2 * student_t.sf(np.abs(t), people - 1)


def _family(p_NM: np.ndarray, may_NM: np.ndarray | bool = True) -> float:
    return float(
        np.mean([(np.where(may, holm(p), 1.0) < ALPHA).any() for p, may in zip(p_NM, _each(may_NM, p_NM), strict=True)])
    )


def _each(may: np.ndarray | bool, like: np.ndarray) -> Iterable[np.ndarray]:
    return np.broadcast_to(may, like.shape)


def _by_fold(x_NMRS: np.ndarray, fold_NRS: np.ndarray) -> np.ndarray:
    """Mean over the people of each fold of each partition: runs x rows x (partitions x folds)."""
    n, m, repeats, _ = x_NMRS.shape
    folds = int(fold_NRS.max()) + 1
    out = np.empty((n, m, repeats, folds))
    for k in range(folds):
        inside = (fold_NRS == k)[:, None]
        out[..., k] = (x_NMRS * inside).sum(axis=-1) / inside.sum(axis=-1)
    return out.reshape(n, m, repeats * folds)


def _fold_t_covers(x_NMJ: np.ndarray, folds: int) -> float:
    """Coverage of the corrected t interval over the folds of all partitions (Bouckaert & Frank 2004)."""
    n = x_NMJ.shape[-1]
    se = np.sqrt((1 / n + 1 / (folds - 1)) * x_NMJ.var(axis=-1, ddof=1))
    return float((np.abs(x_NMJ.mean(axis=-1)) <= student_t.ppf(0.975, n - 1) * se).mean())


def _bootstrap_covers(x_NMS: np.ndarray, rng: np.random.Generator, resamples: int = 400) -> float:
    """Coverage of the percentile interval of people drawn with replacement."""
    people = x_NMS.shape[-1]
    weight_BS = rng.multinomial(people, np.full(people, 1 / people), size=resamples) / people
    low, high = np.quantile(x_NMS @ weight_BS.T, [0.025, 0.975], axis=-1)
    return float(((low <= 0) & (high >= 0)).mean())


def main() -> int:
    """Simulate every cell, print it, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--cache", type=Path, help="a folder that keeps the simulated accuracies (30 MB), to judge another rule"
    )
    options = parser.parse_args()
    simulated = partial(simulate, runs=options.runs, cache=options.cache)
    rows = []
    for size in SIZES:
        for scheme in SCHEMES:
            for effect in EFFECTS:
                start = time.monotonic()
                rows.append(simulated(size, scheme, effect))
                told = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else str(v) for k, v in rows[-1].items())
                print(f"{told} ({time.monotonic() - start:.0f} s)", flush=True)
    table = pd.DataFrame(rows)
    print(f"mean coverage {table['coverage'].mean():.1f} %, lowest cell {table['coverage'].min():.1f} %")
    print(table[["above", "pair", "family_chance", "family_pairs"]].max().to_string())
    if options.out:
        table.round(4).to_csv(options.out, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
