"""Which settings make the learned row learn real people: Stress-Predict, EDA of 27 people, stress against rest.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/stress.py choose DATA --out choose.jsonl --minutes 30     # inner folds alone
    PYTHONPATH=. .venv/bin/python tests/benchmarks/stress.py confirm DATA --out confirm.jsonl --variant NAME --epochs 40
    PYTHONPATH=. .venv/bin/python tests/benchmarks/stress.py table --out choose.jsonl

DATA is the folder Raw_data of the data set (dataprep/datasets/stress_predict.py). `choose`: partition 0 in ten folds; three inner
folds of the training sides of folds 0 and 5: nobody of these folds' test sides is seen. `confirm`: partitions 101 to 105 in ten
folds, from three seeds, and the forest on the same. A line of a file is a fit; what a file has is not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dataprep.datasets.stress_predict import CLOCK_HZ, DATASET
from dataprep.records import SampleIndex
from dataprep.signals.derived import phasic
from dataprep.signals.files import prepare_signals
from grid.experiment.config import load
from grid.protocols.subject import split
from grid.results.inference import estimate
from painmodels.methods import method
from painmodels.methods.graph import Recordings
from painmodels.registry import network
from painmodels.training.checkpoints import Checkpoint
from painmodels.training.loop import fit, outputs
from painmodels.training.normalise import Limits, normalised

LSTM = network("physiological", "lstm")
SMALL: dict[str, Any] = {"hidden": 32, "layers": 1, "filters": 16, "kernel": 9, "stride": 4, "pooling": "mean"}
PAPER: dict[str, Any] = {}
FAST: dict[str, Any] = {**SMALL, "lr": 3e-3}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    # name -> (how signals are scaled, what of [physiological] of `paper` is changed)
    **{f"small {how}": (how, SMALL) for how in ("trial", "train", "train-step", "trial-z", "train-z", "start", "centred")},
    "small difference": ("difference", SMALL),
    "small data set": ("data set", SMALL),  # min-max over everybody, those held out among them
    "small phasic train-z": ("phasic train-z", SMALL),
    **{f"small start {pooling}": ("start", {**SMALL, "pooling": pooling}) for pooling in ("last", "max", "attention")},
    "small start forget": ("start", {**SMALL, "forget_bias": 1.0}),
    **{f"fast {how}": (how, FAST) for how in ("trial", "trial-z", "start", "difference")},
    **{f"fast trial-z {pooling}": ("trial-z", {**FAST, "pooling": pooling}) for pooling in ("last", "max", "attention")},
    "fast trial-z forget": ("trial-z", {**FAST, "forget_bias": 1.0}),
    "fast trial-z dropout": ("trial-z", {**FAST, "layers": 2, "dropout": 0.3}),
    "fast trial-z decay": ("trial-z", {**FAST, "weight_decay": 1e-2}),
    "fast trial-z stride 8": ("trial-z", {**FAST, "stride": 8, "kernel": 17}),
    "fast trial-z wide": ("trial-z", {**FAST, "filters": 32, "hidden": 64}),
    "fast trial-z rate 0.01": ("trial-z", {**FAST, "lr": 1e-2}),
    "long trial": ("trial", FAST),
    "paper trial": ("trial", PAPER),
    "paper trial-z mean": ("trial-z", {"pooling": "mean"}),
}
LOOKS = (20, 40, 60, 120)
LONG = (120, 240, 400)
"""Epochs after which a fit is looked at. The paper's network costs twenty times as much: 60 epochs, half of the fits."""
PARTITIONS, SEEDS = range(101, 106), range(3)
COLUMNS = ("variant", "partition", "outer", "inner", "seed")


@cache
def trials(data: Path) -> tuple[np.ndarray, SampleIndex]:
    """EDA (N, T, 1) at 4 Hz, and the table of its windows."""
    found, _ = DATASET.read_trials(data)
    x_NTC, ids, _ = prepare_signals(found, DATASET)
    return x_NTC, SampleIndex.of(found, classes=(0, 1)).only(ids)


