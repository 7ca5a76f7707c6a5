"""What a small LSTM learns of the heart: from the ECG at 25 Hz, as the paper has it, at a higher rate, and from the heart rate.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/heart.py table --out heart.jsonl --minutes 20  # resumable
    PYTHONPATH=. .venv/bin/python tests/benchmarks/heart.py bar --out bar.jsonl --row hr           # 8 to 15 beats/min
    PYTHONPATH=. .venv/bin/python tests/benchmarks/heart.py real --ecg FILE:RATE:COLUMN            # beats found at 25 Hz

`table`: made-up ECG of 40 people (dataprep/synthetic/physiology.py) whose heart speeds up by `--bpm` beats/min under pain; a fit
of `--epochs` epochs a cell, looked at on the way, one of five folds of people held out. A line of the file is a fit.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataprep.signals import derived
from dataprep.signals.domain_features import heart_beats_s
from dataprep.signals.native_features import beats_s
from dataprep.signals.resampling import to_clock
from dataprep.synthetic import physiology
from dataprep.synthetic.dataset import draw_recordings, pick_subjects
from grid.experiment.config import load
from painmodels.registry import network
from painmodels.training.checkpoints import Checkpoint
from painmodels.training.loop import fit, outputs
from painmodels.training.normalise import normalised

LSTM = network("physiological", "lstm")
CLOCK: dict[str, Any] = {"clock_hz": 25.0, "n_steps": 138}
FOLDS = 5
KEYS = ("row", "bpm", "trials", "fold", "settings", "epochs", "normalise")


def people(*, trials: int, bpm: float | None, subjects: int = 40) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """ECG at 512 Hz, labels and people of `trials` x 2 classes each; `bpm`: the speeding-up, None: the generator's 8 to 15."""
    options: dict[str, Any] = {"seed": 0, "signal": "ecg", "size": (160, 120), "classes": ("BL1", "PA4")}
    ecg, labels, names = [], [], []
    for r in draw_recordings(pick_subjects(subjects), trials=trials, **options):
        body = physiology.draw_body(r.rng(0, 0), responds=r.responds)
        body = body if bpm is None else replace(body, acceleration_bpm=bpm)
        level, rng = r.channel("ecg")
        ecg.append(physiology.ecg(body, rng, level=level))
        labels.append(int(r.class_name == "PA4"))
        names.append(r.subject)
    return ecg, np.array(labels), np.array(names)


def inputs(row: str, ecg: list[np.ndarray]) -> np.ndarray:
    """The channel of a row, (N, T, 1)."""
    if row == "ecg":
        return np.stack([to_clock(x, rate_hz=512.0, **CLOCK) for x in ecg])[..., None]
    return np.stack([derived.made(row, "ecg", x, 512.0, **CLOCK)[0] for x in ecg])[..., None].astype(np.float32)


def one(cell: dict[str, Any], looks: tuple[int, ...]) -> dict[str, Any]:
    """A fit, with its accuracy on people held out and on its own after some epochs."""
    ecg, labels, names = people(trials=cell["trials"], bpm=cell["bpm"])
    x, _ = normalised(inputs(cell["row"], ecg), how=cell["normalise"], subjects=list(names))
    order = np.random.default_rng(0).permutation(np.unique(names))
    test = np.isin(names, order[cell["fold"] :: FOLDS])
    settings = replace(load(cell["settings"]).network("physiological")[1], epochs=cell["epochs"], milestones=())
    kept: dict[str, Any] = {}
    point = Checkpoint(10**9, lambda state: kept.__setitem__("state", state), lambda: kept.get("state"))
    started, found = time.process_time(), {}
    for until in [n for n in looks if n < cell["epochs"]] + [cell["epochs"]]:
        fitted = fit(LSTM, settings, [x[~test]], labels[~test], seed=cell["fold"], checkpoint=point, until=until)
        right = [
            (outputs(LSTM, settings, fitted.weights, [x[s]], what="prediction") > 0.5) == labels[s] for s in (test, ~test)
        ]
        found[str(until)] = [round(float(r.mean()), 4) for r in right]
    verdict = fitted.learning.verdict if fitted.learning else ""
    return {**cell, "held_out_and_training": found, "verdict": verdict, "cpu_s": round(time.process_time() - started, 1)}


