"""Whether `recommended` costs anything where `paper` learns: rows of body signals on made-up people, from three seeds.

    PYTHONPATH=. .venv/bin/python tests/benchmarks/recommended.py --out recommended.jsonl --minutes 30     # resumable

EDA and ECG of `--subjects` people with one trial of each class, both with a cue (dataprep/synthetic/physiology.py); two folds by
person; the [physiological] and [signals] tables of both experiments. A line of the file is a fit.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataprep.signals import derived
from dataprep.signals.resampling import to_clock
from dataprep.synthetic import physiology
from dataprep.synthetic.dataset import draw_recordings, pick_subjects
from grid.experiment.config import load
from painmodels.registry import network
from painmodels.training.loop import fit, outputs
from painmodels.training.normalise import normalised

CLOCK: dict[str, Any] = {"clock_hz": 25.0, "n_steps": 138}
ROWS = ("eda", "ecg", "eda+ecg", "eda+hr")
LSTM = network("physiological", "lstm")
KEYS = ("experiment", "row", "fold", "seed", "subjects")


def people(subjects: int) -> tuple[dict[str, np.ndarray], np.ndarray, list[str]]:
    """Word -> (N, T) on the clock; labels; who."""
    found: dict[str, list[np.ndarray]] = {"eda": [], "ecg": [], "hr": []}
    labels, names = [], []
    options: dict[str, Any] = {"seed": 0, "signal": "all", "size": (160, 120), "classes": ("BL1", "PA4")}
    for r in draw_recordings(pick_subjects(subjects), trials=1, **options):
        body = physiology.draw_body(r.rng(0, 0), responds=r.responds)
        for word in ("eda", "ecg"):
            level, rng = r.channel(word)
            x = getattr(physiology, word)(body, rng, level=level)
            found[word].append(to_clock(x, rate_hz=512.0, **CLOCK))
        found["hr"].append(derived.made("hr", "ecg", x, 512.0, **CLOCK)[0].astype(np.float32))
        labels.append(int(r.class_name == "PA4"))
        names.append(r.subject)
    return {word: np.stack(x) for word, x in found.items()}, np.array(labels), names


def one(job: dict[str, Any]) -> dict[str, Any]:
    """A fit and its accuracy on the people held out."""
    signals, labels, names = people(job["subjects"])
    experiment = load(job["experiment"])
    settings, how = experiment.network("physiological")[1], experiment.signals.normalise
    x = np.stack([signals[word] for word in job["row"].split("+")], axis=-1)
    order = np.random.default_rng(0).permutation(sorted(set(names)))
    test = np.isin(names, order[job["fold"] :: 2])
    sides = {}
    started = time.process_time()
    sides["train"], fitted = normalised(x[~test], how=how, subjects=list(np.array(names)[~test]), rate_hz=25.0)
    sides["test"], _ = normalised(x[test], how=how, subjects=list(np.array(names)[test]), fitted=fitted, rate_hz=25.0)
    made = fit(LSTM, settings, [sides["train"]], labels[~test], seed=job["seed"])
    p = outputs(LSTM, settings, made.weights, [sides["test"]], what="prediction")
    assert made.learning is not None
    facts = {"accuracy": round(float(((p > 0.5) == labels[test]).mean()), 4), "verdict": made.learning.verdict}
    return {**job, **facts, "cpu_s": round(time.process_time() - started, 1)}


def table(rows: list[dict[str, Any]]) -> str:
    """Mean accuracy in % by row and experiment, over folds and seeds that both have."""
    lines = [f"{'row':<10}{'paper':>8}{'recommended':>13}{'difference':>12}{'fits of each':>14}{'learned':>16}{'CPU s':>16}"]
    for name in dict.fromkeys(r["row"] for r in rows):
        of = {
            e: {(r["fold"], r["seed"]): r for r in rows if (r["row"], r["experiment"]) == (name, e)}
            for e in ("paper", "recommended")
        }
        both = of["paper"].keys() & of["recommended"].keys()
        if not both:
            continue
        mean = {e: 100 * np.mean([of[e][k]["accuracy"] for k in both]) for e in of}
        learned = ", ".join(str(sum(of[e][k]["verdict"] == "learned" for k in both)) for e in of)
        seconds = ", ".join(f"{np.mean([of[e][k]['cpu_s'] for k in both]):.0f}" for e in of)
        difference = mean["recommended"] - mean["paper"]
        line = f"{name:<10}{mean['paper']:>8.1f}{mean['recommended']:>13.1f}{difference:>+12.1f}{len(both):>14}"
        lines.append(f"{line}{learned:>16}{seconds:>16}")
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--subjects", type=int, default=40)
    p.add_argument("--experiments", nargs="+", default=["paper", "recommended"])
    p.add_argument("--rows", nargs="+", default=list(ROWS))
    p.add_argument("--folds", nargs="+", type=int, default=[0, 1], help="some of the two")
    p.add_argument("--minutes", type=float, default=1e6, help="no fit begins after them")
    a = p.parse_args()
    done = [json.loads(line) for line in a.out.read_text().splitlines()] if a.out.exists() else []
    there, ends = {tuple(r[k] for k in KEYS) for r in done}, time.monotonic() + 60 * a.minutes
    places = [(e, row, fold, seed) for fold in a.folds for seed in range(3) for row in a.rows for e in a.experiments]
    for job in (dict(zip(KEYS, (*at, a.subjects), strict=True)) for at in places):
        if tuple(job[k] for k in KEYS) not in there and time.monotonic() < ends:
            done.append(one(job))
            with a.out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    print(table(done))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