def sides(index: SampleIndex, job: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train and rows that are looked at: a fold, or an inner one of its training side."""
    chosen = split(index, folds=10, seed=job["partition"])[job["outer"]]
    if job["inner"] >= 0:
        chosen = split(index.only(chosen.train), folds=3, seed=0)[job["inner"]]
    row = {t: n for n, t in enumerate(index.trial_ids)}
    return np.array([row[t] for t in chosen.train]), np.array([row[t] for t in chosen.test])


def scaled(x: np.ndarray, how: str, train: np.ndarray, subjects: tuple[str, ...]) -> np.ndarray:
    """All rows, scaled by the training rows; `data set` by everybody."""
    if how == "phasic train-z":
        x, how = np.stack([phasic(row[:, 0], CLOCK_HZ, "eda", CLOCK_HZ)[0] for row in x])[..., None], "train-z"
    if how == "data set":
        return normalised(x, how="train", subjects=subjects, fitted=Limits(x.min((0, 1)), x.max((0, 1))))[0]
    names = [subjects[n] for n in train]
    _, fitted = normalised(x[train], how=how, subjects=names, rate_hz=CLOCK_HZ)
    return normalised(x, how=how, subjects=subjects, fitted=fitted, rate_hz=CLOCK_HZ)[0]


def one(data: Path, job: dict[str, Any], looks: tuple[int, ...]) -> dict[str, Any]:
    """A fit: accuracy of people who were held out, person by person, and of the training side, after some epochs."""
    x, index = trials(data)
    train, held = sides(index, job)
    labels, started, found = np.array(index.labels), time.process_time(), {}
    rule = job["variant"].removeprefix("eda:")
    if rule != job["variant"]:
        entry = method(rule).parts(("eda",), lambda role: LSTM)[0].trained
        take = lambda rows: Recordings(len(rows), CLOCK_HZ, {"eda": x[rows, :, 0]})  # noqa: E731
        fitted = entry.fit(take(train), labels[train], entry.settings(), job["seed"], "cpu")
        p = {"0": [entry.predict(fitted.weights, take(rows), entry.settings(), "cpu") for rows in (held, train)]}
    else:
        how, changes = VARIANTS[job["variant"]]
        settings = replace(load("paper").network("physiological")[1], **changes, epochs=looks[-1])
        z = scaled(x, how, train, index.subjects)
        kept: dict[str, Any] = {}
        point = Checkpoint(10**9, lambda state: kept.__setitem__("state", state), lambda: kept.get("state"))
        p = {}
        for until in looks:
            weights = fit(LSTM, settings, [z[train]], labels[train], seed=job["seed"], checkpoint=point, until=until).weights
            p[str(until)] = [outputs(LSTM, settings, weights, [z[rows]], what="prediction") for rows in (held, train)]
    for epochs, (p_held, p_train) in p.items():
        right = pd.Series((p_held > 0.5) == labels[held]).groupby(np.array(index.subjects)[held]).mean()
        found[epochs] = {
            "people": right.round(4).to_dict(),
            "training": round(float(((p_train > 0.5) == labels[train]).mean()), 4),
        }
    return {**job, "found": found, "cpu_s": round(time.process_time() - started, 1)}


def run(jobs: list[dict[str, Any]], a: argparse.Namespace, looks: tuple[int, ...]) -> None:
    """What the file has not, within the minutes."""
    there = {tuple(r[c] for c in COLUMNS) for r in stored(a.out)}
    ends = time.monotonic() + 60 * a.minutes
    for job in jobs:
        costly = job["variant"].startswith("paper") and job["inner"] >= 0
        if tuple(job[c] for c in COLUMNS) in there or (costly and job["outer"]) or time.monotonic() > ends:
            continue
        long = job["variant"].startswith("long") and job["inner"] >= 0
        result = one(a.data, job, looks[:3] if costly else LONG if long else looks)
        with a.out.open("a") as file:
            file.write(json.dumps(result) + "\n")


def stored(file: Path) -> list[dict[str, Any]]:
    """The fits of a file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def chosen_table(rows: list[dict[str, Any]]) -> str:
    """Every variant with its inner accuracy in % after some epochs, and that of its training side in brackets."""
    looks = [str(n) for n in sorted({*LOOKS, *LONG})]
    lines = [f"{'variant':<28}{'fits':>5}" + "".join(f"{f'{n} epochs':>14}" for n in looks) + f"{'CPU s a fit':>13}"]
    for name in dict.fromkeys(r["variant"] for r in rows):
        mine, text = [r for r in rows if r["variant"] == name], ""
        for n in looks if "0" not in mine[0]["found"] else ["0"]:
            if n not in mine[0]["found"]:
                text += f"{'-':>14}"
                continue
            people = [v for r in mine for v in r["found"][n]["people"].values()]
            training = [r["found"][n]["training"] for r in mine]
            text += f"{f'{100 * np.mean(people):.1f} ({100 * np.mean(training):.1f})':>14}"
        lines.append(f"{name:<28}{len(mine):>5}{text:<84}{np.mean([r['cpu_s'] for r in mine]):>13.1f}")
    return "\n".join(lines)


def confirmed_table(rows: list[dict[str, Any]]) -> str:
    """Mean accuracy of each on the same partitions, and its difference to the forest with the 95 % interval over people."""
    of: dict[str, pd.DataFrame] = {}
    for name in dict.fromkeys(r["variant"] for r in rows):
        mine = [
            (r["partition"], s, v)
            for r in rows
            if r["variant"] == name
            for s, v in list(r["found"].values())[-1]["people"].items()
        ]
        of[name] = pd.DataFrame(mine, columns=["partition", "subject", "right"]).pivot_table("right", "subject", "partition")
    lines = []
    for name, table in of.items():
        over = 100 * table.mean()
        line = f"{name:<28}{over.mean():>6.1f}, by partition {', '.join(f'{v:.1f}' for v in over)}"
        if name != "eda:rf" and "eda:rf" in of:
            e = estimate(table - of["eda:rf"], n_train=len(table) * 0.9)
            line += f"; less the forest {100 * e.mean:+.1f} [{100 * e.low:+.1f}, {100 * e.high:+.1f}]"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("choose", "confirm", "table"))
    p.add_argument("data", type=Path, nargs="?")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--variant", nargs="+", default=None, help="some of them (default of choose: every one)")
    p.add_argument("--epochs", type=int, default=40, help="of confirm")
    p.add_argument("--minutes", type=float, default=1e6, help="no fit begins after them")
    a = p.parse_args()
    if a.what == "choose":
        names = ["eda:rf", "eda:logistic", *(a.variant or VARIANTS)]
        places = [(0, outer, inner) for outer in (0, 5) for inner in range(3)]
        jobs = [dict(zip(COLUMNS, (n, *at, 0), strict=True)) for n in names for at in places]
        run(jobs, a, LOOKS)
    elif a.what == "confirm":
        names, places = ["eda:rf", *a.variant], [(n, outer, -1) for n in PARTITIONS for outer in range(10)]
        jobs = [dict(zip(COLUMNS, (n, *at, seed), strict=True)) for seed in SEEDS for at in places for n in names]
        run(jobs, a, (a.epochs,))
    rows = stored(a.out)
    print(confirmed_table(rows) if rows and rows[0]["inner"] < 0 else chosen_table(rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