def table(rows: list[dict[str, Any]]) -> str:
    """Held-out accuracy in % (training in brackets), a line a row, change and number of trials, a column a number of epochs."""
    looks = sorted({int(n) for r in rows for n in r["held_out_and_training"]})
    lines = [
        f"{'row':<10}{'beats/min':>10}{'trials':>7}  " + "".join(f"{f'{n} epochs':>18}" for n in looks) + f"{'folds':>7}"
    ]
    for key in dict.fromkeys((r["row"], r["bpm"], r["trials"]) for r in rows):
        mine = [r for r in rows if (r["row"], r["bpm"], r["trials"]) == key]
        text = ""
        for n in looks:
            seen = np.array([r["held_out_and_training"][str(n)] for r in mine if str(n) in r["held_out_and_training"]])
            text += (
                f"{'-':>18}" if not len(seen) else f"{f'{100 * seen[:, 0].mean():.1f} ({100 * seen[:, 1].mean():.1f})':>18}"
            )
        lines.append(f"{key[0]:<10}{'8-15' if key[1] is None else f'{key[1]:g}':>10}{key[2]:>7}  {text}{len(mine):>7}")
    return "\n".join(lines)


def run(cells: list[dict[str, Any]], a: argparse.Namespace) -> None:
    """Fit what the file has not, within the minutes, and print the table."""
    done = [json.loads(line) for line in a.out.read_text().splitlines()] if a.out.exists() else []
    there = {tuple(r[k] for k in KEYS) for r in done}
    ends = time.monotonic() + 60 * a.minutes
    for cell in cells:
        if tuple(cell[k] for k in KEYS) not in there and time.monotonic() < ends:
            done.append(one(cell, tuple(a.looks)))
            with a.out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            print(json.dumps(done[-1]), flush=True)
    print(table(done))


def real(files: list[str]) -> str:
    """Of real ECG: beats found, also at 25 Hz; error of the rates in windows of 5.5 s, beats on samples or between them."""
    lines = [f"{'recording':<28}{'beats':>7}{'at 25 Hz':>10}{'windows':>9}{'on samples':>12}{'between':>9}   beats/min"]
    for name, rate_text, column in (text.split(":") for text in files):
        rate_hz = float(rate_text)
        comment = "#" if name.endswith(".txt") else None
        x = np.genfromtxt(name, delimiter=None if comment else ",", comments=comment, names=None if comment else True)
        x = x if comment else x[column]
        slow = to_clock(x, rate_hz=rate_hz, clock_hz=25.0, n_steps=int(len(x) / rate_hz * 25))
        true_s, fine_s = beats_s(x, rate_hz, pulse=False), heart_beats_s(slow, rate_hz=25.0)
        errors = []
        for start in np.arange(0, len(x) / rate_hz - 5.5, 5.5):
            means = []
            for at_s in (true_s, np.round(fine_s * 25) / 25, fine_s):
                inside = at_s[(at_s >= start) & (at_s < start + 5.5)]
                means.append(60 / np.diff(inside) if len(inside) > 2 else np.array([np.nan]))
            if len({len(m) for m in means}) == 1:
                errors.append([np.abs(m - means[0]).mean() for m in means[1:]])
        rough, fine = np.nanmean(errors, axis=0)
        lines.append(f"{Path(name).name:<28}{len(true_s):>7}{len(fine_s):>10}{len(errors):>9}{rough:>12.2f}{fine:>9.2f}")
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("table", "bar", "real"))
    p.add_argument("--out", type=Path, default=Path("runs/heart.jsonl"))
    p.add_argument("--row", nargs="+", default=["ecg", "hr"], help="ecg, hr, ecg@128")
    p.add_argument("--bpm", nargs="+", type=float, default=[2, 8, 15, 30])
    p.add_argument("--trials", nargs="+", type=int, default=[2, 8], help="of each class and person")
    p.add_argument("--folds", nargs="+", type=int, default=[0])
    p.add_argument("--epochs", type=int, default=200)
    p.add_argument("--looks", nargs="+", type=int, default=[30, 100], help="epochs after which the fit is looked at")
    p.add_argument("--settings", default="demo", help="the experiment whose [physiological] table is used")
    p.add_argument("--normalise", default="trial")
    p.add_argument("--minutes", type=float, default=30, help="no fit begins after them")
    p.add_argument("--ecg", nargs="+", default=[], metavar="FILE:RATE:COLUMN")
    a = p.parse_args()
    if a.what == "real":
        print(real(a.ecg))
        return
    shared = {"settings": a.settings, "epochs": a.epochs, "normalise": a.normalise}
    changes, folds = (a.bpm, a.folds) if a.what == "table" else ([None], list(range(FOLDS)))
    trials = a.trials if a.what == "table" else [8]
    cells = [
        {"row": r, "bpm": b, "trials": n, "fold": f, **shared} for f in folds for b in changes for n in trials for r in a.row
    ]
    run(cells, a)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
